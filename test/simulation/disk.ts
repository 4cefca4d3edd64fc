import { done, type Outcome, temporary } from "../../src/protocol/outcome.ts";
import { MemoryStorage } from "../../src/services/storage/memory.ts";
import type { Change, ClaimedRecipient, Counts, Storage } from "../../src/services/storage/storage.ts";
import type { Random } from "./random.ts";
import type { Life, Timeline } from "./timeline.ts";

/** How the disk behaves just now. */
export interface DiskMood {
  /** Nothing new fits; what ends messages still does. */
  full: boolean;
  /** Every write fails. */
  broken: boolean;
  /** Probability that a read fails. */
  readFailure: number;
  /** Longest wait for one operation. */
  mostMs: number;
}

const full = temporary("3.1", "cannot write the queue: no space left on device");
const broken = temporary("3.0", "cannot use the queue: input/output error");

/**
 * The memory storage as a disk that takes its time, fails, and survives crashes. A batch is applied at the beginning or
 * at the end of its wait: so a crash in between finds it there, though nobody was told, or finds nothing of it.
 */
export class Disk {
  readonly mood: DiskMood = { full: false, broken: false, readFailure: 0, mostMs: 5 };
  /** Whether a crash finds the batch that is being written; undefined for either. */
  found: boolean | undefined;
  readonly #memory = new MemoryStorage();
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #committed: (changes: readonly Change[]) => void;

  constructor(timeline: Timeline, random: Random, committed: (changes: readonly Change[]) => void) {
    this.#timeline = timeline;
    this.#random = random;
    this.#committed = committed;
  }

  /** The store as one process sees it; once that is dead it never answers again. */
  open(life: Life, onClaimed: (claimed: readonly ClaimedRecipient[], askedMs: number) => void): Storage {
    const memory = this.#memory.reopen();
    const read = async <Value>(ask: () => Promise<Outcome<Value>>): Promise<Outcome<Value>> => {
      const isEarly = this.#random.chance(0.5);
      if (!isEarly) await this.#wait(life);
      if (this.#random.chance(this.mood.readFailure)) return broken;
      const outcome = await ask();
      if (isEarly) await this.#wait(life);
      return outcome;
    };
    const claim = (ask: () => Promise<Outcome<readonly ClaimedRecipient[]>>) => {
      const askedMs = this.#timeline.wallMs;
      return read(async () => {
        const claimed = await ask();
        if (claimed.kind === "done") onClaimed(claimed.value, askedMs);
        return claimed;
      });
    };
    return {
      instance: memory.instance,
      lastClockMs: memory.lastClockMs,
      nextId: () => memory.nextId(),
      apply: (changes) => this.#apply(changes, life),
      claim: (due) => claim(() => memory.claim(due)),
      claimOverdue: (overdue) => claim(() => memory.claimOverdue(overdue)),
      nextDueMs: (channel) => read(() => memory.nextDueMs(channel)),
      message: (id) => read(() => memory.message(id)),
      chunk: (body, number) => read(() => memory.chunk(body, number)),
      failures: (message, sequence, limit) => read(() => memory.failures(message, sequence, limit)),
      list: (after, limit, recipients) => read(() => memory.list(after, limit, recipients)),
      search: (after, wanted) => read(() => memory.search(after, wanted)),
      recipients: (message, after, limit) => read(() => memory.recipients(message, after, limit)),
      blocked: (nowMs, limit) => read(() => memory.blocked(nowMs, limit)),
      counts: () => read(() => memory.counts()),
      isMarked: (name) => read(() => memory.isMarked(name)),
      close: () => this.#wait(life),
    };
  }

  /** What is there, as someone sees who need not wait. */
  async counts(): Promise<Counts> {
    const counts = await this.#memory.counts();
    if (counts.kind !== "done") throw new Error("a store in memory cannot be read");
    return counts.value;
  }

  async #apply(changes: readonly Change[], life: Life): Promise<Outcome<undefined>> {
    const needsRoom = changes.some(({ kind }) => kind === "message" || kind === "chunk");
    const failure = this.mood.broken ? broken : this.mood.full && needsRoom ? full : undefined;
    const isEarly = this.found ?? this.#random.chance(0.5);
    if (!failure && isEarly) await this.#commit(changes);
    await this.#wait(life);
    if (failure) return failure;
    if (!isEarly) await this.#commit(changes);
    return done(undefined);
  }

  #commit(changes: readonly Change[]): Promise<unknown> {
    this.#committed(changes);
    return this.#memory.apply(changes);
  }

  #wait(life: Life): Promise<void> {
    if (life.dead) return new Promise(() => {});
    if (this.#random.chance(0.3)) return Promise.resolve();
    const ms = this.#random.next() * this.mood.mostMs;
    return new Promise((resolve) => this.#timeline.after(ms, life, resolve));
  }
}
