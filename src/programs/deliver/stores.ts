import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { dirname } from "node:path";
import type { Quota } from "../../protocol/maildir/quota.ts";
import { fromLine } from "../../protocol/mbox/from-line.ts";
import { type Failure, type Outcome, temporary } from "../../protocol/outcome.ts";
import type { Content } from "../../services/maildir/file.ts";
import type { Files } from "../../services/maildir/files.ts";
import { makeMaildir, removeStale, staleAfterMs } from "../../services/maildir/folder.ts";
import { type Copy, fileNameOf } from "../../services/maildir/name.ts";
import { noteChange } from "../../services/maildir/note-change.ts";
import { type Room, roomIn } from "../../services/maildir/quota.ts";
import { type Stored, storeOnce, wasBegun } from "../../services/maildir/store.ts";
import { createDotQmailFinder, type DotQmailFinder } from "./dot-qmail-finder.ts";
import type { Ground } from "./ground.ts";
import { appendOnce, type SoundMboxes } from "./mbox.ts";

/** One copy of a message on its way to the Maildir or mbox that a line names. */
export interface StoredCopy {
  /** The line as it stands, for reports. */
  readonly line: string;
  readonly path: string;
  readonly home: string;
  readonly name: Copy;
  /** A Maildir that does not exist is made. */
  readonly makesMaildir: boolean;
  /** Return-Path, Delivered-To, message. */
  readonly content: Content;
  readonly reversePath: string;
  readonly nowMs: number;
  /** The account's, for a Maildir; without it the Maildir's own counts, if it has one. */
  readonly quota: Quota | undefined;
  /** What a message gets that a Maildir has no room for. */
  readonly whenFull: Failure;
}

/** What this process remembers of the places it has written to. */
export interface Store {
  readonly ground: Ground;
  /** A folder on each file system, kept open so that `local` can flush it. */
  readonly folders: ReadonlyMap<number, number>;
  readonly soundMboxes: SoundMboxes;
  readonly findDotQmail: DotQmailFinder;
  /** Clears old leftovers from a folder of marks, once in a while. */
  tidy(folder: string, nowMs: number, isOurs: (name: string) => boolean): void;
  /** As `roomIn`. That a Maildir has no quota is remembered for a while: most have none, and need not be asked. */
  room(folder: string, octets: number, nowMs: number, given: Quota | undefined): Room;
  /** Makes sure that a folder on this file system is kept open. */
  keep(folder: string, device: number): boolean;
}

const maxTidied = 10_000;
const maxFileSystems = 64;
const unlimitedMs = 60_000;
const maxUnlimited = 10_000;

export function createStore(ground: Ground): Store {
  const tidiedMs = new Map<string, number>();
  const folders = new Map<number, number>();
  const unlimitedUntilMs = new Map<string, number>();
  return {
    ground,
    folders,
    soundMboxes: new Set(),
    findDotQmail: createDotQmailFinder(ground),
    tidy(folder, nowMs, isOurs) {
      const lastMs = tidiedMs.get(folder);
      if (lastMs !== undefined && nowMs - lastMs < staleAfterMs) return;
      if (tidiedMs.size >= maxTidied) tidiedMs.clear();
      tidiedMs.set(folder, nowMs);
      removeStale(ground.files, folder, nowMs, isOurs);
    },
    room(folder, octets, nowMs, given) {
      if (!given && nowMs < (unlimitedUntilMs.get(folder) ?? 0)) return "unlimited";
      const room = roomIn(ground.files, folder, octets, nowMs, given);
      if (room !== "unlimited") return room;
      if (unlimitedUntilMs.size >= maxUnlimited) unlimitedUntilMs.clear();
      unlimitedUntilMs.set(folder, nowMs + unlimitedMs);
      return room;
    },
    keep(folder, device) {
      if (folders.has(device)) return true;
      if (folders.size >= maxFileSystems) return false;
      const fd = openFolder(ground.files, folder, device);
      if (fd !== undefined) folders.set(device, fd);
      return fd !== undefined;
    },
  };
}

export function storeInMaildir(store: Store, copy: StoredCopy): Outcome<Stored> {
  const { files } = store.ground;
  const tmp = `${copy.path}/tmp`;
  const { octets } = copy.content;
  const name = `${fileNameOf(copy.name)},S=${octets}`; // readers need not ask for each file's size
  store.tidy(tmp, copy.nowMs, isVisible);
  const room = store.room(copy.path, octets, copy.nowMs, copy.quota);
  if (room === "full" && !wasBegun(files, copy.path, name)) return copy.whenFull;
  let stored = storeOnce(files, copy.path, name, copy.content);
  if (stored.kind !== "done" && copy.makesMaildir && !lstatOrNone(files, tmp)) {
    try {
      makeMaildir(files, copy.path);
    } catch {
      return stored;
    }
    stored = storeOnce(files, copy.path, name, copy.content);
  }
  const isNew = stored.kind === "done" && !stored.value.isRepetition;
  if (isNew && room !== "unlimited") noteChange(files, copy.path, { octets, messages: 1 });
  return kept(store, stored, tmp);
}

export async function storeInMbox(store: Store, copy: StoredCopy, signal: AbortSignal): Promise<Outcome<Stored>> {
  store.tidy(copy.home, copy.nowMs, isMboxMark);
  const which = createHash("sha256").update(copy.path).digest("hex").slice(0, 16);
  const ending = `.${which}.q`;
  const mark = `${markPrefix}${fileNameOf(copy.name)}${ending}`;
  const otherMarks = (): readonly string[] =>
    [...store.ground.files.names(copy.home)]
      .filter((name) => name.startsWith(markPrefix) && name.endsWith(ending) && name !== mark)
      .map((name) => `${copy.home}/${name}`);
  const stored = await appendOnce(
    store.ground,
    store.soundMboxes,
    {
      line: copy.line,
      path: copy.path,
      mark: `${copy.home}/${mark}`,
      otherMarks,
      fromLine: fromLine(copy.reversePath, copy.nowMs),
      content: copy.content,
    },
    signal,
  );
  return kept(store, stored, dirname(copy.path));
}

const markPrefix = ".postern-";
const isMboxMark = (name: string): boolean => name.startsWith(markPrefix) && name.endsWith(".q");
const isVisible = (name: string): boolean => !name.startsWith(".");

const kept = (store: Store, stored: Outcome<Stored>, folder: string): Outcome<Stored> =>
  stored.kind !== "done" || store.keep(folder, stored.value.device) ? stored : cannotFlush;
const cannotFlush = temporary("3.0", "Unable to open the folder of a delivery for flushing. (#4.3.0)");

function openFolder(files: Files, folder: string, device: number): number | undefined {
  try {
    const fd = files.open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    if (files.fstat(fd).dev === device) return fd;
    files.close(fd);
  } catch {}
  return undefined;
}

function lstatOrNone(files: Files, path: string): boolean {
  try {
    return files.lstat(path) !== undefined;
  } catch {
    return true;
  }
}
