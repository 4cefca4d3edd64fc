import { decodeBase64 } from "../base64.ts";
import { type Command, capabilities, language, listing, syntaxError } from "./command.ts";

/** What this connection offers before the login. */
export interface Terms {
  /** STLS (RFC 2595): there is a certificate, and TLS is not on yet. */
  readonly offersTls: boolean;
  /** SASL mechanisms that may be used now; none: no login at all without TLS. */
  readonly mechanisms: readonly string[];
  /** The stamp in the greeting where APOP is on. */
  readonly stamp: string | undefined;
}

/** The name that USER gave, as long as it counts. */
export interface Authorization {
  readonly user: string | undefined;
}

export const newAuthorization: Authorization = { user: undefined };

export type AuthorizationStep =
  | { readonly kind: "reply"; readonly next: Authorization; readonly reply: string }
  /** To be carried out by SASL exchange; by PASS and APOP one failure ends the connection. */
  | { readonly kind: "login"; readonly mechanism: string; readonly initial: Buffer | undefined; readonly once: boolean }
  /** TLS begins after the reply; whatever was sent before it is dropped. */
  | { readonly kind: "tls"; readonly reply: string }
  | { readonly kind: "quit"; readonly reply: string };

/** What CAPA says of logins, in both states. */
export const loginCapabilities = ({ mechanisms }: Pick<Terms, "mechanisms">): readonly string[] => [
  ...(mechanisms.length > 0 ? ["USER", `SASL ${mechanisms.join(" ")}`] : []),
];

/** Answers one command before the login (RFC 1939 §4, RFC 5034, RFC 2595). */
export function stepAuthorization(state: Authorization, command: Command, terms: Terms): AuthorizationStep {
  const stay = (reply: string): AuthorizationStep => ({ kind: "reply", next: state, reply });
  const { keyword, argument } = command;
  if (argument.includes("\0")) return stay(syntaxError); // it separates what PLAIN sends
  switch (keyword) {
    case "CAPA": {
      const offered = [...capabilities, ...(terms.offersTls ? ["STLS"] : []), ...loginCapabilities(terms)];
      return stay(listing("+OK capability list follows", offered));
    }
    case "USER":
      if (terms.mechanisms.length === 0) return stay(tlsFirst);
      if (argument === "") return stay(syntaxError);
      return { kind: "reply", next: { user: argument }, reply: "+OK " };
    case "PASS":
      if (state.user === undefined) return stay("-ERR USER first");
      if (argument === "") return stay(syntaxError);
      return plainLogin(state.user, argument);
    case "APOP":
      return apop(argument, terms) ?? stay(terms.stamp === undefined ? authorizationFirst : syntaxError);
    case "AUTH":
      return authenticate(argument, terms) ?? stay(syntaxError);
    case "STLS":
      if (!terms.offersTls) return stay("-ERR STLS is not offered here, or not any more");
      return { kind: "tls", reply: "+OK begin TLS negotiation" };
    case "UTF8":
      return stay("+OK ");
    case "LANG":
      return stay(language(argument));
    case "NOOP":
      return stay("+OK ");
    case "QUIT":
      return { kind: "quit", reply: "+OK " };
    default:
      return stay(authorizationFirst);
  }
}

const authorizationFirst = "-ERR authorization first";
export const tlsFirst = "-ERR no login without TLS: STLS first, or the other port";

/** USER and PASS are SASL's PLAIN in other words (RFC 4616). */
const plainLogin = (user: string, password: string): AuthorizationStep => ({
  kind: "login",
  mechanism: "PLAIN",
  initial: Buffer.from(`\0${user}\0${password}`, "latin1"),
  once: true,
});

function apop(argument: string, { stamp }: Terms): AuthorizationStep | undefined {
  const [name = "", digest = ""] = argument.split(" ");
  if (stamp === undefined || name === "" || digest === "") return undefined;
  const initial = Buffer.from(`${stamp} ${name} ${digest}`, "latin1");
  return { kind: "login", mechanism: "APOP", initial, once: true };
}

/** AUTH without a mechanism lists them, as the oldest clients expect (RFC 1734's implementations). */
function authenticate(argument: string, terms: Terms): AuthorizationStep | undefined {
  const reply = (text: string): AuthorizationStep => ({ kind: "reply", next: newAuthorization, reply: text });
  if (terms.mechanisms.length === 0) return reply(tlsFirst);
  if (argument === "") return reply(listing("+OK mechanisms follow", terms.mechanisms));
  const [name = "", response, ...more] = argument.split(" ");
  const mechanism = name.toUpperCase();
  if (!terms.mechanisms.includes(mechanism)) return reply("-ERR no such mechanism");
  if (more.length > 0) return undefined;
  if (response === undefined) return { kind: "login", mechanism, initial: undefined, once: false };
  const initial = response === "=" ? Buffer.alloc(0) : decodeBase64(response);
  return initial && { kind: "login", mechanism, initial, once: false };
}
