import { Fifo } from "./fifo.ts";
import type { ChannelName, Job } from "./scheduler.ts";

/** Recipients of one message that wait for a delivery. */
export interface Group {
  readonly jobs: Job[];
  /** How many more important ones came later and go first. */
  overtaken: number;
}

/** All we have in memory of one destination. */
export interface Lane {
  readonly channel: ChannelName;
  readonly destination: string;
  /** Waiting recipients, those of one message together; the important first. */
  readonly ready: Fifo<Group>;
  /** Recipients here: waiting and being delivered. */
  claimed: number;
  /** Deliveries under way. */
  running: number;
  /** How often in a row it could not be reached. While over 0, one delivery at a time finds out. */
  failures: number;
  blockedUntilMs: number;
  /** Counts changes of fortune: a delivery started before the last one says nothing new. */
  epoch: number;
  /** Where it stands, in one of the turns of its channel. */
  place: Place | undefined;
  /** The last answer said that it makes the reverse-paths of VERP itself. */
  expandsVerp: boolean;
  /** So many recipients of a message it takes at once, as far as we know. */
  mostRecipients: number;
}

/** A lane in a turn. What is no longer the lane's own is passed over: it would be there twice. */
export interface Place {
  readonly lane: Lane;
  readonly turn: Fifo<Place>;
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
  place: undefined,
  expandsVerp: false,
  mostRecipients: Number.POSITIVE_INFINITY,
});

/** After so many nobody goes first any more: mail of low priority waits longer, but not for ever. */
const maxOvertaken = 100;

export function addJob(lane: Lane, job: Job): void {
  lane.claimed++;
  const last = lane.ready.last;
  if (last?.jobs[0]?.message === job.message) {
    last.jobs.push(job);
    return;
  }
  lane.ready.pushPast({ jobs: [job], overtaken: 0 }, (group) => {
    if (priorityOf(group) >= job.priority || group.overtaken >= maxOvertaken) return false;
    group.overtaken++;
    return true;
  });
}

const priorityOf = ({ jobs: [first] }: Group): number => first?.priority ?? 0;

/** Mail more important than most waits here. */
export const isUrgent = ({ ready }: Lane): boolean => ready.first !== undefined && priorityOf(ready.first) > 0;

/** Back to the front. */
export const addBack = (lane: Lane, jobs: readonly Job[]): void =>
  lane.ready.unshift({ jobs: [...jobs], overtaken: maxOvertaken });

/** Recipients of one delivery must fit one frame, addresses and all, and what was asked for them another. */
const maxAddressOctets = 48_000;

/** The recipients of the next delivery: of one message, at most `most`. The lane must not be empty. */
export function takeJobs(lane: Lane, most: number): Job[] {
  const group = lane.ready.first?.jobs ?? [];
  let count = 0;
  let octets = 0;
  for (const { forwardPath, shares, askedOctets } of group) {
    const alone = shares === "never" || (shares === "XVERP" && !lane.expandsVerp);
    octets += Math.max(forwardPath.length, askedOctets) + 8;
    if (count > 0 && (alone || count >= Math.min(most, lane.mostRecipients) || octets > maxAddressOctets)) break;
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
  const kept: Group[] = [];
  for (const { jobs, overtaken } of lane.ready.drain()) {
    const rest = jobs.filter((job) => !dropped.has(job));
    lane.claimed -= jobs.length - rest.length;
    if (rest.length > 0) kept.push({ jobs: rest, overtaken });
  }
  lane.ready.replace(kept);
  return before - lane.claimed;
}
