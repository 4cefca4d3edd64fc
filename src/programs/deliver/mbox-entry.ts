import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createMboxQuoter } from "../../protocol/mbox/quote.ts";
import type { Content } from "../../services/maildir/file.ts";
import type { Files } from "../../services/maildir/files.ts";
import type { Mark } from "./mbox-mark.ts";

export interface Entry extends Content {
  /** Of all of it, in hexadecimal. */
  digest(): string;
}

/** The octets of one mbox entry. `lineIsOpen`: what is there does not end its last line. */
export function entryOf(content: Content, fromLine: string, lineIsOpen: boolean): Entry {
  const head = headOf(fromLine, lineIsOpen);
  function* pieces(): Generator<Buffer> {
    yield head;
    const quoter = createMboxQuoter();
    for (const piece of content.pieces()) yield* quoter.write(piece);
    yield* quoter.end();
  }
  let octets = 0;
  for (const piece of pieces()) octets += piece.length;
  return { octets, pieces, digest: () => digestOf(pieces()) };
}

function digestOf(pieces: Iterable<Buffer>): string {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
}

const headOf = (fromLine: string, lineIsOpen: boolean): Buffer =>
  Buffer.from((lineIsOpen ? "\n" : "") + fromLine, "latin1");

export function isLineOpen(files: Files, fd: number, length: number): boolean {
  const last = Buffer.alloc(1);
  return length > 0 && files.read(fd, last, 0, 1, length - 1) === 1 && last[0] !== lf;
}
const lf = 10;

/** Whether the file ends in the beginning of the entry and then zeros: what a power cut leaves of an append. */
export function isTorn(files: Files, fd: number, position: number, entry: Content): boolean {
  const length = files.fstat(fd).size - position;
  if (length <= 0 || length > entry.octets) return false;
  let at = 0;
  let isZero = false;
  for (const piece of entry.pieces()) {
    const expected = piece.subarray(0, length - at);
    const there = readAt(files, fd, position + at, expected.length);
    if (there.length < expected.length) return false;
    for (let n = 0; n < there.length; n++) {
      if (there[n] === 0 && expected[n] !== 0) isZero = true;
      if (there[n] !== (isZero ? 0 : expected[n])) return false;
    }
    at += expected.length;
    if (at === length) return true;
  }
  return true;
}

/** The entry that the mark of another delivery announces, if it is there with every octet. */
export function announced(files: Files, fd: number, mark: Mark): Content | undefined {
  const { oldLength, octets } = mark;
  if (files.fstat(fd).size < oldLength + octets) return undefined;
  function* pieces(): Generator<Buffer> {
    for (let at = 0; at < octets; at += scannedOctets) {
      yield readAt(files, fd, oldLength + at, Math.min(scannedOctets, octets - at));
    }
  }
  return digestOf(pieces()) === mark.digest ? { octets, pieces } : undefined;
}

/**
 * Whether the file ends in a part of the entry that the mark of another delivery announces, and in nothing else.
 */
export function isCutShort(files: Files, fd: number, mark: Mark): boolean {
  const { oldLength, octets, fromLine } = mark;
  const length = files.fstat(fd).size - oldLength;
  if (length <= 0 || length > octets) return false;
  const head = headOf(fromLine, isLineOpen(files, fd, oldLength));
  const there = readAt(files, fd, oldLength, Math.min(head.length, length));
  const differs = there.findIndex((octet, at) => octet !== head[at]);
  const isHead = differs < 0 || there.subarray(differs).every((octet) => octet === 0); // as a power cut leaves it
  return isHead && !hasFromLine(files, fd, oldLength + there.length - 1, oldLength + length);
}

const fromLineStart = Buffer.from("\nFrom ", "latin1");
const scannedOctets = 65_536;

/** Whether another entry begins there: within an entry such lines are quoted. */
function hasFromLine(files: Files, fd: number, from: number, end: number): boolean {
  for (let at = from; at < end; at += scannedOctets) {
    const piece = readAt(files, fd, at, Math.min(scannedOctets + fromLineStart.length - 1, end - at));
    if (piece.includes(fromLineStart)) return true;
  }
  return false;
}

/** What is there, less at the end of the file. */
function readAt(files: Files, fd: number, position: number, octets: number): Buffer {
  const there = Buffer.alloc(octets);
  let length = 0;
  while (length < octets) {
    const got = files.read(fd, there, length, octets - length, position + length);
    if (got === 0) break;
    length += got;
  }
  return there.subarray(0, length);
}
