import { addressOf, type Path, quoteAddress } from "../address.ts";
import { isOwnAddress } from "../users/account-names.ts";
import { markVerp, type VerpDelimiters } from "../verp.ts";
import type { Options } from "../wire/submission.ts";
import type { Access } from "./access.ts";
import type { Auth } from "./auth.ts";
import type { Command } from "./command.ts";
import {
  asksUtf8,
  type BodyKind,
  binaryMime,
  needsUtf8Reply,
  type RecipientParameters,
  unknownParameterReply,
} from "./parameters.ts";
import { grantWishes, type WishRules, wishKeywords } from "./wishes.ts";

/** What the client said of itself. */
export interface Client {
  /** "" before HELO and EHLO, which nobody must say. */
  readonly name: string;
  readonly extended: boolean;
}

export interface Transaction {
  readonly reversePath: string;
  readonly bodyKind: BodyKind;
  /** Belongs to the session, which adds to it: a copy for each recipient would cost the square of their number. */
  readonly forwardPaths: string[];
  /** By the index of its forward-path, for those that asked for something. */
  readonly asked: RecipientParameters[];
  readonly options: Options | undefined;
}

/** Each state holds what is known in it and no more. A transaction ends by being dropped as a whole. */
export type Session =
  | { readonly at: "ready"; readonly client: Client }
  | { readonly at: "mail"; readonly client: Client; readonly transaction: Transaction }
  /** The caller reads a body now, then goes on with `endOfData`. */
  | { readonly at: "data"; readonly client: Client; readonly transaction: Transaction }
  /** The caller reads a chunk now, then goes on with `endOfChunk` or `endOfData`. */
  | { readonly at: "chunk"; readonly client: Client; readonly transaction: Transaction }
  /** Some of a message came in chunks, and more is to come (RFC 3030). */
  | { readonly at: "chunks"; readonly client: Client; readonly transaction: Transaction }
  | { readonly at: "quit"; readonly client: Client }
  /** After its reply the caller speaks TLS, and begins with `newSession` (RFC 3207 §4.2). */
  | { readonly at: "starttls"; readonly client: Client }
  /** The caller conducts the login, and goes on with `endOfData`. */
  | { readonly at: "auth"; readonly client: Client; readonly auth: Auth }
  /** The caller ends the connection: the client speaks, and nobody knows where its next command begins. */
  | { readonly at: "lost"; readonly client: Client };

/** What one connection is allowed; fixed while it lasts. */
export interface Rules extends WishRules {
  /** The first words of the greeting and of some replies, the server's name first. */
  readonly greeting: string;
  readonly access: Access;
  readonly maxMessageOctets: number;
  /** VRFY is answered as RCPT would be. */
  readonly answersVrfy?: boolean;
  /** The client speaks LMTP (RFC 2033). */
  readonly isLmtp?: boolean;
  /** Added to each recipient of a client that may relay (qmail's RELAYCLIENT), mostly "". */
  readonly relaySuffix: string;
  /** The program its messages go through on their way to the queue (qmail's QMAILQUEUE). */
  readonly queueProgram: string | undefined;
  /** Is this recipient accepted from anybody? */
  accepts(address: string): boolean;
  isBadSender(reversePath: string): boolean;
  /** Is this recipient refused whoever sends? */
  isBadRecipient(address: string): boolean;
  /** Gives our own address literals our name. */
  canonical(path: Path): Path;
}

export interface Step {
  readonly next: Session;
  /** All lines, without the last CR LF. */
  readonly reply: string;
  /** RCPT was refused because this client may not send to that domain. */
  readonly isRelaying?: boolean;
  /** After MAIL of an account: the reverse-path that it may not be allowed to use. */
  readonly sender?: string;
  /**
   * After RCPT: the forward-path that was taken. The caller may `takeBack` it and refuse it after all. After VRFY: what
   * was asked about, which may be refused likewise.
   */
  readonly recipient?: string;
  /** After BDAT: its octets follow, and the reply comes after them. They belong to no message unless `next` is at "chunk". */
  readonly chunk?: { readonly octets: number; readonly last: boolean };
}

export const newSession: Session = { at: "ready", client: { name: "", extended: false } };

/** After the body, whatever became of it. */
export const endOfData = (session: Session): Session => ({ at: "ready", client: session.client });

/** The last recipient is refused after all. */
export function takeBack(session: Session): void {
  if (session.at !== "mail") return;
  const { forwardPaths, asked } = session.transaction;
  forwardPaths.pop();
  asked.length = Math.min(asked.length, forwardPaths.length);
}

/** After a chunk that was taken and is not the last. */
export const endOfChunk = (session: Session): Session =>
  session.at === "chunk" ? { ...session, at: "chunks" } : session;

