import type { World } from "./world.ts";

/** In one simulated second so much happens at most, unless the queue runs in circles. */
const eventsPerSecond = 200_000;
const turnsAtOnce = 200;

/**
 * Lets happen what the world has in store, until nothing is left, `isDone` says so, or something is wrong. `before` is
 * called with the number of each event before it happens. Returns how many there were.
 */
export async function play(
  world: World,
  isDone: () => boolean,
  before: (event: number) => void = () => {},
): Promise<number> {
  const { oracle, timeline } = world;
  let threw: string | undefined;
  const onThrow = (error: unknown) => {
    threw ??= `the queue threw ${error instanceof Error ? error.stack : String(error)}`;
  };
  process.on("unhandledRejection", onThrow);
  let events = 0;
  let secondMs = 0;
  let thisSecond = 0;
  const turn = (): boolean => {
    if (oracle.violation || isDone()) return false;
    before(events);
    const call = timeline.next();
    if (!call) return false;
    if (timeline.steadyMs - secondMs > 1_000) {
      secondMs = timeline.steadyMs;
      thisSecond = 0;
    }
    if (++thisSecond >= eventsPerSecond) oracle.expect(false, () => "the queue runs in circles");
    try {
      call();
    } catch (error) {
      onThrow(error);
    }
    world.check();
    events++;
    return true;
  };
  await new Promise(setImmediate);
  for (let more = true; more && !threw; ) {
    more = await takeTurns(turn);
    await new Promise(setImmediate); // rejections nobody handles are found here
  }
  if (threw) oracle.expect(false, () => threw ?? "");
  process.off("unhandledRejection", onThrow);
  return events;
}

/**
 * Takes turns until there are none, or that many were. A tick asked for by a microtask comes when no microtask is left:
 * so each turn finds all promises served that the last one settled, as a turn of the event loop does, for less.
 */
const takeTurns = (turn: () => boolean): Promise<boolean> =>
  new Promise((resolve) => {
    let left = turnsAtOnce;
    const step = (): void => {
      const more = turn();
      if (more && --left > 0) process.nextTick(queueMicrotask, step);
      else resolve(more);
    };
    process.nextTick(queueMicrotask, step);
  });
