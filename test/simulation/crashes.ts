import { play } from "./play.ts";
import { faults } from "./profile.ts";
import { Submitter } from "./submitter.ts";
import { dayMs, type Options, World } from "./world.ts";

/** A crash before the event of that number. */
export interface Crash {
  readonly at: number;
  readonly power: boolean;
  /** The batch that was being written is on disk all the same. */
  readonly found: boolean;
  /** What was delivered but not flushed is gone. */
  readonly loses: boolean;
}

const restartMs = 1_000;
const enoughMs = dayMs;
const forwardPaths = ["user0@here.org", "fwd0@here.org", "bad@d1.example", "r0@d2.example"];

/**
 * One message to a mailbox, to a forward (which goes on to a mailbox and to a remote address), to a remote recipient
 * and to one that is rejected, so that a bounce follows. Its sender repeats it until it is acknowledged. The world
 * crashes as told. Returns what was wrong, and how many events it took.
 */
export async function crashAt(
  crashes: readonly Crash[],
  options: Pick<Options, "mutant" | "trace"> = {},
): Promise<{ readonly violation: string | undefined; readonly events: number }> {
  const world = new World(1, { steps: 0, without: new Set(faults), ...options });
  const { oracle, timeline, disk } = world;
  disk.mood.mostMs = 5;
  world.manners.mostMs = 5;
  let tries = 0;
  let isStored = false;
  let emptySinceMs = Infinity;
  world.onStored = () => {
    isStored = true;
  };
  const boot = (): void => {
    world.boot();
    const submitter = world.peers.find((peer) => peer instanceof Submitter);
    if (isStored || !(submitter instanceof Submitter)) return;
    const token = `Token: ${++tries}`;
    const mail = { token, body: `${token}\n\n`, reversePath: "s@here.org", forwardPaths };
    world.mails.set(token, mail);
    submitter.abandons = 0;
    submitter.submit(mail);
  };
  const isDone = (): boolean => {
    const { steadyMs } = timeline;
    oracle.expect(steadyMs < enoughMs, () => "a day later not all is done");
    if (!isStored || oracle.alive.size > 0 || !world.isUp) emptySinceMs = Infinity;
    else emptySinceMs = Math.min(emptySinceMs, steadyMs);
    return steadyMs - emptySinceMs > restartMs;
  };
  let next = 0;
  const before = (event: number): void => {
    const crash = crashes[next];
    disk.found = crash?.found ?? false;
    if (crash?.at !== event) return;
    next++;
    if (!world.isUp) return; // nothing there to crash
    world.loses = crash.loses;
    world.crash(crash.power);
    timeline.after(restartMs, world.life, boot);
  };
  boot();
  const events = await play(world, isDone, before);
  oracle.checkEnd();
  if (world.queue) oracle.checkEmpty(world.queue.sizes());
  world.crash(false);
  if (oracle.violation) world.say(() => `VIOLATION: ${oracle.violation}`);
  return { violation: oracle.violation, events };
}

/** How a crash may go. A kill leaves what the others have written to the machine, which goes on. */
export const kinds: readonly Omit<Crash, "at">[] = [
  { power: false, found: false, loses: false },
  { power: false, found: true, loses: false },
  { power: true, found: false, loses: false },
  { power: true, found: false, loses: true },
  { power: true, found: true, loses: false },
  { power: true, found: true, loses: true },
];
