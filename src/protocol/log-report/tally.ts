/** What is counted of one key. */
export interface Count {
  messages: number;
  octets: number;
  success: number;
  deferral: number;
  failure: number;
  /** Sum over successes of the time since the message came. */
  delayMs: number;
}

/** So many different keys are counted exactly. */
export const maxKeys = 50_000;

const empty = (): Count => ({ messages: 0, octets: 0, success: 0, deferral: 0, failure: 0, delayMs: 0 });
const add = (to: Count, from: Count): void => {
  to.messages += from.messages;
  to.octets += from.octets;
  to.success += from.success;
  to.deferral += from.deferral;
  to.failure += from.failure;
  to.delayMs += from.delayMs;
};

export const attemptsOf = ({ success, deferral, failure }: Count): number => success + deferral + failure;
const weightOf = (count: Count): number => attemptsOf(count) + count.messages;

/**
 * Counts by key. Exact for up to 50,000 keys; when there are more, the half that was seen least is put together as
 * `others`, and what is left of its keys later is too little by what went there.
 */
export class Tally {
  readonly others: Count = empty();
  #counts = new Map<string, Count>();
  #isExact = true;

  get isExact(): boolean {
    return this.#isExact;
  }
  get size(): number {
    return this.#counts.size;
  }

  of(key: string): Count {
    const known = this.#counts.get(key);
    if (known) return known;
    if (this.#counts.size >= maxKeys) this.#halve();
    const fresh = empty();
    this.#counts.set(key, fresh);
    return fresh;
  }

  /** The most, by `weigh`, with those of no weight left out. */
  top(limit: number, weigh: (count: Count) => number): readonly (readonly [string, Count])[] {
    return [...this.#counts]
      .filter(([, count]) => weigh(count) > 0)
      .sort(([a, one], [b, other]) => weigh(other) - weigh(one) || (a < b ? -1 : 1))
      .slice(0, limit);
  }

  #halve(): void {
    this.#isExact = false;
    const sorted = [...this.#counts].sort(([, one], [, other]) => weightOf(other) - weightOf(one));
    for (const [, count] of sorted.slice(maxKeys / 2)) add(this.others, count);
    this.#counts = new Map(sorted.slice(0, maxKeys / 2));
  }
}
