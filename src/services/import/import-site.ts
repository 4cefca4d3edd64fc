import { chmodSync, chownSync, existsSync, lchownSync, mkdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { readSettings } from "../../protocol/control/parse.ts";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { createRouter } from "../../protocol/routing/router.ts";
import { readControlFiles, writeControlFile } from "../control-folder/control-folder.ts";
import { isSystemLayout } from "../layout/find-layout.ts";
import type { Layout } from "../layout/layout.ts";
import { openSqliteStorage } from "../storage/open-sqlite.ts";
import { databaseFile } from "../storage/sqlite.ts";
import type { Storage } from "../storage/storage.ts";
import { newUsers } from "../users/users.ts";
import type { Importer } from "./import-message.ts";
import type { FilePlan, SitePlan } from "./site-plan.ts";

/**
 * Sees to it that the folders are there. In a whole system the server itself makes them, with their owners: permanent
 * when it has not yet.
 */
export function prepareFolders(layout: Layout): Outcome<void> {
  for (const folder of [layout.control, layout.users, layout.alias, layout.queue]) {
    if (existsSync(folder)) continue;
    if (isSystemLayout(layout))
      return permanent("3.5", `there is no ${folder}: start Postern once, it makes its folders, and stop it`);
    try {
      mkdirSync(folder, { recursive: true, mode: folder === layout.queue ? 0o700 : 0o755 });
    } catch (error) {
      return temporary("3.0", `cannot make folder ${folder}: ${(error as NodeJS.ErrnoException).code ?? error}`);
    }
  }
  return done(undefined);
}

/** Writes what is planned, each file whole or not at all; then users/cdb anew if users/assign came. */
export async function importFiles({ files }: SitePlan, layout: Layout): Promise<Outcome<void>> {
  for (const file of files) {
    const written = await writeFile(file, layout[file.place]);
    if (written.kind !== "done") return written;
  }
  if (!files.some(({ place, name, text }) => place === "users" && name === "assign" && text !== undefined)) {
    return done(undefined);
  }
  const made = await newUsers(layout.users);
  return made.kind === "done" ? done(undefined) : made;
}

async function writeFile({ name, place, text, link, mode }: FilePlan, folder: string): Promise<Outcome<void>> {
  if (text === undefined && link === undefined) return done(undefined);
  const path = join(folder, name);
  if (text !== undefined) {
    const written = await writeControlFile(folder, name, text);
    if (written.kind !== "done") return written;
  }
  try {
    if (link !== undefined) {
      rmSync(path, { force: true });
      symlinkSync(link, path);
    }
    if (mode !== undefined) chmodSync(path, mode);
    if (place === "alias" && process.getuid?.() === 0) giveTo(folder, path, lchownSync);
    return done(undefined);
  } catch (error) {
    return temporary("3.0", `cannot write ${path}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}

/** Gives a file to whom the folder belongs. */
function giveTo(folder: string, path: string, chown: (path: string, uid: number, gid: number) => void): void {
  const { uid, gid } = statSync(folder);
  chown(path, uid, gid);
}

/** The queue, opened for an import; nobody else may have it open, a running server least of all. */
export async function openQueue(layout: Layout, nowMs: number): Promise<Outcome<Storage>> {
  const umask = process.umask(0o077);
  const opened = await openSqliteStorage(layout.queue, nowMs);
  process.umask(umask);
  if (opened.kind !== "done") return { ...opened, text: `${opened.text}; is Postern running? stop it first` };
  giveQueue(layout);
  return done(opened.value.storage);
}

/** As root: the queue's files belong to whom its folder belongs. */
export function giveQueue(layout: Layout): void {
  if (process.getuid?.() !== 0) return;
  for (const suffix of ["", "-wal", "-shm"]) {
    const path = databaseFile(layout.queue) + suffix;
    if (existsSync(path)) giveTo(layout.queue, path, chownSync);
  }
}

/** How messages are routed and bounced from now on: by the control files that are here now. */
export function importerFor(layout: Layout, storage: Storage, nowMs: number): Outcome<Importer> {
  const files = readControlFiles(layout.control);
  if (files.kind !== "done") return files;
  const settings = readSettings(files.value);
  if (settings.kind !== "done") return settings;
  return done({ storage, settings: settings.value, router: createRouter(settings.value), nowMs });
}
