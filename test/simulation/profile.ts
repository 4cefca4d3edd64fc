import { Random } from "./random.ts";

/** What can go wrong. Each run has some of it, seldom or often, so that no fault hides behind another. */
export const faults = [
  "crash",
  "power",
  "restart",
  "break",
  "full",
  "broken",
  "reads",
  "jump",
  "operator",
  "reload",
  "down",
  "dns",
  "lie",
  "hang",
  "defer",
  "reject",
  "breakOff",
  "large",
  "silence",
] as const;
export type Fault = (typeof faults)[number];

/** What a run is like. */
export interface Profile {
  /** How often, 0 to 1; 0 is never. */
  readonly rates: ReadonlyMap<Fault, number>;
  /** Steps are so far apart on average. */
  readonly gapMs: number;
  /** Messages at once at most. */
  readonly burst: number;
  /** So many wait from the beginning. */
  readonly backlog: number;
  readonly lifetimeSeconds: number;
  readonly diskMs: number;
  readonly deliveryMs: number;
}

/** What `seed` makes of a run, `without` some faults, and with `needed` in any case. */
export function profileOf(seed: number, without: ReadonlySet<Fault>, needed?: Fault): Profile {
  const random = new Random(seed ^ 0x5eed);
  const drawn = faults.map((fault) => [fault, random.pick([0, 0, 0.02, 0.1, 0.4])] as const);
  const rates = new Map<Fault, number>(drawn.filter(([fault, rate]) => rate > 0 && !without.has(fault)));
  if (needed !== undefined) rates.set(needed, 0.4);
  return {
    rates,
    gapMs: random.pick([1, 10, 100, 5_000, 60_000, 600_000]),
    burst: random.pick([2, 10, 40]),
    lifetimeSeconds: random.pick([600, 7_200, 86_400, 604_800]),
    diskMs: random.pick([0.1, 5, 5, 300]),
    deliveryMs: random.pick([1, 30, 30, 5_000]),
    backlog: random.chance(0.05) ? random.pick([500, 2_000, 5_000]) : 0,
  };
}
