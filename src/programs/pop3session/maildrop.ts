import { Buffer } from "node:buffer";
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, renameSync, unlinkSync } from "node:fs";
import { baseName, flagsOf, sizeInName, timeInName, uidOf, withFlag } from "../../protocol/maildir/file-name.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import type { Maildrop } from "../../protocol/pop3/transaction.ts";
import { isAscii } from "../../protocol/utf8.ts";
import { errorCode, safeFlags } from "../../services/maildir/file.ts";

/** A Maildir as it was when a session began. */
export interface Snapshot extends Maildrop {
  /** Opens message `number`; `undefined` when it is not there any more, or is no plain file. */
  open(number: number): OpenMessage | undefined;
  /** "gone": somebody else was faster. */
  remove(number: number): "removed" | "gone" | "failed";
  /** Moves it to cur/, if it is in new/, and marks it as seen. */
  keep(number: number, seen: boolean): void;
}

export interface OpenMessage {
  readonly fd: number;
  readonly octets: number;
}

interface Entry {
  readonly part: "new" | "cur";
  /** Octets as latin1 text. */
  readonly name: string;
  readonly octets: number;
  readonly timeS: number;
}

/**
 * Reads new/ and cur/ of a Maildir, once. Size and time of a message come from its name; only where that has none its
 * file is looked at. A message that comes later is not seen. Messages are counted in the order of their time, then name.
 * `folder` "" is a mailbox that has no Maildir yet.
 */
export function readMaildrop(folder: string): Outcome<Snapshot> {
  const entries: Entry[] = [];
  let totalOctets = 0;
  for (const part of ["new", "cur"] as const) {
    const names = folder === "" ? done([]) : namesIn(folder, part);
    if (names.kind !== "done") return names;
    for (const name of names.value) {
      const entry = name.startsWith(".") ? undefined : entryOf(folder, part, name);
      if (!entry) continue;
      entries.push(entry);
      totalOctets += entry.octets;
    }
  }
  return done(createSnapshot(folder, entries, totalOctets));
}

function namesIn(folder: string, part: Entry["part"]): Outcome<readonly string[]> {
  try {
    return done(readdirSync(`${folder}/${part}`, "latin1"));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return done([]);
    return temporary("2.0", "unable to scan the mailbox");
  }
}

function entryOf(folder: string, part: Entry["part"], name: string): Entry | undefined {
  const octets = sizeInName(name);
  const timeS = timeInName(name);
  if (octets !== undefined && timeS !== undefined) return { part, name, octets, timeS };
  try {
    const stat = lstatSync(pathOf(folder, part, name));
    if (!stat.isFile()) return undefined;
    return { part, name, octets: octets ?? stat.size, timeS: timeS ?? Math.floor(stat.mtimeMs / 1_000) };
  } catch {
    return undefined; // gone meanwhile
  }
}

function createSnapshot(folder: string, entries: Entry[], totalOctets: number): Snapshot {
  let isSorted = false;
  const entry = (number: number): Entry => {
    if (!isSorted) entries.sort(byTime); // not before a client asks for more than STAT
    isSorted = true;
    const found = entries[number - 1];
    if (!found) throw new RangeError(`no message ${number}`);
    return found;
  };
  const at = ({ part, name }: Pick<Entry, "part" | "name">) => pathOf(folder, part, name);
  /** Where another reader has moved it to, if it has. */
  const moved = ({ name }: Entry): string | Buffer | undefined => {
    const base = baseName(name);
    const names = namesIn(folder, "cur");
    const found = names.kind === "done" ? names.value.find((each) => baseName(each) === base) : undefined;
    return found === undefined ? undefined : at({ part: "cur", name: found });
  };
  /** Does it where the message is, or where it has gone meanwhile; the system's code when it cannot be done. */
  const withMessage = (number: number, act: (path: string | Buffer) => void): string | undefined => {
    const known = entry(number);
    const first = codeOf(() => act(at(known)));
    if (first !== "ENOENT") return first;
    const elsewhere = moved(known);
    return elsewhere ? codeOf(() => act(elsewhere)) : first;
  };

  return {
    count: entries.length,
    totalOctets,
    message(number) {
      const { name, octets } = entry(number);
      return { uid: uidOf(name, digestOf), octets };
    },
    open(number) {
      let opened: OpenMessage | undefined;
      withMessage(number, (path) => {
        opened = openPlain(path);
      });
      return opened;
    },
    remove(number) {
      const code = withMessage(number, unlinkSync);
      if (code === undefined) return "removed";
      return code === "ENOENT" ? "gone" : "failed";
    },
    keep(number, seen) {
      const known = entry(number);
      const name = withFlag(known.name, seen ? "S" : "");
      if (known.part === "cur" && (!seen || flagsOf(known.name).includes("S"))) return;
      try {
        renameSync(at(known), at({ part: "cur", name }));
      } catch {} // another reader was faster
    },
  };
}

/** Of the rare name that is no unique-id. `node:crypto` is 7 ms of a session's start, for those who do need it. */
const digestOf = (octets: string): string =>
  process.getBuiltinModule("node:crypto").createHash("sha256").update(octets, "latin1").digest("base64url");

function codeOf(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return errorCode(error);
  }
}

const byTime = (one: Entry, other: Entry): number => {
  if (one.timeS !== other.timeS) return one.timeS - other.timeS;
  return one.name < other.name ? -1 : 1;
};

/** Names may be any octets; for the usual ones text does, and costs less. */
const pathOf = (folder: string, part: Entry["part"], name: string): string | Buffer =>
  isAscii(name)
    ? `${folder}/${part}/${name}`
    : Buffer.concat([Buffer.from(`${folder}/${part}/`), Buffer.from(name, "latin1")]);

/** Throws the system's error. A link could lead anywhere, a FIFO would never end. */
function openPlain(path: string | Buffer): OpenMessage | undefined {
  const fd = openSync(path, constants.O_RDONLY | safeFlags);
  try {
    const stat = fstatSync(fd);
    if (stat.isFile()) return { fd, octets: stat.size };
  } catch {} // cannot be opened, then
  closeSync(fd);
  return undefined;
}
