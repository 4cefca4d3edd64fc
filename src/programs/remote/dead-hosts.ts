interface Entry {
  timeouts: number;
  lastMs: number;
}

const maxEntries = 1_000;
const maxTimeouts = 10;
/** Timeouts closer together count as one. */
const apartMs = 120_000;

/**
 * Addresses that keep our connections waiting, as qmail's tcpto table: after two timeouts at least two minutes apart an
 * address is left alone for about an hour. `spread` (0 <= n < 1) makes that hour differ between processes.
 */
export class DeadHosts {
  readonly #entries = new Map<string, Entry>();
  readonly #blockMs: number;

  constructor(spread: number) {
    this.#blockMs = (60 + Math.floor(32 * spread)) * 64_000;
  }

  isDead(address: string, nowMs: number): boolean {
    const entry = this.#entries.get(address);
    return entry !== undefined && entry.timeouts >= 2 && nowMs - entry.lastMs < this.#blockMs;
  }

  onTimeout(address: string, nowMs: number): void {
    const entry = this.#entries.get(address);
    if (!entry) {
      if (this.#entries.size >= maxEntries) this.#dropLeast();
      this.#entries.set(address, { timeouts: 1, lastMs: nowMs });
    } else if (nowMs - entry.lastMs >= apartMs) {
      entry.timeouts = Math.min(entry.timeouts + 1, maxTimeouts);
      entry.lastMs = nowMs;
    }
  }

  /** It accepted or refused a connection: there is somebody. */
  onAnswer(address: string): void {
    this.#entries.delete(address);
  }

  #dropLeast(): void {
    const worth = (entry: Entry) => entry.lastMs + entry.timeouts * 1_024_000;
    let least: readonly [string, Entry] | undefined;
    for (const each of this.#entries) if (!least || worth(each[1]) < worth(least[1])) least = each;
    if (least) this.#entries.delete(least[0]);
  }
}
