import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { sizeInName } from "../../protocol/maildir/file-name.ts";
import {
  hasRoom,
  isSameQuota,
  maxSizeFileOctets,
  parseSizeFile,
  type Quota,
  type SizeFile,
  sizeFileText,
  type Usage,
} from "../../protocol/maildir/quota.ts";
import { errorCode, safeFlags, writePiece } from "./file.ts";
import type { Files } from "./files.ts";
import { sizePath } from "./note-change.ts";
import { remove } from "./store.ts";

/** Whether a message may still be stored; "unlimited" where there is no quota, and nothing to be noted. */
export type Room = "unlimited" | "room" | "full";

/** Older, a file is not believed that a mailbox is full: readers may have removed messages and told nobody. */
const believedMs = 15 * 60_000;
const maxSubfolders = 1_000;

/**
 * Whether `octets` more fit into the Maildir `folder`, by its `maildirsize` (Maildir++), or by the quota `given`, which
 * goes before that and is written there. Counts before it says "full", unless that was done just now. Whatever goes
 * wrong makes room: no mail is refused for a file that cannot be read.
 */
export function roomIn(files: Files, folder: string, octets: number, nowMs: number, given?: Quota): Room {
  try {
    const read = readSizeFile(files, folder);
    const quota = given ?? read?.quota;
    if (!quota) return "unlimited";
    const more = { octets, messages: 1 };
    if (read?.usage && isSameQuota(read.quota, quota)) {
      if (hasRoom(quota, read.usage, more)) return "room";
      if (read.isFresh && nowMs - read.writtenMs < believedMs) return "full";
    }
    return hasRoom(quota, countAnew(files, folder, quota), more) ? "room" : "full";
  } catch {
    return given ? "room" : "unlimited";
  }
}

/** `undefined` when there is none, or it says nothing. */
function readSizeFile(files: Files, folder: string): (SizeFile & { readonly writtenMs: number }) | undefined {
  const fd = openIfThere(files, sizePath(folder));
  if (fd === undefined) return undefined;
  try {
    const stat = files.fstat(fd);
    if (!stat.isFile()) return undefined;
    const octets = Buffer.alloc(maxSizeFileOctets + 1);
    const length = files.read(fd, octets, 0, octets.length, 0);
    const parsed = parseSizeFile(octets.toString("latin1", 0, length));
    return parsed && { ...parsed, writtenMs: stat.mtimeMs };
  } finally {
    files.close(fd);
  }
}

function openIfThere(files: Files, path: string): number | undefined {
  try {
    return files.open(path, constants.O_RDONLY | safeFlags);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Counts every message of the Maildir and its subfolders, and writes that down. Throws the system's error. */
function countAnew(files: Files, folder: string, quota: Quota): Usage {
  const usage = { octets: 0, messages: 0 };
  const parts = [folder, ...subfolders(files, folder)].flatMap((place) => [`${place}/new`, `${place}/cur`]);
  const version = (): string => parts.map((part) => files.stat(part)?.mtimeMs).join();
  const before = version();
  for (const part of parts) addUsage(files, part, usage);
  // Somebody was at work meanwhile, and has noted that in the old file: that one stays.
  if (version() === before) writeSizeFile(files, folder, sizeFileText(quota, usage));
  return usage;
}

function subfolders(files: Files, folder: string): readonly string[] {
  const found: string[] = [];
  for (const name of files.names(folder)) {
    if (found.length >= maxSubfolders) break;
    if (/^\.[^.]/.test(name) && files.lstat(`${folder}/${name}`)?.isDirectory()) found.push(`${folder}/${name}`);
  }
  return found;
}

function addUsage(files: Files, part: string, usage: { octets: number; messages: number }): void {
  if (!files.lstat(part)?.isDirectory()) return;
  for (const name of files.names(part)) {
    if (name.startsWith(".")) continue;
    usage.octets += sizeInName(name) ?? files.lstat(`${part}/${name}`)?.size ?? 0;
    usage.messages++;
  }
}

function writeSizeFile(files: Files, folder: string, text: string): void {
  const path = `${folder}/tmp/maildirsize.${randomUUID()}`;
  try {
    const fd = files.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | safeFlags, 0o600);
    try {
      writePiece(files, fd, Buffer.from(text, "latin1"));
    } finally {
      files.close(fd);
    }
    files.rename(path, sizePath(folder));
  } catch {
    remove(files, path);
  }
}
