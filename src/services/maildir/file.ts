import { Buffer } from "node:buffer";
import { constants, writeSync, writevSync } from "node:fs";

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

/** Writes all of it, in one call when it is small. Throws the system's error; a short write that repeats ends in one. */
export function writeContent(fd: number, content: Content): void {
  if (content.octets > maxGatheredOctets) {
    for (const piece of content.pieces()) writePiece(fd, piece, 0);
    return;
  }
  const pieces = [...content.pieces()];
  let written = writevSync(fd, pieces);
  if (written === content.octets) return;
  for (const piece of pieces) {
    if (written < piece.length) writePiece(fd, piece, written);
    written = Math.max(0, written - piece.length);
  }
}

/** The name of a system error, whatever was thrown. */
export const errorCode = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown";

const maxGatheredOctets = 131_072;

function writePiece(fd: number, piece: Buffer, from: number): void {
  for (let at = from; at < piece.length; ) at += writeSync(fd, piece, at);
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}
