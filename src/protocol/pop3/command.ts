/** What a client said: the keyword in capitals, and what followed it. */
export interface Command {
  readonly keyword: string;
  /** Everything after the first blank, blanks included: a password may have some. */
  readonly argument: string;
}

/** With the line end (RFC 2449 §4). */
export const maxCommandOctets = 255;
/** RFC 2449 §4, counted without the line end. */
export const maxReplyOctets = 510;

export function parseCommand(line: string): Command {
  const blank = line.indexOf(" ");
  if (blank < 0) return { keyword: line.toUpperCase(), argument: "" };
  return { keyword: line.slice(0, blank).toUpperCase(), argument: line.slice(blank + 1) };
}

/** The number an argument begins with, as with qmail: only its digits count. */
export function leadingNumber(argument: string): number | undefined {
  const digits = /^ *([0-9]+)/.exec(argument)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export const lineTooLong = "-ERR line too long";
export const unimplemented = "-ERR unimplemented";
export const syntaxError = "-ERR syntax error";

/** What both states offer (RFC 2449 §6, RFC 6856, RFC 3206); the login's own come after it. */
export const capabilities: readonly string[] = [
  "TOP",
  "UIDL",
  "RESP-CODES",
  "AUTH-RESP-CODE",
  "PIPELINING",
  "EXPIRE NEVER",
  "UTF8 USER",
  "LANG",
  "IMPLEMENTATION Postern",
];

/** A multi-line reply of short lines, none of which begins with a dot. */
export const listing = (first: string, lines: readonly string[]): string => [first, ...lines, "."].join("\r\n");

/** Answers LANG (RFC 6856 §3): our texts are English, and the default is that. */
export function language(argument: string): string {
  switch (argument.trim().toLowerCase()) {
    case "":
      return listing("+OK language listing follows", ["en English", "i-default Default"]);
    case "*":
    case "i-default":
      return "+OK i-default the default it is";
    case "en":
      return "+OK en English it is";
    default:
      return "-ERR no such language";
  }
}
