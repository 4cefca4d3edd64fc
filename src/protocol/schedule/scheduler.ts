import { Fifo } from "./fifo.ts";
import { addBack, addJob, blockMs, createLane, dropJobs, isUrgent, type Lane, type Place, takeJobs } from "./lane.ts";

export type ChannelName = "local" | "remote";

/** A recipient in memory, to be delivered. */
export interface Job {
  readonly message: number;
  readonly number: number;
  readonly forwardPath: string;
  readonly channel: ChannelName;
  readonly destination: string;
  readonly arrivedMs: number;
  /** How often it was tried. */
  readonly attempts: number;
  /** Whether it shares a delivery with others. One with a reverse-path of its own: where those are made there, if at all. */
  readonly shares: "always" | "XVERP" | "never";
  /** MT-PRIORITY, -9 to 9, 0 for most (RFC 6710). */
  readonly priority: number;
  /** What of the things that were asked for it goes into the delivery. */
  readonly askedOctets: number;
}

export interface Limits {
  /** Deliveries at once. */
  readonly local: number;
  readonly remote: number;
  readonly destination: number;
  /** Recipients in one remote delivery. */
  readonly transactionRecipients: number;
}

/** Recipients of one channel in memory. All others are on disk. */
export const windowRecipients = 10_000;
/** New mail leaves this much to what waits on disk, so that neither starves. */
const freshRecipients = windowRecipients * 0.8;
/** Once half the window is taken, a destination that has so many gets no more. */
const fairRecipients = 100;
/** So many urgent deliveries in a row start before one that is not. */
const mostHurried = 3;
/** Destinations in trouble that are remembered beyond their recipients. */
const maxTroubled = 10_000;

/** What a delivery says of its destination. */
export interface News {
  readonly delivery: Delivery;
  /** 0 nothing, 1 it answered, 2 it could not be reached. */
  readonly reached: number;
  /** If it answered: it makes the reverse-paths of VERP itself. */
  readonly expandsVerp?: boolean;
}

export type SchedulerEvent =
  | { readonly kind: "limits"; readonly limits: Limits }
  /** Whether there is a program to deliver through. */
  | { readonly kind: "peer"; readonly channel: ChannelName; readonly present: boolean }
  | { readonly kind: "claimed"; readonly jobs: readonly Job[] }
  /** News of the destination from a delivery that ends later: by then they would be old. */
  | ({ readonly kind: "heard" } & News)
  /** `back`: those nothing is known of, because the program died, or did not come to them: they are first again. */
  | ({
      readonly kind: "ended";
      readonly back: readonly Job[];
      /** It left some untried, since it takes no more than so many at once. */
      readonly tookOnly?: number;
    } & News)
  /** Their message is held or deleted; they have not started, and are forgotten. */
  | { readonly kind: "drop"; readonly jobs: readonly Job[] }
  /** The operator wants the destination tried. */
  | { readonly kind: "open"; readonly channel: ChannelName; readonly destination: string }
  /** The clock went back: no destination is left alone for longer. */
  | { readonly kind: "clamp"; readonly latestMs: number }
  /** Results cannot be written down now: nothing starts. */
  | { readonly kind: "pause"; readonly paused: boolean }
  /** Nothing starts any more. */
  | { readonly kind: "exit" };

export type Command =
  | { readonly kind: "start"; readonly delivery: Delivery }
  | { readonly kind: "unclaim"; readonly job: Job }
  | {
      readonly kind: "block";
      readonly channel: ChannelName;
      readonly destination: string;
      readonly untilMs: number;
    }
  | { readonly kind: "open"; readonly channel: ChannelName; readonly destination: string };

/** One delivery: recipients of one message at one destination. */
export interface Delivery {
  readonly channel: ChannelName;
  readonly destination: string;
  readonly jobs: readonly Job[];
  readonly startedMs: number;
  readonly epoch: number;
  /** The destination was out of reach the last time. */
  readonly isTrial: boolean;
}

interface ChannelState {
  readonly lanes: Map<string, Lane>;
  /** Lanes that may start a delivery: they take turns, those in trouble and those with urgent mail among themselves. */
  readonly turn: Fifo<Place>;
  readonly trials: Fifo<Place>;
  readonly urgent: Fifo<Place>;
  /** The last delivery that started was a trial. */
  wasTrial: boolean;
  /** How many urgent ones in a row started before others. */
  hurried: number;
  limit: number;
  running: number;
  /** Of these, how many are trials. */
  trying: number;
  claimed: number;
  present: boolean;
}

/**
 * Decides which recipient is delivered when: so many at once, so many at one destination, destinations in turn, none
 * that is known to be out of reach. Deterministic: no clock, no storage, no randomness; times in ms since 1970.
 */
