/** Each bucket reaches two in a hundred further than the one before: percentiles are right to that. */
const growth = Math.log(1.02);

/** Counts of times (milliseconds), in at most some 1,500 buckets however many and however long they are. */
export class Histogram {
  count = 0;
  sumMs = 0;
  mostMs = 0;
  readonly #buckets = new Map<number, number>();

  add(ms: number): void {
    this.count++;
    this.sumMs += ms;
    if (ms > this.mostMs) this.mostMs = ms;
    const bucket = ms < 1 ? 0 : 1 + Math.floor(Math.log(ms) / growth);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
  }

  /** The time that so large a part (0 to 1) was within. */
  percentile(part: number): number {
    let left = Math.ceil(this.count * part);
    for (const [bucket, count] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      left -= count;
      if (left <= 0) return Math.min(this.mostMs, bucket === 0 ? 1 : Math.exp(bucket * growth));
    }
    return this.mostMs;
  }

  /** How many were within each of these times. */
  within(limitsMs: readonly number[]): readonly number[] {
    return limitsMs.map((limit) => {
      const last = Math.floor(Math.log(limit) / growth);
      return [...this.#buckets].reduce((sum, [bucket, count]) => (bucket <= last ? sum + count : sum), 0);
    });
  }
}
