import { constants } from "node:fs";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { type Content, errorCode, safeFlags, writeContent } from "../../services/maildir/file.ts";
import type { Files } from "../../services/maildir/files.ts";
import { isAt, remove, renew, type Stored } from "../../services/maildir/store.ts";
import type { Ground } from "./ground.ts";
import { announced, type Entry, entryOf, isCutShort, isLineOpen, isTorn } from "./mbox-entry.ts";
import { type MboxLock, tryLock, waitForLock } from "./mbox-lock.ts";
import { addState, type Mark, readMark, writeMark } from "./mbox-mark.ts";

export interface MboxDelivery {
  /** As the line says it, for the report. */
  readonly line: string;
  readonly path: string;
  /** Remembers how far this delivery got. In the home, because the folder of an mbox is often nobody's to write in. */
  readonly mark: string;
  /** The marks of other deliveries to this mbox. */
  otherMarks(): readonly string[];
  /** The From_ line of this attempt. */
  readonly fromLine: string;
  /** Return-Path, Delivered-To and the message. */
  readonly content: Content;
}

/** The mboxes, by path, in which no delivery is left half done, as far as this process knows. */
export type SoundMboxes = Set<string>;
const maxSoundMboxes = 10_000;

/**
 * Appends a message to an mbox, once, however often it is repeated and wherever it was interrupted, until the mark is
 * removed. The mark is written first, so that a repetition knows every octet it should find; "done" is added at the
 * end. Each of the three writes is on disk before the next begins, or a power cut could keep the mark and lose the
 * message. Without a mark (home not writable) it is at least once.
 *
 * What another delivery was appending when its process died is cut off first: after this one nobody could.
 */
export async function appendOnce(
  ground: Ground,
  sound: SoundMboxes,
  delivery: MboxDelivery,
  signal: AbortSignal,
): Promise<Outcome<Stored>> {
  const { files } = ground;
  const first = tryLock(ground, delivery.path);
  const lock = typeof first === "string" ? await waitForLock(ground, delivery.path, signal) : first;
  if (lock.kind !== "done") return lock;
  try {
    const fd = openMbox(files, delivery.path);
    try {
      if (lock.value.held) cutWhatIsLeft(files, fd, sound, delivery, lock.value);
      return append(files, fd, sound, delivery, lock.value);
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

/** Looks for it only when a process, maybe an earlier one, may have died there. */
function cutWhatIsLeft(files: Files, fd: number, sound: SoundMboxes, delivery: MboxDelivery, lock: MboxLock): void {
  if (sound.has(delivery.path) && !lock.isTakenOver) return;
  sound.delete(delivery.path);
  for (const path of delivery.otherMarks()) {
    const mark = readMark(files, path);
    if (mark?.state !== "begun") continue;
    const entry = announced(files, fd, mark);
    if (entry) {
      writeAgain(files, delivery.path, { position: mark.oldLength, entry });
      addState(files, path, "done"); // a reader may take it from now on, before its repetition comes
      continue;
    }
    const isLeft = isCutShort(files, fd, mark);
    if (isLeft) files.truncate(fd, mark.oldLength);
    if (isLeft || files.fstat(fd).size <= mark.oldLength) addState(files, path, "cut");
  }
  if (sound.size >= maxSoundMboxes) sound.clear();
  sound.add(delivery.path);
}

function append(files: Files, fd: number, sound: SoundMboxes, delivery: MboxDelivery, lock: MboxLock): Outcome<Stored> {
  const { dev: device, size } = files.fstat(fd);
  const stored = done({ device, mark: delivery.mark });
  const entryFor = (fromLine: string, oldLength: number): Entry => {
    const entry = entryOf(delivery.content, fromLine, isLineOpen(files, fd, oldLength));
    return { ...lock.keptBy(entry), digest: entry.digest };
  };
  const earlier = readMark(files, delivery.mark);
  let resumed: Mark | undefined;
  if (earlier) {
    const { oldLength, state } = earlier;
    const isDone = state === "done";
    const entry = entryFor(earlier.fromLine, oldLength);
    if (isDone) renew(files, delivery.mark);
    if (isDone && size === oldLength) return stored; // a reader has taken it away
    const isBegun = size >= oldLength && isAt(files, fd, oldLength, entry);
    if (isBegun && size >= oldLength + entry.octets) {
      if (isDone || !lock.held) return stored;
      writeAgain(files, delivery.path, { position: oldLength, entry });
      tryToAdd(files, delivery.mark, "done");
      return stored;
    }
    if (isDone && !isBegun) return stored; // a reader has changed the mbox since
    if (lock.held && (isBegun || isTorn(files, fd, oldLength, entry))) {
      files.truncate(fd, oldLength);
      resumed = earlier;
    }
    if (isDone || !resumed) remove(files, delivery.mark);
  }
  const oldLength = resumed?.oldLength ?? size;
  const fromLine = resumed?.fromLine ?? delivery.fromLine;
  const entry = entryFor(fromLine, oldLength);
  const isAgain = resumed !== undefined && resumed.state !== "done";
  let isMarked = false;
  try {
    const mark = { oldLength, octets: entry.octets, digest: entry.digest(), fromLine };
    isMarked = writeMark(files, delivery.mark, mark, isAgain);
    if (resumed?.state === "cut") addState(files, delivery.mark, "begun");
    writeContent(files, fd, entry);
  } catch (error) {
    // The mark stays: should a power cut undo the cut, a repetition knows what it sees.
    sound.delete(delivery.path);
    if (lock.isOurs()) {
      files.truncate(fd, oldLength);
      tryToAdd(files, delivery.mark, "cut");
    }
    return temporary("3.0", `Unable to write ${delivery.line}: ${errorWords(errorCode(error))}. (#4.3.0)`);
  }
  if (isMarked) tryToAdd(files, delivery.mark, "done");
  return stored;
}

/** Should it fail, a repetition has to find the entry itself. */
function tryToAdd(files: Files, mark: string, state: "done" | "cut"): void {
  try {
    addState(files, mark, state);
  } catch {}
}

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
