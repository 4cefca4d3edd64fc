import type { Clock } from "../../src/programs/queue/clock.ts";
import type { Random } from "./random.ts";

/** A process: what it began is forgotten when it dies. */
export interface Life {
  dead: boolean;
}

interface Moment {
  readonly atMs: number;
  readonly tie: number;
  readonly life: Life;
  call: (() => unknown) | undefined;
}

const startMs = 1_700_000_000_000;

/** Simulated time and all that is to happen in it. What is due at the same moment happens in any order. */
export class Timeline {
  steadyMs = 0;
  /** By how much the wall clock was set, forward or back, in all. */
  jumpedMs = 0;
  readonly #random: Random;
  readonly #heap: Moment[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  get wallMs(): number {
    return startMs + Math.floor(this.steadyMs) + this.jumpedMs;
  }

  after(delayMs: number, life: Life, call: () => unknown): () => void {
    const moment: Moment = { atMs: this.steadyMs + delayMs, tie: this.#random.next(), life, call };
    this.#rise(moment);
    return () => {
      moment.call = undefined;
    };
  }

  /** Takes the next thing to do out of the line and goes on to its moment. */
  next(): (() => unknown) | undefined {
    for (;;) {
      const moment = this.#sink();
      if (!moment) return undefined;
      if (moment.life.dead || !moment.call) continue;
      this.steadyMs = Math.max(this.steadyMs, moment.atMs);
      return moment.call;
    }
  }

  clockOf(life: Life): Clock {
    return {
      wallMs: () => this.wallMs,
      steadyMs: () => this.steadyMs,
      soon: (call) => void this.after(0, life, call),
      after: (ms, call) => this.after(ms, life, call),
    };
  }

  #rise(moment: Moment): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(moment);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = heap[above];
      if (!other || !isBefore(moment, other)) break;
      heap[at] = other;
      at = above;
    }
    heap[at] = moment;
  }

  #sink(): Moment | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      const isRight = left && right && isBefore(right, left);
      const below = isRight ? right : left;
      if (!below || !isBefore(below, last)) break;
      heap[at] = below;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
    return first;
  }
}

const isBefore = (a: Moment, b: Moment): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.tie < b.tie);
