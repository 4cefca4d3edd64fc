import { Fifo } from "./fifo.ts";
import type { ChannelName, Job } from "./scheduler.ts";

/** All we have in memory of one destination. */
export interface Lane {
  readonly channel: ChannelName;
  readonly destination: string;
  /** Waiting recipients, those of one message together. */
  readonly ready: Fifo<Job[]>;
  /** Recipients here: waiting and being delivered. */
  claimed: number;
  /** Deliveries under way. */
  running: number;
  /** How often in a row it could not be reached. While over 0, one delivery at a time finds out. */
  failures: number;
  blockedUntilMs: number;
  /** Counts changes of fortune: a delivery started before the last one says nothing new. */
  epoch: number;
  /** The turn in which it stands, of those of its channel. */
  inTurn: Fifo<Lane> | undefined;
  /** The last answer said that it makes the reverse-paths of VERP itself. */
  expandsVerp: boolean;
}

const firstBlockMs = 60_000;
const longestBlockMs = 3_600_000;

/** How long a destination is left alone after so many failures in a row: a minute, doubled up to an hour. */
export const blockMs = (failures: number): number =>
  Math.min(longestBlockMs, firstBlockMs * 2 ** Math.min(failures - 1, 10));

export const createLane = (channel: ChannelName, destination: string): Lane => ({
  channel,
  destination,
  ready: new Fifo(),
  claimed: 0,
  running: 0,
  failures: 0,
  blockedUntilMs: 0,
  epoch: 0,
  inTurn: undefined,
  expandsVerp: false,
});

export function addJob(lane: Lane, job: Job): void {
  const group = lane.ready.last;
  if (group?.[0]?.message === job.message) group.push(job);
  else lane.ready.push([job]);
  lane.claimed++;
}

/** Recipients of one delivery must fit one frame, addresses and all. */
const maxAddressOctets = 48_000;

/** The recipients of the next delivery: of one message, at most `most`. The lane must not be empty. */
export function takeJobs(lane: Lane, most: number): Job[] {
  const group = lane.ready.first ?? [];
  let count = 0;
  let octets = 0;
  for (const { forwardPath, shares } of group) {
    const alone = shares === "never" || (shares === "XVERP" && !lane.expandsVerp);
    octets += forwardPath.length + 8;
    if (count > 0 && (alone || count >= most || octets > maxAddressOctets)) break;
    count++;
    if (alone) break;
  }
  if (count < group.length) return group.splice(0, count);
  lane.ready.shift();
  return group;
}

/** Takes waiting recipients out of the lane; says how many there were. */
export function dropJobs(lane: Lane, dropped: ReadonlySet<Job>): number {
  const before = lane.claimed;
  const kept: Job[][] = [];
  for (const group of lane.ready.drain()) {
    const rest = group.filter((job) => !dropped.has(job));
    lane.claimed -= group.length - rest.length;
    if (rest.length > 0) kept.push(rest);
  }
  lane.ready.replace(kept);
  return before - lane.claimed;
}
