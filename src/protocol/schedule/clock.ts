/** The wall clock may drift from the steady one by so much between two looks before we call it a jump. */
const driftMs = 60_000;
/** Across a restart the clock cannot be followed: only a step back, or so long a silence, counts as a jump. */
const silenceMs = 86_400_000;
/** For so long after a jump no attempt is a message's last. */
const graceMs = 3_600_000;

/**
 * Watches the wall clock, by which messages age, against one that only goes forward. After a jump, of the clock or over
 * a day's standstill, no message dies for an hour: each has at least one more attempt, and the administrator time to
 * set the clock right. `observe` says which way it jumped. Times in ms.
 */
export class ClockWatch {
  #wallMs: number;
  #steadyMs: number;
  #jumpedAtMs: number | undefined;
  /** The clock is behind what was written down before the start. */
  readonly behind: boolean;

  constructor(wallMs: number, steadyMs: number, lastWallMs: number) {
    this.#wallMs = wallMs;
    this.#steadyMs = steadyMs;
    this.behind = wallMs < lastWallMs - driftMs;
    if (this.behind || (lastWallMs > 0 && wallMs > lastWallMs + silenceMs)) this.#jumpedAtMs = steadyMs;
  }

  observe(wallMs: number, steadyMs: number): "forward" | "back" | undefined {
    const jumpMs = this.#jumpMs(wallMs, steadyMs);
    this.#wallMs = wallMs;
    this.#steadyMs = steadyMs;
    if (Math.abs(jumpMs) <= driftMs) return undefined;
    this.#jumpedAtMs = steadyMs;
    return jumpMs > 0 ? "forward" : "back";
  }

  /** Whether ages can be trusted enough to give a message up: no jump, also none that `observe` has still to see. */
  isSettled(wallMs: number, steadyMs: number): boolean {
    if (Math.abs(this.#jumpMs(wallMs, steadyMs)) > driftMs) return false;
    return this.#jumpedAtMs === undefined || steadyMs - this.#jumpedAtMs > graceMs;
  }

  #jumpMs(wallMs: number, steadyMs: number): number {
    return wallMs - this.#wallMs - (steadyMs - this.#steadyMs);
  }
}
