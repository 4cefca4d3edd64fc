/** Something that must not last for ever. */
export interface Watched {
  /** On the clock of the watch; may be moved at any time. */
  readonly deadlineMs: number;
  /** Called once a tick from the deadline on, until it is no longer watched. */
  expire(): void;
}

/** One coarse timer for all that waits: setting a deadline costs a number. Late by at most a tick. */
export class Watch {
  readonly now: () => number;
  readonly #watched = new Set<Watched>();
  readonly #stop: () => void;

  /** `everyTick` calls what it is given once a tick, until what it returns is called. */
  constructor(now: () => number, everyTick: (tick: () => void) => () => void) {
    this.now = now;
    this.#stop = everyTick(() => this.#tick());
  }

  add(watched: Watched): void {
    this.#watched.add(watched);
  }

  delete(watched: Watched): void {
    this.#watched.delete(watched);
  }

  [Symbol.dispose](): void {
    this.#stop();
  }

  #tick(): void {
    const nowMs = this.now();
    for (const watched of this.#watched) if (watched.deadlineMs <= nowMs) watched.expire();
  }
}
