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
  readonly #timer: NodeJS.Timeout;

  constructor(tickMs: number, now: () => number) {
    this.now = now;
    this.#timer = setInterval(() => this.#tick(), tickMs).unref();
  }

  add(watched: Watched): void {
    this.#watched.add(watched);
  }

  delete(watched: Watched): void {
    this.#watched.delete(watched);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = this.now();
    for (const watched of this.#watched) if (watched.deadlineMs <= nowMs) watched.expire();
  }
}
