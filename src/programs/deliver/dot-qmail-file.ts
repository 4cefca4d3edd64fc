import { constants } from "node:fs";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import type { OwnerFiles } from "../../protocol/dot-qmail/owner.ts";
import { type Candidate, dotQmailNames, ownerNames } from "../../protocol/dot-qmail/search.ts";
import { done, type Failure, type Outcome, temporary } from "../../protocol/outcome.ts";
import { errorCode, pathOf, readAll } from "../../services/maildir/file.ts";
import type { Files } from "../../services/maildir/files.ts";
import type { Home } from "./home.ts";

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

type Place = Omit<Home, "makesMaildir">;

/** The names it may have, the first that exists counts. */
export const candidatesIn = ({ dash, extension, isTagged = false }: Place): readonly Candidate[] =>
  isTagged ? [...dotQmailNames(dash, extension), ...dotQmailNames("", "")] : dotQmailNames(dash, extension);

/** The file that says what is to be done with this mail; `undefined` when there is none. */
export function findDotQmail(files: Files, home: Place): Outcome<DotQmail | undefined> {
  for (const { name, matched } of candidatesIn(home)) {
    const read = readDotQmail(files, `${home.path}/${pathOf(name)}`, name);
    if (read.kind !== "done") return read;
    if (read.value) return done({ ...read.value, matched });
  }
  return done(undefined);
}

/** Which of the owner files exist, whatever they are. */
export function findOwnerFiles(files: Files, home: string, dash: string, extension: string): Outcome<OwnerFiles> {
  const names = ownerNames(dash, extension);
  const owner = exists(files, `${home}/${pathOf(names.owner)}`, names.owner);
  if (owner.kind !== "done" || !owner.value) return owner.kind === "done" ? done({ owner: false, verp: false }) : owner;
  const verp = exists(files, `${home}/${pathOf(names.verp)}`, names.verp);
  return verp.kind === "done" ? done({ owner: true, verp: verp.value }) : verp;
}

function readDotQmail(files: Files, path: string, name: string): Outcome<Omit<DotQmail, "matched"> | undefined> {
  try {
    if (!files.stat(path)?.isFile()) return done(undefined);
    const fd = files.open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = files.fstat(fd);
      if (!stat.isFile()) return done(undefined);
      if (stat.mode & otherWritable) return temporary("7.0", "Uh-oh: .qmail file is writable. (#4.7.0)");
      if (stat.size > maxDotQmailOctets) return cannotOpen(name, "EFBIG");
      return done({ text: readAll(files, fd), forwardOnly: (stat.mode & ownerExecutes) !== 0 });
    } finally {
      files.close(fd);
    }
  } catch (error) {
    const code = errorCode(error);
    return mayBeThere(code) ? cannotOpen(name, code) : done(undefined);
  }
}

function exists(files: Files, path: string, name: string): Outcome<boolean> {
  try {
    return done(files.stat(path) !== undefined);
  } catch (error) {
    const code = errorCode(error);
    return mayBeThere(code) ? cannotOpen(name, code) : done(false);
  }
}

/** Whether an error leaves it open: one that nobody thought of must not send the mail another way. */
const mayBeThere = (code: string): boolean => !absentCodes.includes(code);
const absentCodes: readonly string[] = ["ENOENT", "ENOTDIR", "ENAMETOOLONG"];

const cannotOpen = (name: string, code: string): Failure =>
  temporary("3.0", `Unable to open ${name}: ${errorWords(code)}. (#4.3.0)`);
