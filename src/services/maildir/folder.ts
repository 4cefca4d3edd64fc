import type { Files } from "./files.ts";
import { remove } from "./store.ts";

/** Readers may remove files in tmp/ that nobody touched for this long; so may we. */
export const staleAfterMs = 36 * 3_600_000;
const maxEntriesLookedAt = 10_000;

/** Makes a Maildir, and the folders above it, for nobody but its owner. What exists stays. Throws the system's error. */
export function makeMaildir(files: Files, folder: string): void {
  for (const part of ["tmp", "new", "cur"]) files.makeFolder(`${folder}/${part}`);
}

/**
 * Removes regular files from `folder` that nobody touched since 36 hours before `nowMs` and whose names `isOurs`: marks
 * whose delivery was never settled, files of deliveries that were interrupted. What cannot be read or removed stays.
 */
export function removeStale(files: Files, folder: string, nowMs: number, isOurs: (name: string) => boolean): void {
  try {
    let looked = 0;
    for (const name of files.names(folder)) {
      if (++looked > maxEntriesLookedAt) return;
      if (!isOurs(name)) continue;
      const stat = files.lstat(`${folder}/${name}`);
      const touchedMs = Math.max(stat?.atimeMs ?? nowMs, stat?.ctimeMs ?? nowMs);
      if (stat?.isFile() && touchedMs < nowMs - staleAfterMs) remove(files, `${folder}/${name}`);
    }
  } catch {}
}
