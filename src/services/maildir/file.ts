import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { systemErrorName } from "../kernel/os-reason.ts";
import type { Files } from "./files.ts";

/** Never a link somebody put there, never a FIFO that would keep us waiting. */
export const safeFlags = constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What is to be stored, readable as often as wanted. A piece is good until the next one is asked for. */
export interface Content {
  readonly octets: number;
  pieces(): Iterable<Buffer>;
}

/** A path given as octets (latin1 text), as `node:fs` wants it. Octets that are no UTF-8 make a path that is not there. */
export const pathOf = (octets: string): string =>
  isAscii(octets) ? octets : Buffer.from(octets, "latin1").toString("utf8");

/** The octets (latin1 text) of such a path. */
export const octetsOf = (path: string): string => Buffer.from(path, "utf8").toString("latin1");

/** Writes all of it, in one call when it is small. Throws the system's error; a short write that repeats ends in one. */
export function writeContent(files: Files, fd: number, content: Content): void {
  if (content.octets > maxGatheredOctets) {
    for (const piece of content.pieces()) writePiece(files, fd, piece);
    return;
  }
  const pieces = [...content.pieces()];
  let written = files.writev(fd, pieces);
  if (written === content.octets) return;
  for (const piece of pieces) {
    if (written < piece.length) writePiece(files, fd, piece, written);
    written = Math.max(0, written - piece.length);
  }
}

/** Writes all of `piece` from `from` on. Throws the system's error. */
export function writePiece(files: Files, fd: number, piece: Buffer, from = 0): void {
  for (let at = from; at < piece.length; ) at += files.write(fd, piece, at);
}

/** All of a small file that is no link, as octets (latin1 text). Throws the system's error. */
export function readText(files: Files, path: string): string {
  const fd = files.open(path, constants.O_RDONLY | safeFlags);
  try {
    return readAll(files, fd);
  } finally {
    files.close(fd);
  }
}

/** As `readText`, of what is open already. */
export function readAll(files: Files, fd: number): string {
  const octets = Buffer.alloc(files.fstat(fd).size);
  let length = 0;
  while (length < octets.length) {
    const got = files.read(fd, octets, length, octets.length - length, length);
    if (got === 0) break;
    length += got;
  }
  return octets.toString("latin1", 0, length);
}

/** The name of a system error, whatever was thrown. */
export const errorCode = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? systemErrorName(error.code) : "unknown";

const maxGatheredOctets = 131_072;

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}
