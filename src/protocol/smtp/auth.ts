import { Buffer } from "node:buffer";
import { maxSaslOctets } from "../wire/directory.ts";

/** AUTH and its argument (RFC 4954 §4). */
export interface Auth {
  readonly verb: "AUTH";
  /** In upper case. */
  readonly mechanism: string;
  /** The initial response; `undefined` when there was none. */
  readonly initial: Buffer | undefined;
}

/** Of a line in a login, its end included (RFC 4954 §4). */
export const maxAuthLineOctets = 12_288;

const notBase64 = "501 5.5.2 that is not base64";

/** Reads what stands behind AUTH; a string is the reply to what is wrong with it. */
export function parseAuth(argument: string): Auth | string {
  const [, mechanism, initial] = /^([A-Za-z0-9_-]{1,20})(?: +(\S+))?$/.exec(argument) ?? [];
  if (mechanism === undefined) return "501 5.5.4 AUTH is a mechanism, and an initial response or none";
  if (initial === undefined) return { verb: "AUTH", mechanism: mechanism.toUpperCase(), initial: undefined };
  const octets = initial === "=" ? Buffer.alloc(0) : decodeBase64(initial);
  return octets ? { verb: "AUTH", mechanism: mechanism.toUpperCase(), initial: octets } : notBase64;
}

/** What a client answers to a challenge. */
export type Response = { readonly octets: Buffer } | { readonly reply: string };

/** Reads a line of a login: base64, or `*` for its end (RFC 4954 §4). */
export function parseResponse(line: string): Response {
  if (line === "*") return { reply: "501 5.7.0 the login is cancelled" };
  const octets = decodeBase64(line);
  return octets ? { octets } : { reply: notBase64 };
}

/** Base64 as RFC 4648 §4 has it, padded, nothing else within; `undefined` for all else, or when it is too long for a login. */
export function decodeBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || text.length > maxAuthLineOctets || !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
    return undefined;
  const octets = Buffer.from(text, "base64");
  return octets.length <= maxSaslOctets && octets.toString("base64") === text ? octets : undefined;
}

/** A command as the log may show it: what logs in with a password tells it. */
export const withoutSecret = (line: string): string => line.replace(/^(auth +\S+).*$/is, "$1");
