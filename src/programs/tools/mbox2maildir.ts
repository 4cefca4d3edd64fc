import { closeSync, constants, fsyncSync, openSync, utimesSync } from "node:fs";
import { dirname } from "node:path";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { errorCode, safeFlags } from "../../services/maildir/file.ts";
import { type Files, nodeFiles } from "../../services/maildir/files.ts";
import { makeMaildir } from "../../services/maildir/folder.ts";
import { remove, storeOnce } from "../../services/maildir/store.ts";
import { withDotLock } from "./dot-lock.ts";
import { type MboxMessage, messagesOf } from "./mbox-content.ts";
import { type Call, exitDone, fail, misused } from "./tool.ts";

/** The calls it takes beside those of deliveries. */
export interface ImportFiles extends Files {
  setTime(path: string, ms: number): void;
  /** Returns when a file, or what a folder lists, is on disk. */
  flush(path: string): void;
}

const importFiles: ImportFiles = {
  ...nodeFiles,
  setTime: (path, ms) => utimesSync(path, ms / 1_000, ms / 1_000),
  flush(path) {
    const fd = openSync(path, constants.O_RDONLY);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
};

/** mbox2maildir MBOX MAILDIR: moves all messages, each once, however often it was interrupted and started again. */
export async function mbox2maildir(call: Call): Promise<number> {
  const [mbox, maildir, ...more] = call.args;
  if (mbox === undefined || maildir === undefined || more.length > 0) return misused(call, "MBOX MAILDIR");
  process.umask(0o077);
  try {
    let count = 0;
    let claimed: Outcome<boolean> = done(true);
    const locked = await withDotLock(mbox, async () => {
      claimed = claim(importFiles, mbox);
    });
    if (locked.kind !== "done") return fail(call, locked);
    if (claimed.kind !== "done") return fail(call, claimed);
    for (const _ of importClaimed(importFiles, mbox, maildir)) count++;
    process.stdout.write(`${count} messages from ${mbox} are in ${maildir}\n`);
    return exitDone;
  } catch (error) {
    const code = errorCode(error);
    const text = code === "unknown" ? String((error as Error).message) : errorWords(code);
    return fail(call, temporary("3.0", `unable to move ${mbox} to ${maildir}: ${text}; start it again to go on`));
  }
}

const working = (mbox: string): string => `${mbox}.importing`;
const imported = (mbox: string, number: number): string => `${mbox}.imported${number > 1 ? `.${number}` : ""}`;
const maxImported = 1_000;

/**
 * Puts the mbox aside, as MBOX.importing: what is delivered from now on makes a new one. An mbox that was put aside
 * before goes first. To be called under the mbox's lock. Throws the system's error.
 */
export function claim(files: ImportFiles, mbox: string): Outcome<boolean> {
  if (files.lstat(working(mbox))) return done(false);
  const stat = files.stat(mbox);
  if (!stat) return permanent("2.1", `there is no ${mbox}`);
  if (!stat.isFile()) return permanent("2.1", `${mbox} is no mbox`);
  files.rename(mbox, working(mbox));
  files.flush(dirname(mbox));
  return done(true);
}

/**
 * Moves the messages of the mbox that was put aside to a Maildir, and says so after each; afterwards it is
 * MBOX.imported. Interrupted anywhere, and started again, it goes on: `storeOnce` leaves a mark beside every message,
 * and the marks go last. Throws the system's error.
 */
export function* importClaimed(files: ImportFiles, mbox: string, maildir: string): Generator<void> {
  makeMaildir(files, maildir);
  const fd = files.open(working(mbox), constants.O_RDONLY | safeFlags);
  const marks: string[] = [];
  try {
    const { ino } = files.fstat(fd);
    for (const message of messagesOf(files, fd)) {
      marks.push(importMessage(files, maildir, ino, message));
      yield;
    }
    if (marks.length === 0 && files.fstat(fd).size > 0) throw new Error("it holds text, and no From_ line");
  } finally {
    files.close(fd);
  }
  for (const part of ["tmp", "new", "cur"]) files.flush(`${maildir}/${part}`);
  files.rename(working(mbox), freeName(files, mbox));
  files.flush(dirname(mbox));
  for (const mark of marks) remove(files, mark);
}

function freeName(files: ImportFiles, mbox: string): string {
  for (let number = 1; number < maxImported; number++) {
    if (!files.lstat(imported(mbox, number))) return imported(mbox, number);
  }
  throw new Error(`there are ${maxImported} files ${mbox}.imported.N`);
}

/** Stores one message, with its time and its flags, on disk; its mark. */
function importMessage(files: ImportFiles, maildir: string, ino: number, message: MboxMessage): string {
  const { at, dateMs, status, content, hash } = message;
  const seconds = Math.max(0, Math.floor((dateMs ?? 0) / 1_000));
  const name = `${seconds}.I${ino.toString(16)}R${at}.${hash.slice(0, 16)}`;
  const stored = storeOnce(files, maildir, name, content);
  if (stored.kind !== "done") throw new Error(stored.text);
  const fresh = `${maildir}/new/${name}`;
  files.flush(stored.value.mark);
  // Not there: a reader has it, or an earlier run came this far.
  if (files.lstat(fresh)) {
    if (dateMs !== undefined) files.setTime(fresh, dateMs);
    if (!status.isNew) files.rename(fresh, `${maildir}/cur/${name}:2,${status.flags}`);
  }
  return stored.value.mark;
}
