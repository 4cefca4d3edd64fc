import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { createHeaderSearch } from "../../protocol/dot-qmail/loop.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { type Content, safeFlags } from "../../services/maildir/file.ts";

/** Up to this a message is kept in memory until it is whole; a longer one goes to a file of its own as it comes. */
export const maxMemoryOctets = 65_536;
const readOctets = 262_144;

/** A message on its way in, then as often as wanted on its way out. */
export interface Message extends Content {
  /** The next octets; copied. False when they cannot be kept: then there is no message. */
  write(chunk: Buffer): boolean;
  /** Whether it is whole. */
  isComplete(): boolean;
  /** The loop check, made as the message came by. */
  hasLine(): boolean;
  /** A descriptor to read it from the start, for a program; the same each time. */
  descriptor(): Outcome<number>;
  /** To be called once, whatever happened. */
  close(): void;
}

/**
 * Takes a message of `octets` for the home `home`, looking for the header line `line`. Its file, if it needs one, has
 * no name any more as soon as it is open: nothing is left of it after a crash.
 */
export function receiveMessage(octets: number, home: string, line: string): Message {
  const search = createHeaderSearch(line);
  const chunks: Buffer[] = [];
  let received = 0;
  let found = false;
  let spool: number | undefined;

  const keep = (chunk: Buffer): boolean => {
    if (octets <= maxMemoryOctets) {
      chunks.push(Buffer.from(chunk));
      return true;
    }
    spool ??= openSpool(home);
    return spool !== undefined && append(spool, chunk);
  };
  return {
    octets,
    write(chunk) {
      received += chunk.length;
      found = search(chunk);
      return received <= octets && keep(chunk);
    },
    isComplete: () => received === octets,
    hasLine: () => found,
    *pieces() {
      if (octets <= maxMemoryOctets) yield* chunks;
      else if (spool !== undefined) yield* readAll(spool, octets);
    },
    descriptor() {
      if (spool !== undefined) return done(spool);
      const fd = openSpool(home);
      if (fd === undefined) return noFile;
      if (!chunks.every((chunk) => append(fd, chunk))) {
        closeSync(fd);
        return noFile;
      }
      spool = fd;
      return done(fd);
    },
    close() {
      if (spool !== undefined) closeSync(spool);
      spool = undefined;
    },
  };
}

const noFile = temporary("3.0", "Unable to read message. (#4.3.0)");

/** A file without a name on the file system of the home: in its Maildir's tmp, where a leftover does not matter. */
function openSpool(home: string): number | undefined {
  for (const folder of [`${home}/Maildir/tmp`, home]) {
    try {
      const path = `${folder}/postern-${randomUUID()}`;
      const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | safeFlags, 0o600);
      unlinkSync(path);
      return fd;
    } catch {}
  }
  return undefined;
}

function append(fd: number, chunk: Buffer): boolean {
  try {
    for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    return true;
  } catch {
    return false;
  }
}

function* readAll(fd: number, octets: number): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(readOctets);
  for (let at = 0; at < octets; ) {
    const length = readSync(fd, buffer, 0, Math.min(readOctets, octets - at), at);
    if (length === 0) throw new RangeError(`the message's file ends after ${at} of ${octets} octets`);
    yield buffer.subarray(0, length);
    at += length;
  }
}
