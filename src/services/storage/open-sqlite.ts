import { existsSync, lstatSync, renameSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { salvage } from "./salvage.ts";
import { databaseFile, openDatabase } from "./sqlite.ts";
import { isDamage, isPassing } from "./sqlite-errors.ts";
import type { Storage } from "./storage.ts";

export interface OpenedStorage {
  readonly storage: Storage;
  /** What the administrator must know of: a damaged file, and what became of its messages. */
  readonly alerts: readonly string[];
}

/** Past so many pages of 4 KiB (16 TiB) the disk counts as full. */
const mostPages = 2 ** 32 - 2;

/**
 * Opens the queue's file in `folder`. A damaged one is set aside as `queue.sqlite.corrupt-TIME`, and what can be read of
 * it is taken over into a fresh one: a start after any crash needs nobody. Temporary when the folder cannot be used, or
 * another process has the file.
 */
export async function openSqliteStorage(
  folder: string,
  nowMs: number,
  maxPages = mostPages,
): Promise<Outcome<OpenedStorage>> {
  try {
    const damage = findDamage(databaseFile(folder));
    if (damage === undefined) return done({ storage: openDatabase(folder, maxPages), alerts: [] });
    return await startAfresh(folder, nowMs, damage, maxPages);
  } catch (error) {
    if (isDamage(error)) return await startAfresh(folder, nowMs, String(error), maxPages);
    if (!isPassing(error)) throw error;
    const why = error instanceof Error ? error.message : String(error);
    return temporary("3.1", `cannot open ${databaseFile(folder)}: ${why}`);
  }
}

/** In a larger file the bodies are not checked: that could take minutes. */
const maxCheckedOctets = 268_435_456;

/** What is wrong with the file, if anything. */
function findDamage(file: string): string | undefined {
  const there = lstatSync(file, { throwIfNoEntry: false });
  if (!there) return undefined;
  // A link is refused below: somebody made it, and there may be a queue at its end.
  if (!there.isFile() && !there.isSymbolicLink()) return "it is no regular file";
  const database = new DatabaseSync(file);
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE"); // else a log needs a second file beside it, which needs room
    const tables = ["message", "recipient", "destination", "failure", "options", "dsn"];
    if (statSync(file).size <= maxCheckedOctets) tables.push("chunk");
    for (const table of tables) {
      const exists = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(table);
      const found = exists && database.prepare(`PRAGMA quick_check(${table})`).get();
      if (found && found.quick_check !== "ok") return String(found.quick_check);
    }
    return undefined;
  } catch (error) {
    if (isDamage(error)) return error instanceof Error ? error.message : String(error);
    throw error;
  } finally {
    database.close();
  }
}

async function startAfresh(
  folder: string,
  nowMs: number,
  damage: string,
  maxPages: number,
): Promise<Outcome<OpenedStorage>> {
  const file = databaseFile(folder);
  const aside = `${file}.corrupt-${nowMs}`;
  for (const suffix of ["-wal", "-shm", ""]) {
    if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix);
  }
  const storage = openDatabase(folder, maxPages);
  const { messages, lost } = await salvage(aside, storage);
  const saved = `${messages} messages were read out of it and are queued again, at least ${lost} could not be read`;
  return done({ storage, alerts: [`the queue's file was damaged (${damage}) and is now ${aside}: ${saved}`] });
}
