import { isEnvelopeAddress } from "../address.ts";
import { done, type Outcome, permanent } from "../outcome.ts";

/** What qmail-queue left for qmail-send, `todo/N`: an envelope before any routing. */
export interface TodoEnvelope {
  readonly uid: number;
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
}

/** One record of `local/S/N` or `remote/S/N`. */
export interface ChannelRecord {
  readonly done: boolean;
  /** As the channel gets it: with the prefix of its virtual domain. */
  readonly address: string;
}

/** A recipient that failed, as `bounce/N` tells it. */
export interface BounceParagraph {
  readonly forwardPath: string;
  readonly text: string;
}

/**
 * The records of a queue file: each a letter and a text, ended by a NUL. Fails when the last has no end: the file was
 * cut.
 */
function records(octets: Uint8Array): Outcome<readonly (readonly [letter: string, text: string])[]> {
  const texts = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("latin1").split("\0");
  if (texts.pop() !== "") return permanent("6.0", "its last record has no end");
  if (texts.includes("")) return permanent("6.0", "it has an empty record");
  return done(texts.map((text) => [text.charAt(0), text.slice(1)] as const));
}

/** Reads `todo/N`: `u`, `p`, `F`, then `T` for each recipient; any other letter, or two senders, is damage. */
export function parseTodo(octets: Uint8Array): Outcome<TodoEnvelope> {
  const read = records(octets);
  if (read.kind !== "done") return read;
  let uid = 0;
  let reversePath: string | undefined;
  const forwardPaths: string[] = [];
  for (const [letter, text] of read.value) {
    if (letter === "T") forwardPaths.push(text);
    else if (letter === "F" && reversePath === undefined) reversePath = text;
    else if (letter === "u") uid = /^[0-9]{1,10}$/.test(text) ? Math.min(Number(text), maxUid) : 0;
    else if (letter !== "p") return permanent("6.0", `it has a record "${letter}"`);
  }
  return reversePath === undefined ? permanent("6.0", "it names no sender") : done({ uid, reversePath, forwardPaths });
}

const maxUid = 4_294_967_295;

/** Reads `info/S/N`: the sender. */
export function parseInfo(octets: Uint8Array): Outcome<string> {
  const read = records(octets);
  if (read.kind !== "done") return read;
  const [[letter, text] = ["", ""], ...more] = read.value;
  return letter === "F" && more.length === 0 ? done(text) : permanent("6.0", "it does not hold one sender");
}

/** Reads `local/S/N` or `remote/S/N`. */
export function parseChannel(octets: Uint8Array): Outcome<readonly ChannelRecord[]> {
  const read = records(octets);
  if (read.kind !== "done") return read;
  const strange = read.value.find(([letter]) => letter !== "T" && letter !== "D");
  if (strange) return permanent("6.0", `it has a record "${strange[0]}"`);
  return done(read.value.map(([letter, address]) => ({ done: letter === "D", address })));
}

/**
 * Reads `bounce/N`, which was only ever appended to: paragraphs of an address, a report and an empty line. Whatever is
 * not one (a write cut short) belongs to the report before it, so that nothing is lost.
 */
export function parseParagraphs(octets: Uint8Array): readonly BounceParagraph[] {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("latin1");
  const found: { forwardPath: string; text: string }[] = [];
  for (const part of text.split("\n\n")) {
    const paragraph = part.replace(/^\n/, ""); // reports that end in empty lines leave one
    if (paragraph === "" || paragraph === "\n") continue;
    const lineEnd = paragraph.indexOf("\n");
    const first = lineEnd < 0 ? paragraph : paragraph.slice(0, lineEnd);
    const last = found.at(-1);
    if (first.startsWith("<") && first.endsWith(">:") && isEnvelopeAddress(first.slice(1, -2))) {
      const report = lineEnd < 0 ? "" : paragraph.slice(lineEnd + 1);
      found.push({ forwardPath: first.slice(1, -2), text: report });
    } else if (last) last.text += `\n${paragraph}`;
    else found.push({ forwardPath: "", text: paragraph });
  }
  return found;
}
