import type { Failure, Outcome } from "../../protocol/outcome.ts";

/** Flushes file systems for many deliveries at once. */
export interface Flusher {
  /**
   * Calls `then` when all of `folders` (descriptors, by device) have been flushed: with the others of this loop turn,
   * once for each device. The descriptors must stay open until the next turn.
   */
  add(folders: ReadonlyMap<number, number>, then: (failure: Failure | undefined) => void): void;
}

interface Waiting {
  readonly folders: ReadonlyMap<number, number>;
  readonly then: (failure: Failure | undefined) => void;
}

/** `sync` flushes the file system that a descriptor is on, and waits: see `syncFileSystem`. */
export function createFlusher(sync: (folder: number) => Outcome<void>): Flusher {
  let waiting: Waiting[] = [];

  const flush = (): void => {
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
    add(folders, then) {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push({ folders, then });
    },
  };
}
