import { tooLong } from "../../protocol/schedule/retry.ts";
import type { ChannelName } from "../../protocol/schedule/scheduler.ts";
import type { ClaimedRecipient } from "../../services/storage/storage.ts";
import { addEntry, type Entry } from "./active.ts";
import type { Core } from "./core.ts";
import type { Settler } from "./settle.ts";

const claimRecipients = 500;
const perDestination = 100;
/** Claiming pays when there is room for so many, or nothing else to do. */
const worthwhileRecipients = 500;
const claimAgainMs = 1_000;
/** A timer never runs longer: the wall clock may be set while it does. */
const maxTimerMs = 60_000;

interface ChannelFill {
  readonly channel: ChannelName;
  /** The earliest moment at which something on disk may be due. */
  dueMs: number;
  busy: boolean;
  cancelTimer: () => void;
  timerMs: number;
}

/** Brings what is due from disk into the scheduler's window, and ends what is overdue at blocked destinations. */
export class Filler {
  readonly #core: Core;
  readonly #settler: Settler;
  readonly #channels: Readonly<Record<ChannelName, ChannelFill>>;
  /** Claims under way, until what they took is in memory. */
  readonly #claims = new Set<Promise<unknown>>();
  #stopped = false;

  constructor(core: Core, settler: Settler) {
    this.#core = core;
    this.#settler = settler;
    this.#channels = { local: emptyFill("local"), remote: emptyFill("remote") };
    core.roomCame = (channel) => this.poke(channel);
    core.waits = (channel, dueMs) => this.waits(channel, dueMs);
    core.claimsEnd = () => Promise.all(this.#claims);
    core.blocked = (channel, destination) => void this.#endOverdue(channel, destination);
  }

  /** Something of that channel waits on disk, or may, from then on. */
  waits(channel: ChannelName, dueMs: number): void {
    const fill = this.#channels[channel];
    if (dueMs >= fill.dueMs) {
      this.poke(channel); // what is due before it may be overdue, its timer late: the clock was set forward
      return;
    }
    fill.dueMs = dueMs;
    if (!fill.busy && dueMs < fill.timerMs) this.#setTimer(fill);
  }

  /** Nobody knows what is due: at the start, and when the clock jumped. */
  lookAgain(): void {
    this.waits("local", 0);
    this.waits("remote", 0);
  }

  /** Room may have come. Cheap when there is nothing to do. */
  poke(channel: ChannelName): void {
    const fill = this.#channels[channel];
    if (fill.busy || this.#stopped || fill.dueMs === Infinity) return;
    if (fill.dueMs <= this.#core.clock.wallMs() && this.#isWorthwhile(channel)) void this.#fill(fill);
  }

  stop(): void {
    this.#stopped = true;
    for (const { cancelTimer } of Object.values(this.#channels)) cancelTimer();
  }

  #isWorthwhile(channel: ChannelName): boolean {
    return this.#core.scheduler.room(channel) >= worthwhileRecipients;
  }

  #setTimer(fill: ChannelFill): void {
    fill.cancelTimer();
    fill.timerMs = fill.dueMs;
    if (fill.dueMs === Infinity || this.#stopped) return;
    const waitMs = Math.min(Math.max(fill.dueMs - this.#core.clock.wallMs(), 0), maxTimerMs);
    fill.cancelTimer = this.#core.clock.after(waitMs, () => {
      fill.timerMs = Infinity;
      this.poke(fill.channel);
      if (!fill.busy && fill.dueMs > this.#core.clock.wallMs()) this.#setTimer(fill);
    });
  }

  async #fill(fill: ChannelFill): Promise<void> {
    const { storage, clock } = this.#core;
    const { channel } = fill;
    fill.busy = true;
    while (!this.#stopped && fill.dueMs <= clock.wallMs() && this.#isWorthwhile(channel)) {
      fill.dueMs = Infinity; // what begins to wait from here on is seen by `waits`
      const claimed = await this.#during(this.#claim(channel));
      const due = await storage.nextDueMs(channel);
      const ok = claimed && due.kind === "done";
      fill.dueMs = Math.min(fill.dueMs, ok ? (due.value ?? Infinity) : clock.wallMs() + claimAgainMs);
      await new Promise((resolve) => clock.soon(() => resolve(undefined))); // mail comes in between
    }
    fill.busy = false;
    this.#setTimer(fill);
  }

  async #during<Result>(claim: Promise<Result>): Promise<Result> {
    this.#claims.add(claim);
    const result = await claim;
    this.#claims.delete(claim);
    return result;
  }

  /** Whether it could be done. */
  async #claim(channel: ChannelName): Promise<boolean> {
    const { storage, clock, scheduler } = this.#core;
    const skip = scheduler.full(channel);
    const limit = Math.min(claimRecipients, scheduler.room(channel));
    const claimed = await storage.claim({ channel, nowMs: clock.wallMs(), limit, perDestination, skip });
    if (claimed.kind === "done") await this.#schedule(claimed.value);
    return claimed.kind === "done";
  }

  async #schedule(claimed: readonly ClaimedRecipient[]): Promise<void> {
    const jobs: Entry[] = [];
    for (const recipient of claimed) {
      await this.#bringIn(recipient.message);
      const active = this.#core.active.get(recipient.message); // now: what is held across an await may be forgotten
      if (active?.held || active?.deleted || active?.entries.has(recipient.number)) continue;
      if (active) jobs.push(addEntry(active, recipient));
      else this.#giveBack(recipient);
    }
    // Meanwhile one may have been held or deleted.
    const still = jobs.filter((job) => this.#core.active.get(job.message)?.entries.get(job.number) === job);
    if (still.length > 0) this.#core.step({ kind: "claimed", jobs: still });
  }

  /** Its message could not be read: later, maybe. */
  #giveBack({ message, number, channel }: ClaimedRecipient): void {
    const again = () => this.waits(channel, this.#core.clock.wallMs() + claimAgainMs);
    this.#core.committer.require([{ kind: "unclaim", message, number }], again);
  }

  /** Sees that a message is in memory, unless it cannot be read now, or is gone, or about to be. */
  async #bringIn(id: number): Promise<void> {
    while (!this.#core.active.get(id) && !this.#core.active.isBarred(id)) {
      const read = this.#core.active.beginRead(id);
      const message = await this.#core.storage.message(id);
      this.#core.active.endRead(read);
      if (read.stale) continue;
      // Between the question and the answer something else may have brought it in.
      if (message.kind === "done" && message.value && !this.#core.active.get(id)) {
        this.#core.active.addStored(message.value);
      }
      return;
    }
  }

  /** A destination that stays out of reach must not keep its mail beyond the lifetime. */
  async #endOverdue(channel: ChannelName, destination: string): Promise<void> {
    do
      await this.#core.committer.flushed(); // what waited in memory is back on disk
    while ((await this.#during(this.#endSome(channel, destination))) > 0);
  }

  async #endSome(channel: ChannelName, destination: string): Promise<number> {
    const { storage, clock, settings } = this.#core;
    if (!this.#core.trustsAges) return 0; // the clock may have been set since
    const nowMs = clock.wallMs();
    const arrivedBeforeMs = nowMs - settings.queuelifetime * 1_000;
    const overdue = { channel, destination, nowMs, arrivedBeforeMs, limit: claimRecipients };
    const claimed = await storage.claimOverdue(overdue);
    if (claimed.kind !== "done") return 0;
    for (const recipient of claimed.value) {
      await this.#bringIn(recipient.message);
      const active = this.#core.active.get(recipient.message); // now: what is held across an await may be forgotten
      if (!active) this.#giveBack(recipient);
      if (!active || active.held || active.deleted || active.entries.has(recipient.number)) continue;
      const entry = addEntry(active, recipient);
      const text = `Sorry, ${destination} could not be reached. (#4.4.1)\n${tooLong}`;
      const reported = { letter: "D", status: "4.7", text, forwards: [] };
      this.#settler.settle(active, nowMs, [{ entry, reported }], () => {});
    }
    return claimed.value.length;
  }
}

const emptyFill = (channel: ChannelName): ChannelFill => ({
  channel,
  dueMs: Infinity,
  busy: false,
  cancelTimer: () => {},
  timerMs: Infinity,
});
