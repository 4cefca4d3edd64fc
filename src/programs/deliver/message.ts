import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { createHeaderSearch } from "../../protocol/dot-qmail/loop.ts";
import { done, type Failure, type Outcome, temporary } from "../../protocol/outcome.ts";
import { type Content, errorCode, safeFlags } from "../../services/maildir/file.ts";
import { free } from "../../services/memory/free.ts";

/** Up to this a message is kept in memory until it is whole; a longer one goes to a file of its own as it comes. */
export const maxMemoryOctets = 65_536;
const readOctets = 262_144;

/** A message on its way in, then as often as wanted on its way out. */
export interface Message extends Content {
  /** The next octets; copied. When they cannot be kept there is no message. */
  write(chunk: Buffer): Outcome<void>;
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
  const memory = octets <= maxMemoryOctets ? Buffer.allocUnsafeSlow(octets) : undefined;
  const buffers: Buffer[] = []; // in which its file was read
  let received = 0;
  let found = false;
  let spool: number | undefined;

  const keep = (chunk: Buffer): Outcome<void> => {
    if (memory) {
      memory.set(chunk, received);
      return done(undefined);
    }
    if (spool === undefined) {
      const opened = openSpool(home);
      if (opened.kind !== "done") return opened;
      spool = opened.value;
    }
    return append(spool, chunk);
  };
  return {
    octets,
    write(chunk) {
      if (received + chunk.length > octets) return unreadable;
      found = search(chunk);
      const kept = keep(chunk);
      received += chunk.length;
      return kept;
    },
    isComplete: () => received === octets,
    hasLine: () => found,
    pieces() {
      if (memory) return [memory];
      const buffer = Buffer.allocUnsafeSlow(readOctets);
      buffers.push(buffer);
      return spool === undefined ? [] : readAll(spool, octets, buffer);
    },
    descriptor() {
      if (spool !== undefined) return done(spool);
      const opened = openSpool(home);
      if (opened.kind !== "done") return opened;
      const appended = append(opened.value, memory ?? nothing);
      if (appended.kind !== "done") {
        closeSync(opened.value);
        return appended;
      }
      spool = opened.value;
      return opened;
    },
    close() {
      if (spool !== undefined) closeSync(spool);
      spool = undefined;
      for (const buffer of memory ? [memory] : buffers.splice(0)) free(buffer);
    },
  };
}

const nothing = Buffer.alloc(0);

/** More came than was told, or less. */
export const unreadable = temporary("3.0", "Unable to read message. (#4.3.0)");

const unwritable = (error: unknown): Failure =>
  temporary("3.0", `Unable to keep message: ${errorWords(errorCode(error))}. (#4.3.0)`);

/** A file that has no name: a kill at any moment leaves nothing. Not every file system knows them. */
const withoutName = constants.O_DIRECTORY | 0o20000000; // O_TMPFILE

/** A file without a name on the file system of the home: in its Maildir's tmp, where a leftover does not matter. */
function openSpool(home: string): Outcome<number> {
  const folders = [`${home}/Maildir/tmp`, home];
  for (const folder of folders) {
    try {
      return done(openSync(folder, constants.O_RDWR | constants.O_EXCL | withoutName | safeFlags, 0o600));
    } catch {} // there is another way, which tells why not
  }
  let failure = unreadable;
  for (const folder of folders) {
    try {
      const path = `${folder}/postern-${randomUUID()}`;
      const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | safeFlags, 0o600);
      unlinkSync(path);
      return done(fd);
    } catch (error) {
      failure = unwritable(error);
    }
  }
  return failure;
}

function append(fd: number, chunk: Buffer): Outcome<void> {
  try {
    for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    return done(undefined);
  } catch (error) {
    return unwritable(error);
  }
}

function* readAll(fd: number, octets: number, buffer: Buffer): Generator<Buffer> {
  for (let at = 0; at < octets; ) {
    const length = readSync(fd, buffer, 0, Math.min(readOctets, octets - at), at);
    if (length === 0) throw new RangeError(`the message's file ends after ${at} of ${octets} octets`);
    yield buffer.subarray(0, length);
    at += length;
  }
}
