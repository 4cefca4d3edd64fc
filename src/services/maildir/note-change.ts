import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { changeLine, type Usage } from "../../protocol/maildir/quota.ts";
import { safeFlags, writePiece } from "./file.ts";
import type { Files } from "./files.ts";

/** Where Maildir++ keeps what a Maildir holds, and may hold. */
export const sizePath = (folder: string): string => `${folder}/maildirsize`;

/** Notes that messages came or, with numbers below 0, went. Never fails: what is not noted is counted one day. */
export function noteChange(files: Files, folder: string, change: Usage): void {
  try {
    const fd = files.open(sizePath(folder), constants.O_WRONLY | constants.O_APPEND | safeFlags);
    try {
      if (files.fstat(fd).isFile()) writePiece(files, fd, Buffer.from(changeLine(change), "latin1"));
    } finally {
      files.close(fd);
    }
  } catch {}
}
