import { randomBytes } from "node:crypto";
import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";

/** What the log may hold before it is taken over into the file, and some for the log after that. */
const reserveOctets = 20 * 1_048_576;
/** Given back only to a disk that has so much besides. */
const besideOctets = 12 * 1_048_576;
const retryMs = 1_000;

/**
 * A file that keeps space on the queue's disk: on a full one, what is queued can still be delivered, bounced and written
 * down. Others may take what is given out. A disk without room for it counts as full.
 */
export class Reserve {
  readonly #folder: string;
  readonly #file: string;
  #isOut: boolean;
  #triedMs = -retryMs;

  constructor(folder: string) {
    this.#folder = folder;
    this.#file = join(folder, "reserve");
    this.#isOut = !this.#make();
  }

  /** Whether the disk was full, and has not had room for the reserve since. */
  get isOut(): boolean {
    return this.#isOut;
  }

  /** Gives its space to whoever writes; false when there was none to give. */
  release(): boolean {
    this.#isOut = true;
    try {
      rmSync(this.#file);
      return true;
    } catch {
      return false;
    }
  }

  /** Makes it again if there is room. Asks the disk no more than once a second. */
  retake(): void {
    const nowMs = performance.now();
    if (nowMs - this.#triedMs < retryMs) return;
    this.#triedMs = nowMs;
    this.#isOut = !this.#make();
  }

  #make(): boolean {
    try {
      const there = statSync(this.#file, { throwIfNoEntry: false });
      if (there && there.blocks * 512 >= reserveOctets) return true;
      const { bavail, bsize } = statfsSync(this.#folder);
      if (bavail * bsize < reserveOctets + besideOctets) return false;
      fill(this.#file);
      return true;
    } catch {
      rmSync(this.#file, { force: true });
      return false;
    }
  }
}

/** With octets that no file system can make less of. */
function fill(file: string): void {
  const octets = randomBytes(1_048_576);
  const descriptor = openSync(file, "w", 0o600);
  try {
    for (let at = 0; at < reserveOctets; ) at += writeSync(descriptor, octets, 0, octets.length, at);
  } finally {
    closeSync(descriptor);
  }
}
