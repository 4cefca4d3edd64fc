import { isPrintable, type Path, scanPath } from "../address.ts";
import { trimBlanks } from "../blanks.ts";
import { isAscii } from "../utf8.ts";
import { type Auth, parseAuth } from "./auth.ts";
import {
  asksUtf8,
  type MailParameters,
  needsUtf8Reply,
  type RecipientParameters,
  readMailParameters,
  readRecipientParameters,
} from "./parameters.ts";

/** What a client said, understood (RFC 5321 §4.1.1). "wrong" carries the reply to what was not. */
export type Command =
  | { readonly verb: Hello; readonly name: string }
  | ({ readonly verb: "MAIL"; readonly reversePath: Path | null } & MailParameters)
  | {
      readonly verb: "RCPT";
      readonly forwardPath: Path;
      readonly parameters?: RecipientParameters;
      /** It was written with other letters than ASCII's: fit for a transaction with SMTPUTF8 only. */
      readonly isUtf8?: true;
    }
  | Auth
  /** A chunk of so many octets follows the line (RFC 3030 §2). */
  | { readonly verb: "BDAT"; readonly octets: number; readonly last: boolean }
  /** Without a path when what was asked for is none. */
  | { readonly verb: "VRFY"; readonly path?: Path }
  | { readonly verb: "DATA" | "RSET" | "NOOP" | "QUIT" | "HELP" | "STARTTLS" }
  | { readonly verb: "wrong"; readonly reply: string }
  /** Nobody can tell where the next command begins. */
  | { readonly verb: "lost"; readonly reply: string };

/** LHLO is LMTP's (RFC 2033 §4.1). */
type Hello = "HELO" | "EHLO" | "LHLO";

/** RFC 5321 §4.5.3.1.4 asks for 512, more with extensions. */
export const maxCommandOctets = 2048;

/** Reads a command line, given without its CR LF. Never fails: see "wrong". */
export function parseCommand(line: string): Command {
  if (!isPrintable(line)) return wrong("500 5.5.2 control characters in the command");
  const space = line.indexOf(" ");
  const verb = (space < 0 ? line : line.slice(0, space)).toUpperCase();
  const parse = parsers.get(verb);
  if (!parse) return wrong("500 5.5.1 command not recognised");
  return parse(space < 0 ? "" : trimBlanks(line.slice(space + 1)));
}

const wrong = (reply: string): Command => ({ verb: "wrong", reply });
const noArgument = wrong("501 5.5.4 no argument allowed");
const notImplemented = (): Command => wrong("502 5.5.1 unimplemented");

const bare = (verb: "DATA" | "RSET" | "QUIT" | "STARTTLS") => {
  const command: Command = { verb };
  return (argument: string): Command => (argument === "" ? command : noArgument);
};
const any = (verb: "NOOP" | "HELP") => {
  const command: Command = { verb };
  return (): Command => command;
};

const parsers: ReadonlyMap<string, (argument: string) => Command> = new Map([
  ["HELO", (argument: string) => parseHello("HELO", argument)],
  ["EHLO", (argument: string) => parseHello("EHLO", argument)],
  ["LHLO", (argument: string) => parseHello("LHLO", argument)],
  ["MAIL", parseMail],
  ["RCPT", parseRcpt],
  ["DATA", bare("DATA")],
  ["BDAT", parseBdat],
  ["RSET", bare("RSET")],
  ["STARTTLS", bare("STARTTLS")],
  ["QUIT", bare("QUIT")],
  ["NOOP", any("NOOP")],
  ["VRFY", parseVrfy],
  ["HELP", any("HELP")],
  ["EXPN", notImplemented],
  ["TURN", notImplemented],
  ["ETRN", notImplemented],
  ["SEND", notImplemented],
  ["SOML", notImplemented],
  ["SAML", notImplemented],
  ["AUTH", readAuth],
]);

function readAuth(argument: string): Command {
  const read = parseAuth(argument);
  return typeof read === "string" ? wrong(read) : read;
}

/** The name is not judged: it is only shown, and many honest clients do not know theirs. */
function parseHello(verb: Hello, argument: string): Command {
  return argument === "" ? wrong("501 5.5.4 tell your name") : { verb, name: argument };
}

function parseMail(argument: string): Command {
  const start = pathStart(argument, "FROM:");
  if (start < 0) return wrong("501 5.5.4 MAIL FROM:<reverse-path> expected");
  const scanned = scanPath(argument, start, isAscii(argument) ? "ascii" : "utf8");
  if (scanned.kind !== "done") return wrong(`501 5.1.7 ${scanned.text}`);
  const parameters = readMailParameters(argument, scanned.value.end);
  if (typeof parameters === "string") return wrong(parameters);
  if (!scanned.value.isAscii && !asksUtf8(parameters.options)) return wrong(needsUtf8Reply);
  return { verb: "MAIL", reversePath: scanned.value.path, ...parameters };
}

function parseRcpt(argument: string): Command {
  const start = pathStart(argument, "TO:");
  if (start < 0) return wrong("501 5.5.4 RCPT TO:<forward-path> expected");
  const scanned = scanPath(argument, start, isAscii(argument) ? "ascii" : "utf8");
  if (scanned.kind !== "done") return wrong(`501 5.1.3 ${scanned.text}`);
  if (scanned.value.path === null) return wrong("501 5.1.3 empty forward-path");
  const parameters = readRecipientParameters(argument, scanned.value.end);
  if (typeof parameters === "string") return wrong(parameters);
  const isUtf8 = !scanned.value.isAscii || !isAscii(parameters?.originalRecipient ?? "");
  const command = { verb: "RCPT", forwardPath: scanned.value.path, ...(parameters && { parameters }) } as const;
  return isUtf8 ? { ...command, isUtf8 } : command;
}

function parseVrfy(argument: string): Command {
  const scanned = scanPath(argument, 0);
  const path = scanned.kind === "done" ? scanned.value.path : null;
  return path === null ? { verb: "VRFY" } : { verb: "VRFY", path };
}

/** No message may be larger, so no chunk: over it we do not even read on to its end. */
const maxChunkOctets = 2 ** 32;

function parseBdat(argument: string): Command {
  const [, digits, last] = /^([0-9]{1,20})(?: +(LAST))?$/i.exec(argument) ?? [];
  if (digits === undefined) return { verb: "lost", reply: "501 5.5.4 BDAT is a number of octets, and LAST or nothing" };
  const octets = Number(digits);
  if (octets > maxChunkOctets) return { verb: "lost", reply: "552 5.3.4 no chunk is that large" };
  return { verb: "BDAT", octets, last: last !== undefined };
}

/** Where the path begins, past spaces that should not be there; -1 when the keyword is missing. */
function pathStart(argument: string, keyword: string): number {
  if (argument.slice(0, keyword.length).toUpperCase() !== keyword) return -1;
  let start = keyword.length;
  while (argument.charAt(start) === " ") start++;
  return start;
}
