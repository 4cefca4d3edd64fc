import { Buffer } from "node:buffer";
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  unlinkSync,
} from "node:fs";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { type Content, errorCode, safeFlags, writeContent } from "./file.ts";

/** A message in a Maildir, not yet flushed. */
export interface Stored {
  /** The file system it is on, as in `stat().dev`. */
  readonly device: number;
  /** The file that tells a repetition that this was done; to be removed once none can come. */
  readonly mark: string;
}

const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | safeFlags;

/**
 * Stores a message under `name` in the Maildir `folder`, once, however often this is called with the same name and
 * however it was interrupted, until the mark is removed: also when a reader has moved or deleted the message since.
 *
 *   create tmp/NAME, write      torn, if it stays alone
 *   link tmp/NAME.q (the mark)  not delivered, as long as tmp/NAME is the same file
 *   rename to new/NAME          delivered
 *
 * Flushes nothing. All failures are temporary, with qmail's texts (spec §6.8).
 */
export function storeOnce(folder: string, name: string, content: Content): Outcome<Stored> {
  const fresh = `${folder}/tmp/${name}`;
  const mark = `${fresh}.q`;
  const delivered = `${folder}/new/${name}`;
  let made: "nothing" | "fresh" | "fresh and mark" = "nothing";
  try {
    const fd = createFresh(fresh, mark);
    made = "fresh";
    const device = writeAndClose(fd, content);
    if (!linked(fresh, mark)) {
      if (holds(mark, content)) {
        unlinkSync(fresh);
        renew(mark);
        return done({ device, mark });
      }
      removeTorn(mark, delivered);
      linkSync(fresh, mark);
    }
    made = "fresh and mark";
    renameSync(fresh, delivered);
    return done({ device, mark });
  } catch {
    // A mark without tmp/NAME would say "delivered": it goes first, and if it cannot go, both stay.
    if (made === "fresh" || (made === "fresh and mark" && remove(mark))) remove(fresh);
    return failure(folder);
  }
}

/** Removes a mark or a file; false if it is still there, or was not. What stays is removed when it is stale. */
export function remove(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Opens tmp/NAME, after clearing what an interrupted delivery left there. */
function createFresh(fresh: string, mark: string): number {
  try {
    return openSync(fresh, createFlags, 0o600);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
  const left = statOf(fresh);
  if (left && left.ino === statOf(mark)?.ino) unlinkSync(mark); // never renamed: not delivered
  if (left) unlinkSync(fresh);
  return openSync(fresh, createFlags, 0o600);
}

function writeAndClose(fd: number, content: Content): number {
  try {
    writeContent(fd, content);
    return fstatSync(fd).dev;
  } finally {
    closeSync(fd);
  }
}

function linked(fresh: string, mark: string): boolean {
  try {
    linkSync(fresh, mark);
    return true;
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    return false;
  }
}

/** A power cut may keep the names of a file and lose what was in it: the mark is believed only with the message. */
function holds(mark: string, content: Content): boolean {
  const fd = openSync(mark, constants.O_RDONLY | safeFlags);
  try {
    const stat = fstatSync(fd);
    return stat.isFile() && stat.size === content.octets && isAt(fd, 0, content);
  } finally {
    closeSync(fd);
  }
}

/** Whether the file has exactly this content at `position`, or, if it ends before, the beginning of it. */
export function isAt(fd: number, position: number, content: Content): boolean {
  let at = position;
  for (const piece of content.pieces()) {
    const there = Buffer.allocUnsafe(piece.length);
    let length = 0;
    while (length < piece.length) {
      const got = readSync(fd, there, length, piece.length - length, at + length);
      if (got === 0) return there.subarray(0, length).equals(piece.subarray(0, length));
      length += got;
    }
    if (!there.equals(piece)) return false;
    at += length;
  }
  return true;
}

/** The mark's file is the delivered one, unless a reader has taken that away. */
function removeTorn(mark: string, delivered: string): void {
  if (statOf(mark)?.ino === statOf(delivered)?.ino) unlinkSync(delivered);
  unlinkSync(mark);
}

/** Makes the mark as young as this attempt, for those who remove old files: linking changes the time of the inode. */
function renew(mark: string): void {
  try {
    linkSync(mark, `${mark}k`);
    unlinkSync(`${mark}k`);
  } catch {}
}

const statOf = (path: string): Stats | undefined => lstatSync(path, { throwIfNoEntry: false });

function failure(folder: string): ReturnType<typeof temporary> {
  let isFolder = false;
  try {
    isFolder = lstatSync(`${folder}/.`, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {}
  if (!isFolder) return temporary("2.1", "Unable to chdir to maildir. (#4.2.1)");
  return temporary("3.0", "Temporary error on maildir delivery. (#4.3.0)");
}
