import type { DataProgress } from "../../src/protocol/smtp/data.ts";

/** What became of a DATA body. Texts are latin1. */
export interface Decoded {
  readonly kind: "more" | "end" | string;
  readonly body: string;
  readonly rest: string;
}

const latin1 = (octets: Uint8Array): string => Buffer.from(octets).toString("latin1");

/** Feeds pieces until the end; what comes after it is rest. Of a broken body only the reason counts. */
export function decodeInPieces(decode: (chunk: Buffer) => DataProgress, pieces: readonly Buffer[]): Decoded {
  let body = "";
  for (const [at, piece] of pieces.entries()) {
    const progress = decode(piece);
    if (progress.kind === "broken") return { kind: progress.why, body: "", rest: "" };
    body += latin1(progress.body);
    if (progress.kind === "end")
      return { kind: "end", body, rest: latin1(Buffer.concat([progress.rest, ...pieces.slice(at + 1)])) };
  }
  return { kind: "more", body, rest: "" };
}

/** The obvious decoder: one octet after the other. */
export function decodeSlowly(wire: Buffer): Decoded {
  let state: "line start" | "text" | "cr" | "dot" | "dot cr" = "line start";
  let body = "";
  for (const [at, octet] of wire.entries()) {
    if (state === "cr" || state === "dot cr") {
      if (octet !== 10) return { kind: "bare CR", body: "", rest: "" };
      if (state === "dot cr") return { kind: "end", body, rest: latin1(wire.subarray(at + 1)) };
      body += "\n";
      state = "line start";
    } else if (octet === 10) return { kind: "bare LF", body: "", rest: "" };
    else if (octet === 13) state = state === "dot" ? "dot cr" : "cr";
    else if (octet === 0) return { kind: "NUL", body: "", rest: "" };
    else if (octet === 46 && state === "line start") state = "dot";
    else {
      body += String.fromCharCode(octet);
      state = "text";
    }
  }
  return { kind: "more", body, rest: "" };
}

/** What a text that came by BDAT becomes, or why it is refused. */
export function decodeTextSlowly(wire: Buffer): string {
  const text = latin1(wire);
  const [fault] = /\0|(?<!\r)\n|\r(?!\n)/.exec(text) ?? [];
  if (fault !== undefined) return fault === "\0" ? "NUL" : fault === "\n" ? "bare LF" : "bare CR";
  const body = text.replaceAll("\r\n", "\n");
  return body === "" || body.endsWith("\n") ? body : `${body}\n`;
}

/** All of a message through a stuffer. */
export const stuffInPieces = (stuff: (chunk: Buffer, last: boolean) => Buffer, pieces: readonly Buffer[]): Buffer =>
  Buffer.concat([...pieces.map((piece) => Buffer.from(stuff(piece, false))), stuff(Buffer.alloc(0), true)]);

/** Whether any reader, strict or lax about line ends, finds the end of data at the end and nowhere before. */
export function hasOneEnd(wire: Buffer): boolean {
  const text = `\r\n${wire.toString("latin1")}`;
  const lines = text.split(/\r\n|\r|\n/);
  return lines.indexOf(".") === lines.length - 2 && lines.at(-1) === "" && !/\r(?!\n)|(?<!\r)\n/.test(text);
}

/** A message as a reader of the stuffed form gets it. */
export function normalised(message: Buffer): string {
  const text = message
    .toString("latin1")
    .replace(/\r\n|\r$/g, "\n")
    .replace(/\r/g, " ");
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
