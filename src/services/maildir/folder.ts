import { lstatSync, mkdirSync, opendirSync } from "node:fs";
import { remove } from "./store.ts";

/** Readers may remove files in tmp/ that nobody touched for this long; so may we. */
export const staleAfterMs = 36 * 3_600_000;
const maxEntriesLookedAt = 10_000;

/** Makes a Maildir, and the folders above it, for nobody but its owner. What exists stays. Throws the system's error. */
export function makeMaildir(folder: string): void {
  for (const part of ["tmp", "new", "cur"]) mkdirSync(`${folder}/${part}`, { recursive: true, mode: 0o700 });
}

/**
 * Removes regular files from `folder` that nobody touched since 36 hours before `nowMs` and whose names `isOurs`: marks
 * whose delivery was never settled, files of deliveries that were interrupted. What cannot be read or removed stays.
 */
export function removeStale(folder: string, nowMs: number, isOurs: (name: string) => boolean): void {
  try {
    using entries = opendirSync(folder);
    for (let n = 0; n < maxEntriesLookedAt; n++) {
      const entry = entries.readSync();
      if (!entry) return;
      if (!isOurs(entry.name)) continue;
      const stat = lstatSync(`${folder}/${entry.name}`, { throwIfNoEntry: false });
      const touchedMs = Math.max(stat?.atimeMs ?? nowMs, stat?.ctimeMs ?? nowMs);
      if (stat?.isFile() && touchedMs < nowMs - staleAfterMs) remove(`${folder}/${entry.name}`);
    }
  } catch {}
}