export class Scheduler {
  readonly #channels: Readonly<Record<ChannelName, ChannelState>>;
  #limits: Limits;
  #paused = false;
  #exiting = false;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#channels = { local: channelState(limits.local), remote: channelState(limits.remote) };
  }

  running(channel: ChannelName): number {
    return this.#channels[channel].running;
  }
  limit(channel: ChannelName): number {
    return this.#channels[channel].limit;
  }
  get exiting(): boolean {
    return this.#exiting;
  }
  /** How many recipients may still be claimed from disk. */
  room(channel: ChannelName): number {
    return windowRecipients - this.#channels[channel].claimed;
  }

  /** Destinations that something is known of. */
  get destinations(): number {
    return this.#channels.local.lanes.size + this.#channels.remote.lanes.size;
  }

  /** Whether a recipient of new mail may stay in memory, when `reserved` others are about to. */
  accepts(channel: ChannelName, destination: string, reserved: number, nowMs: number): boolean {
    const state = this.#channels[channel];
    const claimed = state.claimed + reserved;
    if (claimed >= freshRecipients || this.#exiting) return false;
    const lane = state.lanes.get(destination);
    return !lane || (lane.blockedUntilMs <= nowMs && !isFull(lane, claimed));
  }

  /** Destinations that must not get more recipients now. */
  full(channel: ChannelName): readonly string[] {
    const { lanes, claimed } = this.#channels[channel];
    if (claimed < windowRecipients / 2) return [];
    return [...lanes.values()].filter((lane) => isFull(lane, claimed)).map(({ destination }) => destination);
  }

  step(event: SchedulerEvent, nowMs: number): readonly Command[] {
    const commands: Command[] = [];
    switch (event.kind) {
      case "limits":
        this.#limits = event.limits;
        this.#channels.local.limit = event.limits.local;
        this.#channels.remote.limit = event.limits.remote;
        this.#queueAll();
        break;
      case "peer":
        this.#channels[event.channel].present = event.present;
        break;
      case "claimed":
        for (const job of event.jobs) this.#add(job, nowMs, commands);
        break;
      case "heard":
        this.#heard(event, nowMs, commands);
        break;
      case "ended":
        this.#ended(event, nowMs, commands);
        break;
      case "drop":
        this.#drop(event.jobs);
        break;
      case "open":
        this.#open(event.channel, event.destination, commands);
        break;
      case "clamp":
        this.#clamp(event.latestMs);
        break;
      case "pause":
        this.#paused = event.paused;
        break;
      case "exit":
        this.#exiting = true;
        break;
      default:
        event satisfies never;
    }
    this.#start(this.#channels.local, 1, nowMs, commands);
    this.#start(this.#channels.remote, this.#limits.transactionRecipients, nowMs, commands);
    return commands;
  }

  #lane(channel: ChannelName, destination: string): Lane {
    const { lanes } = this.#channels[channel];
    const known = lanes.get(destination);
    if (known) return known;
    const lane = createLane(channel, destination);
    lanes.set(destination, lane);
    return lane;
  }

  #add(job: Job, nowMs: number, commands: Command[]): void {
    const lane = this.#lane(job.channel, job.destination);
    if (lane.blockedUntilMs > nowMs) {
      commands.push({ kind: "unclaim", job });
      return;
    }
    addJob(lane, job);
    const state = this.#channels[job.channel];
    state.claimed++;
    this.#queue(state, lane);
  }

  #ended(event: SchedulerEvent & { kind: "ended" }, nowMs: number, commands: Command[]): void {
    const { delivery, back, tookOnly } = event;
    const state = this.#channels[delivery.channel];
    const lane = this.#lane(delivery.channel, delivery.destination);
    state.running--;
    if (delivery.isTrial) state.trying--;
    lane.running--;
    state.claimed -= delivery.jobs.length - back.length;
    lane.claimed -= delivery.jobs.length - back.length;
    if (back.length > 0) addBack(lane, back);
    if (tookOnly !== undefined) lane.mostRecipients = tookOnly;
    this.#heard(event, nowMs, commands);
    this.#queue(state, lane);
    if (lane.claimed === 0) this.#forget(state, lane);
  }

  #heard({ delivery, reached, expandsVerp = false }: News, nowMs: number, commands: Command[]): void {
    const { channel, destination, epoch } = delivery;
    const state = this.#channels[channel];
    const lane = this.#lane(channel, destination);
    if (reached === 1) lane.expandsVerp = expandsVerp;
    if (reached === 1 && lane.failures > 0) this.#open(channel, destination, commands);
    if (reached === 2 && epoch === lane.epoch) this.#block(state, lane, nowMs, commands);
    if (lane.blockedUntilMs > nowMs) this.#empty(state, lane, commands);
  }

  #block(state: ChannelState, lane: Lane, nowMs: number, commands: Command[]): void {
    lane.failures++;
    lane.epoch++;
    lane.blockedUntilMs = nowMs + blockMs(lane.failures);
    const { channel, destination, blockedUntilMs } = lane;
    commands.push({ kind: "block", channel, destination, untilMs: blockedUntilMs });
    if (state.lanes.size > maxTroubled) {
      const idle = state.lanes.values().find((other) => other.claimed === 0 && other !== lane);
      if (idle) state.lanes.delete(idle.destination);
    }
  }

  /** What waits here goes back to the disk. */
  #empty(state: ChannelState, lane: Lane, commands: Command[]): void {
    for (const job of lane.ready.drain().flatMap(({ jobs }) => jobs)) {
      commands.push({ kind: "unclaim", job });
      lane.claimed--;
      state.claimed--;
    }
  }

  #open(channel: ChannelName, destination: string, commands: Command[]): void {
    const lane = this.#channels[channel].lanes.get(destination);
    if (!lane || lane.failures === 0) return;
    lane.failures = 0;
    lane.blockedUntilMs = 0;
    lane.epoch++;
    commands.push({ kind: "open", channel, destination });
    this.#queue(this.#channels[channel], lane);
    this.#forget(this.#channels[channel], lane);
  }

  #clamp(latestMs: number): void {
    for (const { lanes } of Object.values(this.#channels)) {
      for (const lane of lanes.values()) lane.blockedUntilMs = Math.min(lane.blockedUntilMs, latestMs);
    }
  }

  #drop(jobs: readonly Job[]): void {
    const dropped = new Set(jobs);
    for (const lane of new Set(jobs.map(({ channel, destination }) => this.#lane(channel, destination)))) {
      const state = this.#channels[lane.channel];
      state.claimed -= dropJobs(lane, dropped);
      this.#forget(state, lane);
    }
  }

  /** A destination in trouble is remembered, any other only as long as something of it is here. */
  #forget(state: ChannelState, lane: Lane): void {
    if (lane.claimed === 0 && lane.running === 0 && lane.failures === 0) state.lanes.delete(lane.destination);
  }

  #mayStart(lane: Lane): boolean {
    return lane.ready.size > 0 && lane.running < (lane.failures > 0 ? 1 : this.#limits.destination);
  }

  #queue(state: ChannelState, lane: Lane): void {
    const turn = turnOf(state, lane);
    if (lane.place?.turn === turn || !this.#mayStart(lane)) return;
    lane.place = { lane, turn }; // where it stood before, it is passed over
    turn.push(lane.place);
  }

  /**
   * The next lane that may start. Trials take half of the places at most, as they may keep them until they time out, and
   * every other turn. Of the others those with urgent mail go first, but not always.
   */
  #next(state: ChannelState): Lane | undefined {
    const { turn, trials, urgent } = state;
    const mayTry = state.trying < Math.max(1, state.limit >> 1);
    const others = state.hurried < mostHurried ? [urgent, turn] : [turn, urgent];
    const order = !mayTry ? others : state.wasTrial ? [...others, trials] : [trials, ...others];
    for (const from of order) {
      const lane = this.#first(state, from);
      if (!lane) continue;
      if (from !== trials) state.hurried = from === urgent ? state.hurried + 1 : 0;
      return lane;
    }
    return undefined;
  }

  #first(state: ChannelState, turn: Fifo<Place>): Lane | undefined {
    for (let place = turn.shift(); place; place = turn.shift()) {
      const { lane } = place;
      if (lane.place !== place) continue;
      lane.place = undefined;
      if (turnOf(state, lane) !== turn) this.#queue(state, lane);
      else if (this.#mayStart(lane)) return lane;
    }
    return undefined;
  }

  #queueAll(): void {
    for (const state of Object.values(this.#channels)) {
      for (const lane of state.lanes.values()) this.#queue(state, lane);
    }
  }

  #start(state: ChannelState, mostRecipients: number, nowMs: number, commands: Command[]): void {
    if (this.#exiting || this.#paused || !state.present) return;
    while (state.running < state.limit) {
      const lane = this.#next(state);
      if (!lane) return;
      const jobs = takeJobs(lane, mostRecipients);
      const { channel, destination, epoch } = lane;
      const isTrial = lane.failures > 0;
      lane.running++;
      state.running++;
      if (isTrial) state.trying++;
      state.wasTrial = isTrial;
      commands.push({ kind: "start", delivery: { channel, destination, jobs, startedMs: nowMs, epoch, isTrial } });
      this.#queue(state, lane);
    }
  }
}

const channelState = (limit: number): ChannelState => ({
  lanes: new Map(),
  turn: new Fifo(),
  trials: new Fifo(),
  urgent: new Fifo(),
  wasTrial: false,
  hurried: 0,
  limit,
  running: 0,
  trying: 0,
  claimed: 0,
  present: false,
});

const turnOf = (state: ChannelState, lane: Lane): Fifo<Place> =>
  lane.failures > 0 ? state.trials : isUrgent(lane) ? state.urgent : state.turn;

const isFull = (lane: Lane, channelClaimed: number): boolean =>
  channelClaimed >= windowRecipients / 2 && lane.claimed >= fairRecipients;
