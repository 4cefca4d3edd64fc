/** What a delivery found out about its destination, as `ended` reports it. */
const answered = 1;
const unreachable = 2;

interface Failed {
  /** When the delivery started and ended. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly endedWallMs: number;
  /** The latest that a clock showed before it was set. */
  latestWallMs: number;
}

interface Fortune {
  /** Blocks in a row that were written down. */
  blocks: number;
  /** Deliveries that could not reach it and may have led to a block, oldest first. */
  readonly failures: Failed[];
  /** When the last of them ended that counts, or it answered: whoever started before says nothing new. */
  changedAt: number;
  /**
   * One failed that began before the last answer. To the queue, which had heard of no trouble before that answer, it is
   * the one that counts, and those that follow are not.
   */
  isDoubtful: boolean;
  /** Nothing is tried before, by the wall clock; afterwards one delivery at a time. 0 when nothing is wrong. */
  shunnedUntilMs: number;
  /** What of that is written down. Nothing is taken from disk before. */
  restsUntilMs: number;
  /** Its rest is over all the same: it answered, or was over when the clock was set back, or an operator came. */
  isRested: boolean;
  /** When it last answered, or an operator may have come: what it failed before is forgiven. */
  forgivenAt: number;
}

const firstBlockMs = 60_000;
const longestBlockMs = 3_600_000;

/**
 * Destinations in and out of reach, from what is heard at the channels: what the queue makes of it is held against
 * this. Moments are numbers that grow, as many things happen at one time.
 */
export class Fortunes {
  readonly #fortunes = new Map<string, Fortune>();
  /** Operators at work on destinations: what the queue knows may be undone at any moment. */
  #operators = 0;
  #moment = 0;

  now(): number {
    return ++this.#moment;
  }

  ended(key: string, reached: number, startedAt: number, wallMs: number): void {
    const known = this.#fortunes.get(key);
    if (reached === answered && known) forgive(known, this.now());
    if (reached !== unreachable) return;
    const fortune = known ?? newFortune();
    this.#fortunes.set(key, fortune);
    const endedAt = this.now();
    fortune.failures.push({ startedAt, endedAt, endedWallMs: wallMs, latestWallMs: wallMs });
    fortune.isDoubtful ||= startedAt < fortune.changedAt && fortune.shunnedUntilMs === 0;
    if (startedAt < fortune.changedAt || this.#operators > 0 || fortune.isDoubtful) return;
    fortune.changedAt = endedAt;
    fortune.shunnedUntilMs = wallMs + firstBlockMs;
  }

  /** What is wrong with a delivery that starts now as one of `running`; `undefined` when nothing is. */
  wrongStart(key: string, running: number, wallMs: number): string | undefined {
    const fortune = this.#fortunes.get(key) ?? newFortune();
    const untilMs = fortune.shunnedUntilMs;
    if (untilMs > wallMs) return `is tried ${untilMs - wallMs} ms early, it could not be reached`;
    if (fortune.restsUntilMs > wallMs && !fortune.isRested) return "is tried though it is left alone for now";
    return untilMs > 0 && running > 1
      ? `could not be reached, and is tried by ${running} deliveries at once`
      : undefined;
  }

  /** It could not be reached, and nobody has heard from it since, or that is not written down. */
  mayBeInTrouble(key: string): boolean {
    const fortune = this.#fortunes.get(key);
    return fortune !== undefined && (fortune.shunnedUntilMs > 0 || fortune.blocks > 0);
  }

  /** What is wrong with a block that is written down: a minute, doubled with each up to an hour, after a failure. */
  wrongBlock(key: string, untilMs: number): string | undefined {
    const fortune = this.#fortunes.get(key);
    if (!fortune) return "is left alone, though it could be reached";
    const lengthMs = Math.min(longestBlockMs, firstBlockMs * 2 ** fortune.blocks);
    const at = fortune.failures.findIndex(({ endedWallMs }) => endedWallMs + lengthMs === untilMs);
    const [cause] = fortune.failures.splice(0, at + 1).slice(-1);
    if (!cause) return `is left alone until ${untilMs}, which is not ${lengthMs} ms after it could not be reached`;
    fortune.blocks++;
    fortune.restsUntilMs = untilMs;
    const wasOver = cause.latestWallMs >= untilMs; // by the time it could be written down
    fortune.isRested = wasOver || cause.endedAt < fortune.forgivenAt || this.#operators > 0;
    return undefined;
  }

  /** Until when its mail is left on disk, or was. */
  restsUntilMs(key: string): number {
    return this.#fortunes.get(key)?.restsUntilMs ?? 0;
  }

  opened(key: string, wallMs: number): void {
    const fortune = this.#fortunes.get(key);
    if (!fortune) return;
    fortune.blocks = 0;
    fortune.restsUntilMs = Math.min(fortune.restsUntilMs, wallMs);
  }

  clamped(latestMs: number): void {
    for (const fortune of this.#fortunes.values()) fortune.restsUntilMs = Math.min(fortune.restsUntilMs, latestMs);
  }

  /** An operator may have destinations tried from here on, until `operated`. */
  operating(): void {
    this.#operators++;
    this.#doubt();
  }

  operated(): void {
    this.#operators = Math.max(0, this.#operators - 1);
    this.#doubt();
  }

  /** The clock is about to be set. */
  clockIsSet(wallMs: number): void {
    for (const fortune of this.#fortunes.values()) {
      fortune.shunnedUntilMs = 0;
      fortune.isRested ||= fortune.restsUntilMs <= wallMs;
      for (const failed of fortune.failures) failed.latestWallMs = Math.max(failed.latestWallMs, wallMs);
    }
  }

  /** The queue forgot. */
  crashed(): void {
    this.#fortunes.clear();
    this.#operators = 0;
  }

  #doubt(): void {
    const moment = this.now();
    for (const fortune of this.#fortunes.values()) forgive(fortune, moment);
  }
}

const newFortune = (): Fortune => ({
  blocks: 0,
  failures: [],
  changedAt: 0,
  isDoubtful: false,
  shunnedUntilMs: 0,
  restsUntilMs: 0,
  isRested: false,
  forgivenAt: 0,
});

/** What is known counts no more from here on; what is written down may say so later. */
function forgive(fortune: Fortune, moment: number): void {
  Object.assign(fortune, {
    isDoubtful: false,
    shunnedUntilMs: 0,
    isRested: true,
    changedAt: moment,
    forgivenAt: moment,
  });
}