/** Answers one command (RFC 5321 §4.1). Refusals come in qmail's order and leave the session as it is. */
export function step(session: Session, command: Command, rules: Rules, nowMs: number): Step {
  const stay = (reply: string): Step => ({ next: session, reply });
  switch (command.verb) {
    case "HELO":
    case "EHLO":
    case "LHLO": {
      if ((command.verb === "LHLO") !== (rules.isLmtp ?? false)) return stay(otherProtocol(rules));
      const extended = command.verb !== "HELO";
      const next: Session = { at: "ready", client: { name: command.name, extended } };
      return { next, reply: extended ? extensions(rules, nowMs) : `250 ${rules.greeting}` };
    }
    case "MAIL":
      return mail(session, command, rules, nowMs);
    case "RCPT":
      return rcpt(session, command, rules);
    case "DATA":
      if (session.at !== "mail") return stay(outOfPlace(session));
      if (session.transaction.forwardPaths.length === 0) return stay("503 5.5.1 RCPT first");
      if (session.transaction.bodyKind === binaryMime) return stay("501 5.5.4 BINARYMIME goes by BDAT");
      return { next: { ...session, at: "data" }, reply: "354 go ahead" };
    case "BDAT":
      if (rules.isPlain) return { next: { at: "lost", client: session.client }, reply: "502 5.5.1 unimplemented" };
      return bdat(session, command);
    case "RSET":
      return { next: endOfData(session), reply: "250 2.0.0 flushed" };
    case "STARTTLS":
      return starttls(session, rules);
    case "AUTH":
      return auth(session, command, rules);
    case "NOOP":
      return stay("250 2.0.0 ok");
    case "VRFY":
      return vrfy(session, command.path, rules);
    case "HELP":
      return stay(help(rules));
    case "QUIT":
      return { next: { at: "quit", client: session.client }, reply: `221 2.0.0 ${rules.greeting}` };
    case "wrong":
      return stay(command.reply);
    case "lost":
      return { next: { at: "lost", client: session.client }, reply: command.reply };
    default:
      return command satisfies never;
  }
}

/** RFC 2033 §4.1: neither server may take the other's greeting. */
const otherProtocol = ({ isLmtp }: Rules): string => `500 5.5.1 this is ${isLmtp ? "LMTP: LHLO" : "SMTP: EHLO"}`;

const extensions = (rules: Rules, nowMs: number): string =>
  [
    `250-${rules.greeting}`,
    "250-PIPELINING",
    `250-SIZE ${rules.maxMessageOctets}`,
    "250-8BITMIME",
    "250-ENHANCEDSTATUSCODES",
    ...wishKeywords(rules, nowMs).map((keyword) => `250-${keyword}`),
    ...(rules.tls === "offered" ? ["250-STARTTLS"] : []),
    ...(rules.access.mechanisms.length > 0 ? [`250-AUTH ${rules.access.mechanisms.join(" ")}`] : []),
    ...(rules.mayRelay ? ["250-XVERP"] : []),
    "250 HELP",
  ].join("\r\n");

/** What this client may say now (RFC 5321 §4.1.1.8). */
function help({ isLmtp, isPlain, tls, access }: Rules): string {
  const offersAuth = access.mechanisms.length > 0 && access.account === undefined;
  const verbs = [
    ...(isLmtp ? ["LHLO"] : ["HELO", "EHLO"]),
    ...(tls === "offered" ? ["STARTTLS"] : []),
    ...(offersAuth ? ["AUTH"] : []),
    ...["MAIL", "RCPT", "DATA", ...(isPlain ? [] : ["BDAT"])],
    ...["RSET", "NOOP", "VRFY", "HELP", "QUIT"],
  ];
  return `214 2.0.0 postern: ${verbs.join(" ")}`;
}

function starttls(session: Session, { tls }: Rules): Step {
  const stay = (reply: string): Step => ({ next: session, reply });
  if (tls === "none") return stay("502 5.5.1 unimplemented");
  if (tls === "on") return stay("503 5.5.1 TLS is on already");
  if (session.at !== "ready") return stay("503 5.5.1 not within a transaction");
  return { next: { at: "starttls", client: session.client }, reply: "220 2.0.0 go ahead" };
}

function auth(session: Session, command: Auth, { access }: Rules): Step {
  const stay = (reply: string): Step => ({ next: session, reply });
  if (access.account !== undefined) return stay("503 5.5.1 you are logged in");
  if (access.needsTls) return stay("538 5.7.11 STARTTLS first");
  if (access.mechanisms.length === 0) return stay("502 5.5.1 unimplemented");
  if (session.at !== "ready") return stay("503 5.5.1 not within a transaction");
  if (!session.client.extended) return stay("503 5.5.1 EHLO first");
  if (!access.mechanisms.includes(command.mechanism)) return stay("504 5.5.4 no such mechanism here");
  return { next: { at: "auth", client: session.client, auth: command }, reply: "" };
}

