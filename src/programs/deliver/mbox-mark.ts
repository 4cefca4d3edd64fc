import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { errorCode, readText, safeFlags, writePiece } from "../../services/maildir/file.ts";
import type { Files } from "../../services/maildir/files.ts";
import { remove } from "../../services/maildir/store.ts";

/** What a delivery writes down before it appends to an mbox: all it takes to recognize its entry later. */
export interface Mark {
  /** Of the mbox, before. */
  readonly oldLength: number;
  /** Of what it appends. */
  readonly octets: number;
  readonly digest: string;
  readonly fromLine: string;
  /** "begun": it is appending, or was killed while it did. "cut": it could not, and took back what it had written. */
  readonly state: State;
}
type State = "begun" | "done" | "cut";

const states: readonly State[] = ["begun", "done", "cut"];

/** A mark that is not whole was written before anything was appended. Throws the system's error. */
export function readMark(files: Files, path: string): Mark | undefined {
  let text: string;
  try {
    text = readText(files, path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const [, oldLength, octets, digest, fromLine, rest] =
    /^([0-9]{1,15}) ([0-9]{1,15}) ([0-9a-f]{64})\n(From .*\n)([\s\S]*)$/.exec(text) ?? [];
  if (digest === undefined || fromLine === undefined || rest === undefined) return undefined;
  // A torn line of an earlier attempt may stand before a word.
  const words = rest.split("\n").flatMap((line) => states.filter((state) => line.endsWith(state)));
  return { oldLength: Number(oldLength), octets: Number(octets), digest, fromLine, state: words.at(-1) ?? "begun" };
}

/**
 * Writes the mark, or, `again`, the same over what is there, which may not be on disk. False in a home where no file can
 * be made. Throws the system's error where one could.
 */
export function writeMark(files: Files, path: string, mark: Omit<Mark, "state">, again: boolean): boolean {
  if (!again) remove(files, path);
  const flags = (again ? 0 : constants.O_CREAT | constants.O_EXCL) | constants.O_WRONLY | constants.O_DSYNC | safeFlags;
  let fd: number;
  try {
    fd = files.open(path, flags, 0o600);
  } catch (error) {
    if (unwritable.includes(errorCode(error))) return false;
    throw error;
  }
  try {
    writePiece(files, fd, Buffer.from(`${mark.oldLength} ${mark.octets} ${mark.digest}\n${mark.fromLine}`, "latin1"));
    return true;
  } finally {
    files.close(fd);
  }
}

const unwritable: readonly string[] = ["EACCES", "EPERM", "EROFS", "ERR_ACCESS_DENIED"];

/** The last state is the one that counts. Throws the system's error. */
export function addState(files: Files, path: string, state: State): void {
  const fd = files.open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_DSYNC | safeFlags);
  try {
    writePiece(files, fd, Buffer.from(`${state}\n`, "latin1"));
  } finally {
    files.close(fd);
  }
}
