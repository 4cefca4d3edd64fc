/** Lets so many jobs run at once; the others wait, a bounded number of them for a bounded time. */
export interface Turns {
  /** What `job` comes to; `undefined` when no turn came. */
  run<Value>(job: () => Promise<Value>): Promise<Value | undefined>;
}

export interface TurnLimits {
  readonly atOnce: number;
  readonly waiting: number;
  readonly waitMs: number;
}

export function createTurns({ atOnce, waiting, waitMs }: TurnLimits): Turns {
  const line = new Set<() => void>();
  let running = 0;

  const wait = (): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const called = (): void => {
      clearTimeout(clock);
      line.delete(called);
      resolve(true);
    };
    const clock = setTimeout(() => {
      line.delete(called);
      resolve(false);
    }, waitMs);
    line.add(called);
    return promise;
  };

  return {
    async run(job) {
      if (running < atOnce) running++;
      else if (line.size >= waiting || !(await wait())) return undefined;
      try {
        return await job();
      } finally {
        const [next] = line; // takes over our place
        if (next) next();
        else running--;
      }
    },
  };
}