function mail(session: Session, command: Command & { verb: "MAIL" }, rules: Rules, nowMs: number): Step {
  if (session.at !== "ready") return { next: session, reply: "503 5.5.1 one MAIL at a time" };
  const { access } = rules;
  if (access.isRequired && access.account === undefined && !rules.mayRelay) {
    return { next: session, reply: access.needsTls ? "530 5.7.0 STARTTLS and AUTH first" : "530 5.7.0 AUTH first" };
  }
  if (command.auth && access.account === undefined && access.mechanisms.length === 0) {
    return { next: session, reply: unknownParameterReply };
  }
  if (command.sizeOctets > rules.maxMessageOctets) {
    return { next: session, reply: `552 5.3.4 ${tooBig}` };
  }
  const path = command.reversePath && rules.canonical(command.reversePath);
  const unfit = command.verp && verpFault(path, rules);
  if (unfit) return { next: session, reply: unfit };
  const reversePath = reversePathOf(path, command.verp);
  const granted = grantWishes(command, rules, nowMs);
  if ("refusal" in granted) return { next: session, reply: granted.refusal };
  const { options, reply = "250 2.1.0 ok" } = granted;
  const { bodyKind } = command;
  const transaction: Transaction = { reversePath, bodyKind, options, forwardPaths: [], asked: [] };
  const next: Session = { at: "mail", client: session.client, transaction };
  const { account } = access;
  const isAllowed = account === undefined || reversePath === "" || isOwnAddress(account, reversePath);
  return isAllowed ? { next, reply } : { next, reply, sender: reversePath };
}

/** XVERP is for those who may relay: else a stranger could have us send a message of its own to each recipient. */
function verpFault(path: Path | null, rules: Rules): string | undefined {
  if (!rules.mayRelay) return unknownParameterReply;
  if (path === null) return "503 5.5.4 XVERP requires non-null sender";
  return path.domain === "" || path.domain === "[]" ? "501 5.1.7 XVERP requires a sender with a domain" : undefined;
}

const reversePathOf = (path: Path | null, verp: VerpDelimiters | undefined): string =>
  verp ? markVerp(addressOf(path), verp) : addressOf(path);

/** RFC 5321 §3.5: by policy what RCPT would say of a recipient, else that RCPT is to be tried. EXPN tells nobody anything. */
function vrfy(session: Session, path: Path | undefined, rules: Rules): Step {
  const stay = (reply: string): Step => ({ next: session, reply });
  const address = path && rules.answersVrfy ? addressOf(rules.canonical(path)) : undefined;
  if (address === undefined || !rules.accepts(address)) return stay("252 2.0.0 send some mail, i'll try my best");
  if (rules.isBadRecipient(address)) return stay("550 5.7.1 sorry, that recipient is in my badrcptto list");
  return { next: session, reply: `250 2.1.5 <${quoteAddress(address)}>`, recipient: address };
}

export const recipientTaken = "250 2.1.5 ok";

/** The recipient that RCPT names, if it is taken. */
export function recipientOf({ forwardPath }: Command & { verb: "RCPT" }, rules: Rules): string {
  const address = addressOf(rules.canonical(forwardPath));
  return rules.mayRelay ? address + rules.relaySuffix : address;
}

function rcpt(session: Session, command: Command & { verb: "RCPT" }, rules: Rules): Step {
  const { forwardPath, parameters, isUtf8 } = command;
  const refuse = (reply: string): Step => ({ next: session, reply });
  if (session.at !== "mail") return refuse(outOfPlace(session));
  const { reversePath, forwardPaths, asked, options } = session.transaction;
  if (isUtf8 && !asksUtf8(options)) return refuse(needsUtf8Reply);
  if (parameters && rules.isPlain) return refuse(unknownParameterReply);
  // Here and not at MAIL: many clients take a refused MAIL for a temporary trouble.
  if (rules.isBadSender(reversePath)) {
    return refuse("550 5.7.1 sorry, your envelope sender is in my badmailfrom list");
  }
  const address = addressOf(rules.canonical(forwardPath));
  if (rules.isBadRecipient(address)) {
    return refuse("550 5.7.1 sorry, that recipient is in my badrcptto list");
  }
  if (!rules.mayRelay && !rules.accepts(address)) {
    return { ...refuse("550 5.7.1 sorry, that domain isn't in my list of allowed rcpthosts"), isRelaying: true };
  }
  // 452, not 552: the client is to send the rest in another transaction (RFC 5321 §4.5.3.1.10).
  if (forwardPaths.length >= rules.maxRecipients) return refuse("452 4.5.3 too many recipients");
  if (parameters) asked[forwardPaths.length] = parameters;
  const recipient = recipientOf(command, rules);
  forwardPaths.push(recipient);
  return { next: session, reply: recipientTaken, recipient };
}

/**
 * RFC 3030 §2. What belongs to no message is still read to its end: it may be on its way already. It ends the transaction,
 * or a later chunk could become a message without its beginning.
 */
function bdat(session: Session, { octets, last }: Command & { verb: "BDAT" }): Step {
  const chunk = { octets, last };
  const refuse = (reply: string): Step => ({ next: endOfData(session), reply, chunk });
  if (session.at !== "mail" && session.at !== "chunks") return refuse(outOfPlace(session));
  if (session.transaction.forwardPaths.length === 0) return refuse("503 5.5.1 RCPT first");
  return { next: { ...session, at: "chunk" }, reply: `250 2.0.0 ${octets} octets`, chunk };
}

const outOfPlace = (session: Session): string =>
  session.at === "chunks" ? "503 5.5.1 only BDAT goes on with this message" : "503 5.5.1 MAIL first";

export const tooBig = "sorry, that message size exceeds my databytes limit";
