import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { createMboxQuoter } from "../../protocol/mbox/quote.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { type Content, errorCode, readText, safeFlags, writeContent, writePiece } from "../../services/maildir/file.ts";
import type { Files } from "../../services/maildir/files.ts";
import { isAt, remove, type Stored } from "../../services/maildir/store.ts";
import type { Ground } from "./ground.ts";
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
export async function appendOnce(
  ground: Ground,
  delivery: MboxDelivery,
  signal: AbortSignal,
): Promise<Outcome<Stored>> {
  const { files } = ground;
  const first = tryLock(ground, delivery.path);
  const lock = first === "taken" ? await waitForLock(ground, delivery.path, signal) : first;
  if (lock.kind !== "done") return lock;
  try {
    const fd = openMbox(files, delivery.path);
    try {
      return append(files, fd, delivery, lock.value.held);
    } finally {
      files.close(fd);
    }
  } catch (error) {
    return temporary("2.1", `Unable to open ${delivery.line}: ${errorWords(errorCode(error))}. (#4.2.1)`);
  } finally {
    lock.value.release();
  }
}

function openMbox(files: Files, path: string): number {
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_DSYNC | safeFlags;
  const fd = files.open(path, flags, 0o600);
  if (files.fstat(fd).isFile()) return fd;
  files.close(fd);
  throw Object.assign(new Error("no regular file"), { code: "EINVAL" });
}

function append(files: Files, fd: number, delivery: MboxDelivery, locked: boolean): Outcome<Stored> {
  const { dev: device, size } = files.fstat(fd);
  const stored = done({ device, mark: delivery.mark });
  const earlier = readMark(files, delivery.mark);
  let resumed: Mark | undefined;
  if (earlier) {
    const { oldLength, isDone } = earlier;
    const entry = entryOf(delivery.content, earlier.fromLine, isLineOpen(files, fd, oldLength));
    if (isDone && size === oldLength) return stored; // a reader has taken it away
    const isBegun = size >= oldLength && isAt(files, fd, oldLength, entry);
    if (isBegun && size >= oldLength + entry.octets) {
      if (isDone || !locked) return stored;
      writeAgain(files, delivery.path, { position: oldLength, entry });
      completeMark(files, delivery.mark);
      return stored;
    }
    if (isDone && !isBegun) return stored; // a reader has changed the mbox since
    if (locked && (isBegun || isTorn(files, fd, oldLength, entry))) {
      files.truncate(fd, oldLength);
      resumed = earlier;
    }
    if (isDone || !resumed) remove(files, delivery.mark);
  }
  const oldLength = resumed?.oldLength ?? size;
  const fromLine = resumed?.fromLine ?? delivery.fromLine;
  const entry = entryOf(delivery.content, fromLine, isLineOpen(files, fd, oldLength));
  let isMarked = false;
  try {
    isMarked = writeMark(files, delivery.mark, { oldLength, fromLine }, resumed?.isDone === false);
    writeContent(files, fd, entry);
  } catch (error) {
    // The mark stays: should a power cut undo the cut, a repetition knows what it sees.
    if (locked) files.truncate(fd, oldLength);
    return temporary("3.0", `Unable to write ${delivery.line}: ${errorWords(errorCode(error))}. (#4.3.0)`);
  }
  if (isMarked) completeMark(files, delivery.mark);
  return stored;
}

/** Whether the file ends in the beginning of the entry and then zeros: what a power cut leaves of an append. */
function isTorn(files: Files, fd: number, position: number, entry: Content): boolean {
  const length = files.fstat(fd).size - position;
  if (length <= 0 || length > entry.octets) return false;
  let at = 0;
  let isZero = false;
  for (const piece of entry.pieces()) {
    const expected = piece.subarray(0, length - at);
    const there = Buffer.alloc(expected.length);
    for (let got = 0; got < there.length; ) {
      const more = files.read(fd, there, got, there.length - got, position + at + got);
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

function isLineOpen(files: Files, fd: number, length: number): boolean {
  const last = Buffer.alloc(1);
  return length > 0 && files.read(fd, last, 0, 1, length - 1) === 1 && last[0] !== 10;
}

interface Mark {
  readonly oldLength: number;
  readonly fromLine: string;
  readonly isDone: boolean;
}

/** A mark that is not whole was written before anything was appended. A torn "done" may stand before the last one. */
function readMark(files: Files, path: string): Mark | undefined {
  let text: string;
  try {
    text = readText(files, path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const [oldLength = "", fromLine = "", ...rest] = text.split("\n");
  if (!/^[0-9]{1,15}$/.test(oldLength) || !fromLine.startsWith("From ") || rest.length === 0) return undefined;
  return {
    oldLength: Number(oldLength),
    fromLine: `${fromLine}\n`,
    isDone: rest.some((line) => line.endsWith("done")),
  };
}

const doneLine = Buffer.from("done\n", "latin1");

/** Who wrote this may have been killed before it was on disk. (There is no fsync behind our walls.) */
function writeAgain(files: Files, path: string, { position, entry }: { position: number; entry: Content }): void {
  const fd = files.open(path, constants.O_WRONLY | constants.O_DSYNC | safeFlags);
  try {
    let at = position;
    for (const piece of entry.pieces()) {
      for (let from = 0; from < piece.length; ) from += files.write(fd, piece, from, at + from);
      at += piece.length;
    }
  } finally {
    files.close(fd);
  }
}

/** What was appended is whole, and a reader may take it away from now on. */
function completeMark(files: Files, path: string): void {
  try {
    const fd = files.open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_DSYNC | safeFlags);
    try {
      writePiece(files, fd, doneLine);
    } finally {
      files.close(fd);
    }
  } catch {}
}

/**
 * Writes the mark, or, `again`, the same over what is there, which may not be on disk. False in a home where no file can
 * be made. Throws the system's error where one could.
 */
function writeMark(files: Files, path: string, mark: Omit<Mark, "isDone">, again: boolean): boolean {
  if (!again) remove(files, path);
  const flags = (again ? 0 : constants.O_CREAT | constants.O_EXCL) | constants.O_WRONLY | constants.O_DSYNC | safeFlags;
  let fd: number;
  try {
    fd = files.open(path, flags, 0o600);
  } catch (error) {
    if (unwritable.includes(errorCode(error))) return false;
    throw error;
  }
  try {
    writePiece(files, fd, Buffer.from(`${mark.oldLength}\n${mark.fromLine}`, "latin1"));
    return true;
  } finally {
    files.close(fd);
  }
}

const unwritable: readonly string[] = ["EACCES", "EPERM", "EROFS", "ERR_ACCESS_DENIED"];
