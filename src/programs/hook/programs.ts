import type { Outcome } from "../../protocol/outcome.ts";
import { temporary } from "../../protocol/outcome.ts";

export interface ProgramLimits {
  /** Programs at once. */
  readonly programs: number;
  /** Messages that wait for one to end, and how long each may. */
  readonly waiting: number;
  readonly waitMs: number;
  /** How long a program may take. Wait and program together: clients give up after 540 s. */
  readonly longestMs: number;
}

export const programLimits: ProgramLimits = { programs: 20, waiting: 1_000, waitMs: 60_000, longestMs: 420_000 };

/** Runs so many things at once; the others wait their turn, and fail for now when it takes too long. */
export interface Turns {
  run(job: () => Promise<Outcome<number>>): Promise<Outcome<number>>;
  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void>;
}

const busy = temporary("3.2", "too many messages are being looked at, try again later");

export function createTurns({ programs, waiting, waitMs }: ProgramLimits): Turns {
  const line: (() => void)[] = [];
  let running = 0;
  let whenIdle = (): void => {};

  /** False when no turn came in time. */
  const wait = (): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const called = (): void => {
      clearTimeout(clock);
      resolve(true);
    };
    const clock = setTimeout(() => {
      line.splice(line.indexOf(called), 1);
      resolve(false);
    }, waitMs);
    line.push(called);
    return promise;
  };

  return {
    async run(job) {
      if (running < programs) running++;
      else if (line.length >= waiting || !(await wait())) return busy;
      try {
        return await job();
      } finally {
        const next = line.shift(); // takes over our place
        if (next) next();
        else running--;
        if (running === 0) whenIdle();
      }
    },
    idle() {
      const { promise, resolve } = Promise.withResolvers<void>();
      whenIdle = resolve;
      if (running === 0) resolve();
      return promise;
    },
  };
}
