import { Buffer } from "node:buffer";
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { errorWords, isTemporaryError } from "../../protocol/dot-qmail/error-words.ts";
import type { OwnerFiles } from "../../protocol/dot-qmail/owner.ts";
import { dotQmailNames, ownerNames } from "../../protocol/dot-qmail/search.ts";
import { done, type Failure, type Outcome, temporary } from "../../protocol/outcome.ts";
import { errorCode, pathOf } from "../../services/maildir/file.ts";

export interface DotQmail {
  readonly text: string;
  /** Its owner-execute bit is set. */
  readonly forwardOnly: boolean;
  /** What `default` in its name stood for. */
  readonly matched: string | undefined;
}

/** A longer file is not read; the mail waits. */
const maxDotQmailOctets = 1_048_576;
const otherWritable = 0o002;
const ownerExecutes = 0o100;

/** The file that says what is to be done with this mail; `undefined` when there is none. */
export function findDotQmail(home: string, dash: string, extension: string): Outcome<DotQmail | undefined> {
  for (const { name, matched } of dotQmailNames(dash, extension)) {
    const read = readDotQmail(`${home}/${pathOf(name)}`, name);
    if (read.kind !== "done") return read;
    if (read.value) return done({ ...read.value, matched });
  }
  return done(undefined);
}

/** Which of the owner files exist, whatever they are. */
export function findOwnerFiles(home: string, dash: string, extension: string): Outcome<OwnerFiles> {
  const names = ownerNames(dash, extension);
  const owner = exists(`${home}/${pathOf(names.owner)}`, names.owner);
  if (owner.kind !== "done" || !owner.value) return owner.kind === "done" ? done({ owner: false, verp: false }) : owner;
  const verp = exists(`${home}/${pathOf(names.verp)}`, names.verp);
  return verp.kind === "done" ? done({ owner: true, verp: verp.value }) : verp;
}

function readDotQmail(path: string, name: string): Outcome<Omit<DotQmail, "matched"> | undefined> {
  try {
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return done(undefined);
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) return done(undefined);
      if (stat.mode & otherWritable) return temporary("7.0", "Uh-oh: .qmail file is writable. (#4.7.0)");
      if (stat.size > maxDotQmailOctets) return cannotOpen(name, "EFBIG");
      return done({ text: readText(fd, stat), forwardOnly: (stat.mode & ownerExecutes) !== 0 });
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const code = errorCode(error);
    return mayBeThere(code) ? cannotOpen(name, code) : done(undefined);
  }
}

function exists(path: string, name: string): Outcome<boolean> {
  try {
    return done(statSync(path, { throwIfNoEntry: false }) !== undefined);
  } catch (error) {
    const code = errorCode(error);
    return mayBeThere(code) ? cannotOpen(name, code) : done(false);
  }
}

/** Errors that do not say that there is no such file. */
const mayBeThere = (code: string): boolean => isTemporaryError(code) || deniedCodes.includes(code);
const deniedCodes: readonly string[] = ["EACCES", "EPERM", "ERR_ACCESS_DENIED"];

const cannotOpen = (name: string, code: string): Failure =>
  temporary("3.0", `Unable to open ${name}: ${errorWords(code)}. (#4.3.0)`);

function readText(fd: number, stat: Stats): string {
  const octets = Buffer.alloc(stat.size);
  const length = readSync(fd, octets, 0, octets.length, 0);
  return octets.toString("latin1", 0, length);
}
