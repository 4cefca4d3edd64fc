/** Counts what clients do, each under a key of its own; what was counted goes again, evenly within an hour. */
export interface Meter {
  /** Adds to what `key` has done. */
  add(key: string, count: number, nowSeconds: number): void;
  /** Would `count` more be more than an hour's share? Never with a limit of 0. */
  exceeds(key: string, count: number, nowSeconds: number): boolean;
  limit(perHour: number): void;
}

interface Bucket {
  readonly level: number;
  readonly atSeconds: number;
}

const hourSeconds = 3_600;

/**
 * A bucket for each key that holds `perHour` and empties at that rate. Remembers `maxKeys` of them: of more it forgets
 * who was counted longest ago. `nowSeconds` never goes back.
 */
export function createMeter(perHour: number, maxKeys: number): Meter {
  let most = perHour;
  const buckets = new Map<string, Bucket>();
  const levelOf = (key: string, nowSeconds: number): number => {
    const bucket = buckets.get(key);
    return bucket ? Math.max(0, bucket.level - ((nowSeconds - bucket.atSeconds) * most) / hourSeconds) : 0;
  };
  return {
    add(key, count, nowSeconds) {
      const level = levelOf(key, nowSeconds) + count;
      buckets.delete(key); // so that the order is that of the last counting
      const [oldest] = buckets.size >= maxKeys ? buckets.keys() : [];
      if (oldest !== undefined) buckets.delete(oldest);
      buckets.set(key, { level, atSeconds: nowSeconds });
    },
    exceeds: (key, count, nowSeconds) => most > 0 && levelOf(key, nowSeconds) + count > most,
    limit(fresh) {
      most = fresh;
    },
  };
}
