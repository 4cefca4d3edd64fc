import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { type Content, errorCode, safeFlags, writeContent } from "./file.ts";
import type { Files } from "./files.ts";

/** A message in a Maildir, not yet flushed. */
export interface Stored {
  /** The file system it is on, as in `stat().dev`. */
  readonly device: number;
  /** The file that tells a repetition that this was done; to be removed once none can come. */
  readonly mark: string;
}

export interface StoredOnce extends Stored {
  /** It was there already, from an attempt that was interrupted later. */
  readonly isRepetition: boolean;
}

/** Whether `storeOnce` would find that it was stored before: then it takes no more room. */
export const wasBegun = (files: Files, folder: string, name: string): boolean =>
  files.lstat(`${folder}/tmp/${name}.q`) !== undefined;

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
export function storeOnce(files: Files, folder: string, name: string, content: Content): Outcome<StoredOnce> {
  const fresh = `${folder}/tmp/${name}`;
  const mark = `${fresh}.q`;
  const delivered = `${folder}/new/${name}`;
  let made: "nothing" | "fresh" | "fresh and mark" = "nothing";
  try {
    const fd = createFresh(files, fresh, mark);
    made = "fresh";
    const device = writeAndClose(files, fd, content);
    if (!linked(files, fresh, mark)) {
      if (holds(files, mark, content)) {
        files.unlink(fresh);
        renew(files, mark);
        return done({ device, mark, isRepetition: true });
      }
      removeTorn(files, folder, name, mark);
      files.link(fresh, mark);
    }
    made = "fresh and mark";
    files.rename(fresh, delivered);
    return done({ device, mark, isRepetition: false });
  } catch {
    // A mark without tmp/NAME would say "delivered": it goes first, and if it cannot go, both stay.
    if (made === "fresh" || (made === "fresh and mark" && remove(files, mark))) remove(files, fresh);
    return failure(files, folder);
  }
}

/** Removes a mark or a file; false if it is still there, or was not. What stays is removed when it is stale. */
export function remove(files: Files, path: string): boolean {
  try {
    files.unlink(path);
    return true;
  } catch {
    return false;
  }
}

/** Opens tmp/NAME, after clearing what an interrupted delivery left there. */
function createFresh(files: Files, fresh: string, mark: string): number {
  try {
    return files.open(fresh, createFlags, 0o600);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
  const left = files.lstat(fresh);
  if (left && left.ino === files.lstat(mark)?.ino) files.unlink(mark); // never renamed: not delivered
  if (left) files.unlink(fresh);
  return files.open(fresh, createFlags, 0o600);
}

function writeAndClose(files: Files, fd: number, content: Content): number {
  try {
    writeContent(files, fd, content);
    return files.fstat(fd).dev;
  } finally {
    files.close(fd);
  }
}

function linked(files: Files, fresh: string, mark: string): boolean {
  try {
    files.link(fresh, mark);
    return true;
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    return false;
  }
}

/** A power cut may keep the names of a file and lose what was in it: the mark is believed only with the message. */
function holds(files: Files, mark: string, content: Content): boolean {
  const fd = files.open(mark, constants.O_RDONLY | safeFlags);
  try {
    const stat = files.fstat(fd);
    return stat.isFile() && stat.size === content.octets && isAt(files, fd, 0, content);
  } finally {
    files.close(fd);
  }
}

/** Whether the file has exactly this content at `position`, or, if it ends before, the beginning of it. */
export function isAt(files: Files, fd: number, position: number, content: Content): boolean {
  let at = position;
  for (const piece of content.pieces()) {
    const there = Buffer.allocUnsafe(piece.length);
    let length = 0;
    while (length < piece.length) {
      const got = files.read(fd, there, length, piece.length - length, at + length);
      if (got === 0) return there.subarray(0, length).equals(piece.subarray(0, length));
      length += got;
    }
    if (!there.equals(piece)) return false;
    at += length;
  }
  return true;
}

/** The mark's file is the delivered one, which a reader may have moved to cur/ since, where its name begins as ours. */
function removeTorn(files: Files, folder: string, name: string, mark: string): void {
  const inode = files.lstat(mark)?.ino;
  const moved = namesIn(files, `${folder}/cur`).filter((entry) => entry.startsWith(name));
  for (const path of [`${folder}/new/${name}`, ...moved.map((entry) => `${folder}/cur/${entry}`)]) {
    if (files.lstat(path)?.ino === inode) files.unlink(path);
  }
  files.unlink(mark);
}

function namesIn(files: Files, folder: string): readonly string[] {
  try {
    return [...files.names(folder)];
  } catch {
    return []; // a Maildir without cur/
  }
}

/** Makes the mark as young as this attempt, for those who remove old files: linking changes the time of the inode. */
export function renew(files: Files, mark: string): void {
  try {
    files.link(mark, `${mark}k`);
    files.unlink(`${mark}k`);
  } catch {}
}

function failure(files: Files, folder: string): ReturnType<typeof temporary> {
  let isFolder = false;
  try {
    isFolder = files.lstat(`${folder}/.`)?.isDirectory() ?? false;
  } catch {}
  if (!isFolder) return temporary("2.1", "Unable to chdir to maildir. (#4.2.1)");
  return temporary("3.0", "Temporary error on maildir delivery. (#4.3.0)");
}
