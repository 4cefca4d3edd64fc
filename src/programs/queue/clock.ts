/** Time, for the whole program: so that tests and simulation can have their own. */
export interface Clock {
  /** What people call the time; may jump. */
  wallMs(): number;
  /** Only goes forward. */
  steadyMs(): number;
  /** Calls at the end of this loop turn, when all that came in has been looked at. */
  soon(call: () => unknown): void;
  /** Calls once, after so long; the result calls it off. */
  after(ms: number, call: () => unknown): () => void;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  steadyMs: () => performance.now(),
  soon: (call) => void setImmediate(call),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

export const pause = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => clock.after(ms, () => resolve()));
