import type { Settings } from "../../protocol/control/table.ts";
import type { Event } from "../../protocol/event/event.ts";
import { createRouter, type Router } from "../../protocol/routing/router.ts";
import { ClockWatch } from "../../protocol/schedule/clock.ts";
import {
  type ChannelName,
  type Delivery,
  type Limits,
  Scheduler,
  type SchedulerEvent,
} from "../../protocol/schedule/scheduler.ts";
import type { Change, Storage } from "../../services/storage/storage.ts";
import { type Active, ActiveMessages, type Entry } from "./active.ts";
import type { Clock } from "./clock.ts";
import { Committer } from "./commit.ts";

export interface CoreOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly log: (event: Event) => void;
  /** Whose the messages are that the queue itself writes. */
  readonly uid: number;
}

export const limitsOf = (settings: Settings): Limits => ({
  local: settings.concurrencylocal,
  remote: settings.concurrencyremote,
  destination: settings.concurrencydestination,
  transactionRecipients: settings.maxtransactionrecipients,
});

/** What the parts of the queue share: one store, one committer, one scheduler, and what is in memory. */
export class Core {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: (event: Event) => void;
  readonly uid: number;
  readonly committer: Committer;
  readonly scheduler: Scheduler;
  readonly active = new ActiveMessages();
  readonly watch: ClockWatch;
  settings: Settings;
  router: Router;
  /** Set by who delivers; the scheduler starts nothing before. */
  start: (delivery: Delivery) => void = () => {};
  /** Set by who claims: something waits on disk until then; the window has room; a destination was blocked. */
  waits: (channel: ChannelName, dueMs: number) => void = () => {};
  roomCame: (channel: ChannelName) => void = () => {};
  blocked: (channel: ChannelName, destination: string) => void = () => {};
  /** Set by who watches the clock: looks at it now. */
  clockIsOff: () => void = () => {};
  /** Set by who claims: resolves when all that was claimed so far is in memory. */
  claimsEnd: () => Promise<unknown> = async () => {};

  constructor({ storage, clock, settings, log, uid }: CoreOptions) {
    this.storage = storage;
    this.clock = clock;
    this.settings = settings;
    this.log = log;
    this.uid = uid;
    this.router = createRouter(settings);
    this.scheduler = new Scheduler(limitsOf(settings));
    this.watch = new ClockWatch(clock.wallMs(), clock.steadyMs(), storage.lastClockMs);
    this.committer = new Committer(storage, clock, (trouble, failure) => {
      if (failure) log({ event: "alert", text: `${failure.text}; refusing new mail until it can be written again` });
      else if (trouble === "none") log({ event: "warning", text: "the queue can be written again" });
      this.step({ kind: "pause", paused: trouble === "stuck" });
    });
  }

  reload(settings: Settings): void {
    this.settings = settings;
    this.router = createRouter(settings);
    this.step({ kind: "limits", limits: limitsOf(settings) });
  }

  /** Whether a message may be given up for its age. */
  get trustsAges(): boolean {
    return this.watch.isSettled(this.clock.wallMs(), this.clock.steadyMs());
  }

  /** Lets the scheduler decide, and does what it says. */
  step(event: SchedulerEvent): void {
    for (const command of this.scheduler.step(event, this.clock.wallMs())) {
      switch (command.kind) {
        case "start":
          this.start(command.delivery);
          break;
        case "unclaim":
          this.unclaim(command.job.message, command.job.number);
          break;
        case "block":
          this.committer.require([command]);
          this.blocked(command.channel, command.destination);
          break;
        case "open":
          this.#opened(command.channel, command.destination);
          break;
        default:
          command satisfies never;
      }
    }
    if (event.kind === "ended") this.roomCame(event.delivery.channel);
  }

  /** Its mail on disk is looked for only once that is written: before, the store still leaves it alone. */
  #opened(channel: ChannelName, destination: string): void {
    const nowMs = this.clock.wallMs();
    this.committer.require([{ kind: "open", channel, destination, nowMs }], () => this.waits(channel, nowMs));
  }

  /** Writes down what became of a message in memory; `mayWait`: as `Committer.requireSoon`. */
  require(active: Active, changes: readonly Change[], written: () => void = () => {}, mayWait = false): void {
    active.unwritten++;
    const done = (): void => {
      written();
      this.active.wrote(active);
    };
    if (mayWait) this.committer.requireSoon(changes, done);
    else this.committer.require(changes, done);
  }

  /** Gives a recipient in memory back to the store. */
  unclaim(message: number, number: number): void {
    const active = this.active.get(message);
    const channel = active?.entries.get(number)?.channel;
    if (!active || !channel) return;
    this.require(active, [{ kind: "unclaim", message, number }], () => this.waits(channel, this.clock.wallMs()));
    this.active.remove(active, number);
  }

  /** Forgets what of a message waits in memory, and returns it. */
  dropWaiting(message: number): readonly Entry[] {
    const active = this.active.get(message);
    const waiting = [...(active?.entries.values() ?? [])].filter(({ running }) => !running);
    if (!active || waiting.length === 0) return [];
    this.step({ kind: "drop", jobs: waiting });
    for (const { number } of waiting) this.active.remove(active, number);
    return waiting;
  }

  logStatus(): void {
    this.log({
      event: "status",
      local: this.scheduler.running("local"),
      localLimit: this.scheduler.limit("local"),
      remote: this.scheduler.running("remote"),
      remoteLimit: this.scheduler.limit("remote"),
      exiting: this.scheduler.exiting,
    });
  }
}
