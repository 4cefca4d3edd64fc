import type { Failure, Outcome } from "../../protocol/outcome.ts";

/** Flushes file systems for many deliveries at once. */
export interface Flusher {
  /**
   * Calls `then` when all of `folders` (descriptors, by device) have been flushed, once for each device: with the others
   * of this loop turn or, if `mayWait`, 10 ms later at most, with whoever came meanwhile. The descriptors stay open.
   */
  add(folders: ReadonlyMap<number, number>, mayWait: boolean, then: (failure: Failure | undefined) => void): void;
  /** Flushes what waits, and tells: before descriptors are closed. */
  now(): void;
}

interface Waiting {
  readonly folders: ReadonlyMap<number, number>;
  readonly then: (failure: Failure | undefined) => void;
}

const patienceMs = 10;

/**
 * `sync` flushes the file system that a descriptor is on, and waits: see `syncFileSystem`. When so many wait as `most`
 * says they wait no longer.
 */
export function createFlusher(sync: (folder: number) => Outcome<void>, most: () => number): Flusher {
  let waiting: Waiting[] = [];
  let timer: NodeJS.Timeout | undefined;

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const group = waiting;
    waiting = [];
    const flushed = new Map<number, Outcome<void>>();
    for (const { folders } of group) {
      for (const [device, folder] of folders) if (!flushed.has(device)) flushed.set(device, sync(folder));
    }
    for (const { folders, then } of group) {
      const results = [...folders.keys()].map((device) => flushed.get(device));
      then(results.find((result): result is Failure => result !== undefined && result.kind !== "done"));
    }
  };
  return {
    add(folders, mayWait, then) {
      waiting.push({ folders, then });
      if (!mayWait || waiting.length >= most()) setImmediate(flush);
      else timer ??= setTimeout(flush, patienceMs);
    },
    now: flush,
  };
}
