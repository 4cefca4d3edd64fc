import { Buffer } from "node:buffer";
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { createMboxQuoter } from "../../protocol/mbox/quote.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { type Content, errorCode, safeFlags, writeContent } from "../../services/maildir/file.ts";
import { isAt, remove, type Stored } from "../../services/maildir/store.ts";
import { tryLock, waitForLock } from "./mbox-lock.ts";

export interface MboxDelivery {
  /** As the line says it, for the report. */
  readonly line: string;
  readonly path: string;
  /** Remembers how far this delivery got. In the home, because the folder of an mbox is often nobody's to write in. */
  readonly mark: string;
  /** The From_ line of this attempt. */
  readonly fromLine: string;
  /** Return-Path, Delivered-To and the message. */
  readonly content: Content;
}

/**
 * Appends a message to an mbox, once, however often it is repeated and wherever it was interrupted, until the mark is
 * removed. The mark is written first: the old length and the From_ line, so that a repetition knows every octet it
 * should find; "done" is added at the end. Each of the three writes is on disk before the next begins, or a power cut
 * could keep the mark and lose the message. Without a mark (home not writable) it is at least once.
 */
export async function appendOnce(delivery: MboxDelivery, signal: AbortSignal): Promise<Outcome<Stored>> {
  const first = tryLock(delivery.path);
  const lock = first === "taken" ? await waitForLock(delivery.path, signal) : first;
  if (lock.kind !== "done") return lock;
  try {
    const fd = openMbox(delivery.path);
    try {
      return append(fd, delivery, lock.value.held);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return temporary("2.1", `Unable to open ${delivery.line}: ${errorWords(errorCode(error))}. (#4.2.1)`);
  } finally {
    lock.value.release();
  }
}

function openMbox(path: string): number {
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_DSYNC | safeFlags;
  const fd = openSync(path, flags, 0o600);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw Object.assign(new Error("no regular file"), { code: "EINVAL" });
}

function append(fd: number, delivery: MboxDelivery, locked: boolean): Outcome<Stored> {
  const { dev: device, size } = fstatSync(fd);
  const stored = done({ device, mark: delivery.mark });
  const earlier = readMark(delivery.mark);
  let oldLength = size;
  if (earlier) {
    const entry = entryOf(delivery.content, earlier.fromLine, isLineOpen(fd, earlier.oldLength));
    if (size >= earlier.oldLength && isAt(fd, earlier.oldLength, entry)) {
      if (size >= earlier.oldLength + entry.octets) return stored;
      if (locked) ftruncateSync(fd, earlier.oldLength);
      oldLength = locked ? earlier.oldLength : size;
    } else if (earlier.isDone)
      return stored; // a reader has changed the mbox since
    else if (locked && isTorn(fd, earlier.oldLength, entry)) {
      ftruncateSync(fd, earlier.oldLength);
      oldLength = earlier.oldLength;
    }
    remove(delivery.mark);
  }
  const entry = entryOf(delivery.content, delivery.fromLine, isLineOpen(fd, oldLength));
  const mark = writeMark(delivery, oldLength);
  try {
    writeContent(fd, entry);
    if (mark !== undefined) writeSync(mark, "done\n");
    return stored;
  } catch (error) {
    if (locked) ftruncateSync(fd, oldLength);
    remove(delivery.mark);
    return temporary("3.0", `Unable to write ${delivery.line}: ${errorWords(errorCode(error))}. (#4.3.0)`);
  } finally {
    if (mark !== undefined) closeSync(mark);
  }
}

/** Whether the file ends in the beginning of the entry and then zeros: what a power cut leaves of an append. */
function isTorn(fd: number, position: number, entry: Content): boolean {
  const length = fstatSync(fd).size - position;
  if (length <= 0 || length > entry.octets) return false;
  let at = 0;
  let isZero = false;
  for (const piece of entry.pieces()) {
    const expected = piece.subarray(0, length - at);
    const there = Buffer.alloc(expected.length);
    for (let got = 0; got < there.length; ) {
      const more = readSync(fd, there, got, there.length - got, position + at + got);
      if (more === 0) return false;
      got += more;
    }
    for (let n = 0; n < there.length; n++) {
      if (there[n] === 0 && expected[n] !== 0) isZero = true;
      if (there[n] !== (isZero ? 0 : expected[n])) return false;
    }
    at += expected.length;
    if (at === length) return true;
  }
  return true;
}

/** The octets of one mbox entry. `lineIsOpen`: what is there does not end its last line. */
function entryOf(content: Content, fromLine: string, lineIsOpen: boolean): Content {
  const head = Buffer.from((lineIsOpen ? "\n" : "") + fromLine, "latin1");
  function* pieces(): Generator<Buffer> {
    yield head;
    const quoter = createMboxQuoter();
    for (const piece of content.pieces()) yield* quoter.write(piece);
    yield* quoter.end();
  }
  let octets = 0;
  for (const piece of pieces()) octets += piece.length;
  return { octets, pieces };
}

function isLineOpen(fd: number, length: number): boolean {
  const last = Buffer.alloc(1);
  return length > 0 && readSync(fd, last, 0, 1, length - 1) === 1 && last[0] !== 10;
}

interface Mark {
  readonly oldLength: number;
  readonly fromLine: string;
  readonly isDone: boolean;
}

/** A mark that is not whole was written before anything was appended. */
function readMark(path: string): Mark | undefined {
  let text: string;
  try {
    text = readFileSync(path, { encoding: "latin1", flag: constants.O_RDONLY | safeFlags });
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const [oldLength = "", fromLine = "", ...rest] = text.split("\n");
  if (!/^[0-9]{1,15}$/.test(oldLength) || !fromLine.startsWith("From ") || rest.length === 0) return undefined;
  return { oldLength: Number(oldLength), fromLine: `${fromLine}\n`, isDone: rest[0] === "done" };
}

function writeMark(delivery: MboxDelivery, oldLength: number): number | undefined {
  try {
    remove(delivery.mark);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_DSYNC | safeFlags;
    const fd = openSync(delivery.mark, flags, 0o600);
    writeSync(fd, `${oldLength}\n${delivery.fromLine}`, null, "latin1");
    return fd;
  } catch {
    return undefined;
  }
}
