import type { Sizes } from "../../src/programs/queue/queue.ts";
import type { Settings } from "../../src/protocol/control/table.ts";
import type { ChannelName } from "../../src/protocol/schedule/scheduler.ts";
import { notifyDelay, notifyFailure, notifySuccess } from "../../src/protocol/wire/submission.ts";
import type { Change, Counts } from "../../src/services/storage/storage.ts";
import { Fortunes } from "./fortune.ts";
import { type Heard, keyOf, type Message, type Recipient } from "./ledger.ts";
import { passedOn, Said, successOf, toldOf } from "./reports.ts";
import type { Mail } from "./submitter.ts";

type Of<Kind extends Change["kind"]> = Extract<Change, { kind: Kind }>;

/** A delivery as the queue asked for it. */
export interface Started {
  readonly channel: ChannelName;
  readonly recipients: readonly Recipient[];
  readonly startedMs: number;
  /** Its place among all that happened. */
  readonly startedAt: number;
  /** Its destination may have been in trouble then. */
  readonly isTrial: boolean;
}

/** What was said of each recipient, by its number. */
export interface Report {
  readonly letter: string;
  readonly forwards: readonly string[];
  readonly copies: number;
  readonly takesDsn: boolean;
}
type Reports = ReadonlyMap<number, Report>;

const hourMs = 3_600_000;
/** The queue looks at the clock so often, and needs a moment to write down what follows. */
const lookMs = 120_000;
/** With so many in memory no more are fetched. */
const fullRecipients = 10_000 - 500;
/** Whoever takes so many from disk at once leaves others there. */
const manyClaimed = 100;
/** More than the scheduler's window: results that are not on disk yet still count here. */
const windowRecipients = 10_000 + 1_000;
/** What the queue may have in memory. */
const bounds: readonly (readonly [keyof Sizes, number])[] = [
  ["local", 10_000],
  ["remote", 10_000],
  ["messages", 2 * 10_000 + 1_000],
  ["destinations", 2 * 10_000 + 10_000],
  ["unwrittenGroups", 25_000],
  ["cachedOctets", 32 * 1_048_576],
  ["incomingOctets", 128 * 1_048_576],
  ["reportedOctets", 64 * 1_048_576],
];
/** Whoever delivers is done after so long, one way or the other. */
export const longestDeliveryMs = 1_200_000;
/** How long something may be due while nothing stands in its way. */
const patienceMs = 300_000;

/**
 * What must hold, whatever happens: judges what is written down by what the programs outside said and did, and what
 * the queue does by what is written down. Knows the queue by its frames and its store only.
 */
export class Oracle {
  readonly messages = new Map<number, Message>();
  /** Those that have not ended. */
  readonly alive = new Set<Message>();
  readonly open = new Set<Recipient>();
  violation: string | undefined;
  /** Since when (steady) nothing has happened that may hold deliveries up. */
  quietSinceMs = 0;
  /** When (steady) the clock was last set, or stood still for long. */
  #jumpedAtMs = -Infinity;
  /** The same, but not when it may have been set back before the queue looked. */
  #noticedAtMs = -Infinity;
  #setAtMs = -Infinity;
  settings: Settings;
  readonly deletable = new Set<number>();
  readonly fortunes = new Fortunes();
  readonly #running = new Map<string, number>();
  readonly #claimed: Record<ChannelName, Set<Recipient>> = { local: new Set(), remote: new Set() };
  /** When (steady) many were last taken from disk at once: where more of them wait they come one after the other. */
  readonly #claimedManyMs: Record<ChannelName, number> = { local: -Infinity, remote: -Infinity };
  /** Whose delivery was over when last looked at, and kept its place until a header was read for a report of success. */
  #ending: readonly Recipient[] = [];
  readonly #tokens = new Map<string, number>();
  readonly #markers = new Set<string>();
  /** Of the batch that is looked at. */
  #said = new Said([]);
  /** Who is told of a delay, and of whom: it ended when the report was already made. */
  #mayBeNamed: [to: string, of: string][] = [];
  readonly #now: () => { readonly wallMs: number; readonly steadyMs: number };

  constructor(settings: Settings, now: () => { readonly wallMs: number; readonly steadyMs: number }) {
    this.settings = settings;
    this.#now = now;
  }

  expect(holds: boolean, text: () => string): void {
    if (!holds) this.violation ??= text();
  }

  recipient(id: number, number: number): Recipient | undefined {
    return this.messages.get(id)?.recipients.get(number);
  }

  // What the queue promises.

  acknowledged(id: number, { token, forwardPaths, notify, options }: Mail): void {
    const message = this.messages.get(id);
    const stored = [...(message?.recipients.values() ?? [])].map(({ forwardPath }) => forwardPath);
    this.expect(message !== undefined, () => `${token} was acknowledged as message ${id}, which is not on disk`);
    this.expect(stored.join() === forwardPaths.join(), () => `${token}: recipients ${stored}, not ${forwardPaths}`);
    const wishes = [...(message?.recipients.values() ?? [])].map((recipient) => recipient.notify);
    const asked = notify ?? forwardPaths.map(() => 0);
    this.expect(wishes.join() === asked.join(), () => `${token}: NOTIFY is ${wishes}, not ${asked}`);
    const heldMs = message && message.bornMs - message.arrivedMs;
    const isHeld = (options?.holdUntilMs ?? 0) > (message?.arrivedMs ?? 0);
    this.expect(!isHeld || heldMs !== 0, () => `${token} is to be held, and is not`);
  }

  refused(token: string): void {
    const id = this.#tokens.get(token);
    this.expect(id === undefined, () => `${token} was refused, and is on disk as message ${id}`);
  }

  started(channel: ChannelName, id: number, numbers: readonly number[], forwardPaths: readonly string[]): Started {
    const recipients: Recipient[] = [];
    const { wallMs } = this.#now();
    for (const [at, number] of numbers.entries()) {
      const recipient = this.recipient(id, number);
      const what = `message ${id}, recipient ${number}`;
      this.expect(recipient !== undefined, () => `${what} is tried but was never stored`);
      if (!recipient) continue;
      recipients.push(recipient);
      this.expect(recipient.forwardPath === forwardPaths[at], () => `${what} is tried as ${forwardPaths[at]}`);
      this.expect(recipient.state === "queued", () => `${what} is tried, but it is ${recipient.state}`);
      this.expect(!recipient.message.ended, () => `${what} is tried, but its message has ended`);
      this.expect(!recipient.message.held, () => `${what} is tried, but its message is held`);
      this.expect(!recipient.running, () => `${what} is tried twice at once`);
      this.expect(recipient.heard === undefined, () => `${what} is tried before its last result is written down`);
      const earlyMs = recipient.isDue ? 0 : recipient.notBeforeMs - wallMs;
      this.expect(earlyMs <= 0, () => `${what} is tried ${earlyMs} ms early`);
      recipient.running = true;
      recipient.lastBroken = undefined;
    }
    const [first] = recipients;
    if (first) this.#checkLimits(channel, first, recipients);
    const isTrial = first !== undefined && this.fortunes.mayBeInTrouble(keyOf(channel, first.destination));
    if (isTrial) this.#count(trialsOf(channel), 1);
    return { channel, recipients, startedMs: wallMs, startedAt: this.fortunes.now(), isTrial };
  }

  #checkLimits(channel: ChannelName, first: Recipient, recipients: readonly Recipient[]): void {
    const { settings } = this;
    const key = keyOf(channel, first.destination);
    const all = this.#count(channel, 1);
    const there = this.#count(key, 1);
    const most = this.#places(channel);
    const together = channel === "local" ? 1 : settings.maxtransactionrecipients;
    this.expect(all <= most, () => `${all} ${channel} deliveries at once, ${most} are allowed`);
    this.expect(there <= settings.concurrencydestination, () => `${there} deliveries at once to ${key}`);
    this.expect(recipients.length <= together, () => `${recipients.length} recipients in one delivery to ${key}`);
    const sameKey = recipients.every((recipient) => keyOf(recipient.channel, recipient.destination) === key);
    this.expect(sameKey, () => `a delivery of several destinations: ${recipients.map((each) => each.destination)}`);
    const wrong = this.fortunes.wrongStart(key, there, this.#now().wallMs);
    this.expect(wrong === undefined, () => `${key} ${wrong}`);
  }

  #count(key: string, change: number): number {
    const count = (this.#running.get(key) ?? 0) + change;
    this.#running.set(key, count);
    return count;
  }

  /** The queue is about to hear the end of a delivery; `reports` is absent when it broke off. */
  ended(delivery: Started, reached = 0, reports?: Reports): void {
    const [first] = delivery.recipients;
    if (!first) return;
    const { startedAt } = delivery;
    const { steadyMs: atMs, wallMs } = this.#now();
    const startedMs = Math.min(delivery.startedMs, wallMs);
    const key = keyOf(delivery.channel, first.destination);
    this.#count(delivery.channel, -1);
    this.#count(key, -1);
    if (delivery.isTrial) this.#count(trialsOf(delivery.channel), -1);
    this.fortunes.ended(key, reached, startedAt, wallMs);
    for (const recipient of delivery.recipients) {
      recipient.running = false;
      recipient.endedMs = atMs;
      const late = startedMs - recipient.message.bornMs > this.settings.queuelifetime * 1_000;
      const report = reports?.get(recipient.number);
      const heard = { ...(report ?? nothingSaid), startedMs, late, atMs };
      // Of whom nothing is said while something is said of others, he was not tried.
      if (report || reports?.size === 0) recipient.heard = heard;
      else {
        if (!reports) recipient.lost++;
        recipient.lastBroken = heard;
      }
    }
  }

  /** The marks against a repetition may go: of deliveries to one recipient, so only `local` keeps any. */
  settled(recipients: readonly Recipient[]): void {
    const isFinal = recipients.some(({ state }) => state !== "queued");
    this.expect(isFinal, () => `${recipients.map(nameOf).join(", ")}: called settled, but still queued`);
  }

  // What is written down.

  committed(changes: readonly Change[]): void {
    const made = changes.filter((change) => change.kind === "message");
    this.#said = new Said(made);
    for (const change of made) this.#message(change);
    this.#mayBeNamed = [];
    for (const change of changes) this.#change(change, made);
    for (const [to, of] of this.#mayBeNamed) this.#said.take("delayed", to, of);
    const { rest } = this.#said;
    this.expect(rest.length === 0, () => `reported, and nobody was to hear it: ${rest}`);
  }

  #message({ message, recipients, chunk }: Of<"message">): void {
    const token = chunk?.number === 0 && message.prefix.length === 0 ? tokenOf(latin1(chunk.octets)) : undefined;
    if (token !== undefined) this.#tokens.set(token, message.id);
    const known = this.messages.get(message.id);
    this.expect(!known, () => `message ${message.id} is stored twice`);
    const stored: Message = {
      id: message.id,
      reversePath: message.reversePath,
      arrivedMs: message.arrivedMs,
      bornMs: Math.max(message.arrivedMs, message.options?.holdUntilMs ?? 0),
      hasOptions: message.options !== undefined,
      warned: false,
      deferredMs: 0,
      lateSinceMs: undefined,
      prefix: latin1(message.prefix),
      suffix: latin1(message.suffix),
      recipients: new Map(),
      held: false,
      ended: false,
    };
    for (const { number, forwardPath, channel, destination, claimed, dsn } of recipients) {
      const recipient: Recipient = {
        message: stored,
        number,
        forwardPath,
        channel,
        destination,
        notify: dsn?.notify ?? 0,
        state: "queued",
        attempts: 0,
        notBeforeMs: stored.bornMs > stored.arrivedMs ? stored.bornMs : 0,
        isDue: false,
        running: false,
        heard: undefined,
        lastBroken: undefined,
        endedMs: 0,
        copies: 0,
        lost: 0,
      };
      stored.recipients.set(number, recipient);
      this.open.add(recipient);
      if (claimed) this.#claim(recipient);
    }
    this.messages.set(message.id, stored);
    this.alive.add(stored);
    const marker = markerOf(stored);
    if (marker === undefined) return;
    this.expect(!this.#markers.has(marker), () => `forward ${marker} is queued twice`);
    this.#markers.add(marker);
  }

  #change(change: Change, made: readonly Of<"message">[]): void {
    switch (change.kind) {
      case "delivered":
        this.#delivered(change, made);
        break;
      case "deferred":
        this.#deferred(change);
        break;
      case "failed":
        this.#failed(change);
        break;
      case "end":
        this.#end(change.message, made);
        break;
      case "hold":
        this.#hold(change.message, true);
        break;
      case "release":
        this.#hold(change.message, false);
        break;
      case "retry":
        for (const recipient of this.messages.get(change.message)?.recipients.values() ?? []) {
          if (recipient.message.held) break; // when it is released it waits as it did
          if (this.#isHeldUntilLater(recipient, change.nowMs)) continue; // that is not the operator's to say
          recipient.notBeforeMs = Math.min(recipient.notBeforeMs, change.nowMs);
        }
        break;
      case "clamp":
        for (const recipient of this.open) this.#clamp(recipient, change.nowMs, change.latestMs);
        this.fortunes.clamped(change.latestMs);
        break;
      case "warned":
        this.#reportedDelay(change.message);
        break;
      case "block":
        this.#block(keyOf(change.channel, change.destination), change.untilMs);
        break;
      case "open":
        this.fortunes.opened(keyOf(change.channel, change.destination), change.nowMs);
        break;
      case "unclaim":
        this.#unclaim(this.recipient(change.message, change.number));
        break;
      default:
    }
  }

  /** Not tried, not claimed, and not to be before some time. */
  #isHeldUntilLater(recipient: Recipient, nowMs: number): boolean {
    const { message, attempts, channel } = recipient;
    const isHeld = message.bornMs > nowMs && message.bornMs > message.arrivedMs;
    return isHeld && attempts === 0 && !this.#claimed[channel].has(recipient);
  }

  /** Nothing waits for longer because the clock was set: for a time that was asked for, not longer than for that. */
  #clamp(recipient: Recipient, nowMs: number, latestMs: number): void {
    const { arrivedMs, bornMs } = recipient.message;
    const isLater = this.#isHeldUntilLater(recipient, nowMs);
    const mostMs = !isLater ? latestMs : arrivedMs > nowMs ? nowMs + bornMs - arrivedMs : Infinity;
    recipient.notBeforeMs = Math.min(recipient.notBeforeMs, mostMs);
  }

  #block(key: string, untilMs: number): void {
    const wrong = this.fortunes.wrongBlock(key, untilMs);
    this.expect(wrong === undefined, () => `${key} ${wrong}`);
  }

  #delivered({ message, number }: Of<"delivered">, made: readonly Of<"message">[]): void {
    const heard = this.recipient(message, number)?.heard;
    const isQuiet =
      heard?.letter !== "K" && this.recipient(message, number)?.notify && !this.#tellsFailure(message, number);
    const recipient = this.#finish(message, number, isQuiet ? "failed" : "delivered");
    if (!recipient) return;
    if (isQuiet) {
      this.#checkFailure(recipient);
      return;
    }
    this.expect(heard?.letter === "K", () => `${nameOf(recipient)} is written down as delivered, which nobody said`);
    if (heard) this.#checkSuccess(recipient, heard, made);
    for (const marker of this.deletable.has(message) ? [] : (heard?.forwards ?? [])) {
      const queued = made.some(({ message }) => latin1(message.prefix).includes(`${marker}\n`));
      this.expect(queued, () => `${nameOf(recipient)} is written down as delivered without its forward ${marker}`);
    }
  }

  #tellsFailure(message: number, number: number): boolean {
    const { notify = 0 } = this.recipient(message, number) ?? {};
    return notify === 0 || (notify & notifyFailure) !== 0;
  }

  /** Who asked hears of it, in the same breath; its copies carry on what was asked. */
  #checkSuccess(recipient: Recipient, heard: Heard, made: readonly Of<"message">[]): void {
    const { message, forwardPath, notify } = recipient;
    const action = successOf(recipient, heard);
    const isTold = action !== undefined && this.#said.take(action, toldOf(message.reversePath), forwardPath);
    const mayBeSilent = action === undefined || this.deletable.has(message.id);
    this.expect(isTold || mayBeSilent, () => `${nameOf(recipient)} is ${action}, and who asked is not told`);
    const [marker] = heard.forwards;
    const copy = made.find((each) => latin1(each.message.prefix).includes(`${marker}\n`) && isForwarded(each));
    const wanted = passedOn(notify, heard.copies);
    const isKept = !marker || !copy || copy.recipients.every(({ dsn }) => (dsn?.notify ?? 0) === wanted);
    this.expect(isKept, () => `${nameOf(recipient)} is sent on with another NOTIFY than ${wanted}`);
  }

  /** Of delays who wants to hears once a message, and after a while. */
  #reportedDelay(id: number): void {
    const message = this.messages.get(id);
    if (!message || message.ended) return;
    this.expect(!message.warned, () => `message ${id} is reported as delayed again`);
    message.warned = true;
    const ageMs = message.deferredMs - message.bornMs;
    const to = toldOf(message.reversePath);
    const late = [...message.recipients.values()].filter(
      ({ notify }) => delayMs(notify, this.settings.delaywarning) <= ageMs,
    );
    const isNamed = late.filter(
      ({ state, forwardPath }) => state === "queued" && this.#said.take("delayed", to, forwardPath),
    );
    const ended = late.filter(({ state }) => state !== "queued");
    for (const { forwardPath } of ended) this.#mayBeNamed.push([to, forwardPath]);
    this.expect(
      isNamed.length + ended.length > 0,
      () => `message ${id} is called reported as delayed, and nobody is told`,
    );
  }

  #deferred({ message, number, attempts, nextAttemptMs }: Of<"deferred">): void {
    const recipient = this.recipient(message, number);
    if (recipient?.state !== "queued") return;
    const heard = recipient.heard ?? recipient.lastBroken;
    const wanted = retryMs(recipient, heard?.startedMs ?? 0);
    this.expect(heard !== undefined && heard.letter !== "K" && heard.letter !== "D", () => {
      return `${nameOf(recipient)} is deferred after ${heard?.letter ?? "nothing"}`;
    });
    this.expect(nextAttemptMs === wanted, () => `${nameOf(recipient)} waits until ${nextAttemptMs}, not ${wanted}`);
    this.expect(attempts === recipient.attempts + 1, () => `${nameOf(recipient)} counts ${attempts} attempts`);
    const isUnsure = (heard?.atMs ?? 0) - this.#jumpedAtMs < hourMs + lookMs;
    this.expect(!heard?.late || isUnsure, () => `${nameOf(recipient)} is over its lifetime and waits again`);
    recipient.attempts = attempts;
    recipient.notBeforeMs = nextAttemptMs;
    this.#checkDelay(recipient, heard, isUnsure);
    recipient.heard = undefined;
    recipient.lastBroken = undefined;
    this.#unclaim(recipient);
  }

  /** Who asked was told, if an attempt showed more than an hour ago that it was time. */
  #checkDelay({ message, notify }: Recipient, heard: Heard | undefined, isUnsure: boolean): void {
    const { id, reversePath, bornMs, lateSinceMs } = message;
    const { steadyMs } = this.#now();
    const startedMs = heard?.startedMs ?? 0;
    message.deferredMs = Math.max(message.deferredMs, startedMs);
    const isLate = startedMs - bornMs >= delayMs(notify, this.settings.delaywarning) && !isUnsure;
    const isNobody = reversePath === "" || reversePath === "#@[]" || this.deletable.has(id);
    if (!isLate || isNobody || message.warned) return;
    message.lateSinceMs ??= steadyMs;
    const isToldOf = lateSinceMs === undefined || steadyMs - Math.max(lateSinceMs, this.quietSinceMs) < hourMs;
    this.expect(isToldOf, () => `message ${id} is late, and who asked is not told`);
  }

  #failed({ message, number }: Of<"failed">): void {
    this.expect(this.#tellsFailure(message, number), () => `message ${message}: a failure nobody wants to hear of`);
    const recipient = this.#finish(message, number, "failed");
    if (recipient) this.#checkFailure(recipient);
  }

  /** For good: because a peer said so, or at the end of the lifetime, but not because a clock was set. */
  #checkFailure(recipient: Recipient): void {
    const { message, heard, lastBroken } = recipient;
    if (heard?.letter === "D") return;
    const last = heard ?? lastBroken;
    const isOld = this.#now().wallMs - message.bornMs > this.settings.queuelifetime * 1_000;
    const isDue = (last?.late && last.letter !== "K") || (!heard && isOld);
    this.expect(isDue, () => `${nameOf(recipient)} is given up before its time, after ${last?.letter ?? "no attempt"}`);
    const sinceJumpMs = (last?.atMs ?? 0) - this.#noticedAtMs;
    const isHasty = last !== undefined && sinceJumpMs >= 0 && sinceJumpMs < hourMs;
    this.expect(!isHasty, () => `${nameOf(recipient)} is given up ${sinceJumpMs} ms after a clock jump`);
  }

  #finish(id: number, number: number, state: "delivered" | "failed"): Recipient | undefined {
    const recipient = this.recipient(id, number);
    if (!recipient || recipient.message.ended) return undefined;
    this.expect(recipient.state === "queued", () => `${nameOf(recipient)} is ${recipient.state}, and now ${state}`);
    this.#close(recipient, state);
    return recipient;
  }

  #close(recipient: Recipient, state: Recipient["state"]): void {
    recipient.state = state;
    this.open.delete(recipient);
    this.#unclaim(recipient);
  }

  /** A message ends when nobody waits for it any more; who sent it is told of failures in the same breath. */
  #end(id: number, made: readonly Of<"message">[]): void {
    const message = this.messages.get(id);
    if (!message || message.ended) return;
    const recipients = [...message.recipients.values()];
    // The last results need not be written down one by one.
    for (const recipient of recipients.filter(({ state }) => state === "queued")) {
      const isDeleted = this.deletable.has(id);
      if (recipient.heard?.letter === "K")
        this.#delivered({ kind: "delivered", message: id, number: recipient.number }, made);
      else if (isDeleted) {
        this.#said.take("failed", toldOf(message.reversePath), recipient.forwardPath); // a crash may undo a deletion
        this.#close(recipient, "deleted");
      } else {
        this.#close(recipient, "failed");
        this.#checkFailure(recipient);
      }
    }
    message.ended = true;
    this.alive.delete(message);
    const failed = recipients.filter(({ state, number }) => state === "failed" && this.#tellsFailure(id, number));
    const to = toldOf(message.reversePath);
    for (const { forwardPath } of failed) this.#said.take("failed", to, forwardPath);
    if (failed.length === 0 || this.deletable.has(id) || message.reversePath === "#@[]") return;
    const told = made.some(
      ({ message: bounce, recipients: [first] }) =>
        first?.forwardPath === to &&
        bounce.reversePath === (message.reversePath === "" ? "#@[]" : "") &&
        failed.every(({ forwardPath }) => latin1(bounce.prefix).includes(forwardPath)),
    );
    this.expect(told, () => `message ${id} failed and ends, and ${to} is not told`);
  }

  /** The operator was told that these are held. */
  checkHeld(ids: readonly number[]): void {
    for (const id of ids) {
      const message = this.messages.get(id);
      this.expect(!message || message.ended || message.held, () => `message ${id} is called held, and is not`);
    }
  }

  /** The operator was told that these are deleted: they are gone, or held until what runs has ended. */
  checkDeleted(ids: readonly number[]): void {
    for (const id of ids) {
      const message = this.messages.get(id);
      const isGone = !message || message.ended || message.held;
      const isEnding = message?.recipients.values().every((recipient) => this.#isEnding(recipient));
      this.expect(isGone || isEnding === true, () => `message ${id} is called deleted, and waits`);
    }
  }

  /** Done, or about to be written down as done: also without a delivery, when it is too old and out of reach. */
  #isEnding({ state, heard, message, channel, destination }: Recipient): boolean {
    const isOld = this.#now().wallMs - message.bornMs > this.settings.queuelifetime * 1_000;
    const isGivenUp = isOld && this.fortunes.mayBeInTrouble(keyOf(channel, destination));
    return state !== "queued" || heard !== undefined || isGivenUp;
  }

  #hold(id: number, held: boolean): void {
    const message = this.messages.get(id);
    if (!message) return;
    message.held = held;
    if (!held) return;
    for (const recipient of message.recipients.values()) if (!recipient.running) this.#unclaim(recipient);
  }

  /** Taken from disk for who asked at `askedMs`: the clock may have been set before the answer. */
  claimed(those: readonly { readonly message: number; readonly number: number }[], askedMs: number): void {
    for (const { message, number } of those) {
      const recipient = this.recipient(message, number);
      if (!recipient) continue;
      const earlyMs = recipient.notBeforeMs - askedMs;
      this.expect(earlyMs <= 0, () => `${nameOf(recipient)} is taken to be tried ${earlyMs} ms early`);
      recipient.isDue = true; // also when the clock is set back before it is tried
      this.#claim(recipient);
      if (those.length >= manyClaimed) this.#claimedManyMs[recipient.channel] = this.#now().steadyMs;
    }
  }

  #claim(recipient: Recipient): void {
    const claimed = this.#claimed[recipient.channel].add(recipient);
    this.expect(claimed.size <= windowRecipients, () => `${claimed.size} recipients of ${recipient.channel} in memory`);
  }

  #unclaim(recipient: Recipient | undefined): void {
    if (!recipient) return;
    recipient.isDue = false;
    this.#claimed[recipient.channel].delete(recipient);
  }

  // What the world does.

  /** The queue starts, and sees a clock that jumped or not. */
  booted(isJump: boolean): void {
    const { steadyMs } = this.#now();
    this.quietSinceMs = steadyMs;
    this.#jumpedAtMs = this.#noticedAtMs = isJump ? steadyMs : -Infinity;
  }

  clockIsSet(byMs: number): void {
    const { wallMs, steadyMs } = this.#now();
    this.quietSinceMs = steadyMs;
    const isBig = Math.abs(byMs) > 60_000;
    this.#jumpedAtMs = steadyMs; // small ones add up, and what they add up to is noticed
    this.#noticedAtMs = isBig && steadyMs - this.#setAtMs > lookMs ? steadyMs : -Infinity;
    this.#setAtMs = steadyMs;
    this.fortunes.clockIsSet(wallMs);
  }

  /** The queue's process died: what it had not written down it no longer knows. */
  crashed(): void {
    this.#running.clear();
    this.fortunes.crashed();
    for (const claimed of Object.values(this.#claimed)) claimed.clear();
    for (const message of this.alive) message.lateSinceMs = undefined;
    for (const recipient of this.open) {
      recipient.isDue = false;
      if (recipient.running || recipient.heard) recipient.lost++;
      recipient.running = false;
      recipient.heard = undefined;
      recipient.lastBroken = undefined;
    }
  }

  /** A copy became visible in a mailbox, or a remote peer said yes. */
  copied(recipient: Recipient): void {
    recipient.copies++;
    const most = recipient.channel === "local" ? 1 : 1 + recipient.lost;
    this.expect(recipient.copies <= most, () => `${nameOf(recipient)} has ${recipient.copies} copies`);
    this.expect(
      recipient.state !== "failed" || recipient.lost > 0,
      () => `${nameOf(recipient)} failed, and has a copy`,
    );
  }

  /**
   * Nothing waits that could go: a minute or two when there is room, and when others take all there is, until each of
   * them had its turn, however long that takes, and those for the same destination before it. For destinations in
   * trouble there is half of the room.
   * `present`: channels with a program to deliver through.
   */
  checkPatience(present: ReadonlySet<string>): void {
    const { wallMs, steadyMs } = this.#now();
    if (steadyMs - this.quietSinceMs < patienceMs) return;
    const turnMs = { local: this.#turnMs("local"), remote: this.#turnMs("remote") };
    this.#ending = [...this.open].filter(isSuccessToReport);
    const waiting = Map.groupBy(this.open, ({ channel, destination }) => keyOf(channel, destination));
    for (const recipient of this.open) {
      const { channel, destination, message } = recipient;
      const key = keyOf(channel, destination);
      if (
        recipient.running ||
        recipient.heard ||
        message.held ||
        this.deletable.has(message.id) ||
        !present.has(channel)
      )
        continue;
      if (this.#taken(key) > 0) continue;
      const turns = this.#isFullFor(key, channel) ? (waiting.get(key)?.length ?? 1) : 0;
      const allowedMs = patienceMs + turns * turnMs[channel];
      const dueMs = Math.max(recipient.notBeforeMs, message.bornMs, this.fortunes.restsUntilMs(key));
      const quietMs = Math.min(wallMs - dueMs, steadyMs - this.quietSinceMs, steadyMs - recipient.endedMs);
      this.expect(quietMs < allowedMs, () => `${nameOf(recipient)} is due for ${wallMs - dueMs} ms and waits`);
    }
  }

  /** All places are taken that it may have, or all memory, or the disk is busy with what waits. */
  #isFullFor(key: string, channel: ChannelName): boolean {
    if (this.#claimed[channel].size > fullRecipients) return true;
    if (this.#now().steadyMs - this.#claimedManyMs[channel] < patienceMs) return true;
    const isTrial = this.fortunes.mayBeInTrouble(key);
    const trying = this.#running.get(trialsOf(channel)) ?? 0;
    return this.#taken(channel) >= this.#places(channel) || (isTrial && trying >= this.#half(channel));
  }

  /** Places taken, of a channel or a destination. */
  #taken(key: string): number {
    const ending = this.#ending.filter(
      ({ channel, destination }) => key === channel || key === keyOf(channel, destination),
    );
    return (this.#running.get(key) ?? 0) + new Set(ending.map(({ message }) => message)).size;
  }

  #places(channel: ChannelName): number {
    return channel === "local" ? this.settings.concurrencylocal : this.settings.concurrencyremote;
  }

  /** What destinations in trouble may have, and what these must leave to the others. */
  #half(channel: ChannelName): number {
    return Math.max(1, this.#places(channel) >> 1);
  }

  /** How long it takes until all destinations had their turn, if every delivery hangs: urgent mail takes three of four. */
  #turnMs(channel: ChannelName): number {
    const destinations = new Set<string>();
    for (const recipient of this.open) if (recipient.channel === channel) destinations.add(recipient.destination);
    return longestDeliveryMs * (1 + Math.ceil((4 * destinations.size) / this.#half(channel)));
  }

  /** What the disk holds is what we think it holds. */
  checkDisk({ messages, recipients, held }: Counts): void {
    const heldHere = this.alive.values().reduce((sum, message) => sum + (message.held ? 1 : 0), 0);
    const here = `${this.alive.size} messages, ${this.open.size} recipients, ${heldHere} held`;
    const there = `${messages} messages, ${recipients} recipients, ${held} held`;
    this.expect(here === there, () => `on disk are ${there}, and should be ${here}`);
  }

  /** Whatever waits on disk, memory has its bounds. */
  checkMemory(sizes: Sizes): void {
    for (const [name, most] of bounds) {
      this.expect(sizes[name] <= most, () => `the queue has ${sizes[name]} ${name} in memory, ${most} are allowed`);
    }
  }

  /** Nothing is left to do: nothing is left in memory. */
  checkEmpty(sizes: Sizes): void {
    for (const [name] of bounds) {
      if (name === "destinations" || name === "unwrittenGroups") continue; // those in trouble; the time
      this.expect(sizes[name] === 0, () => `the queue is empty, and has ${sizes[name]} ${name} in memory`);
    }
  }

  /** All is said and done: what was delivered is there, once. */
  checkEnd(): void {
    for (const { recipients } of this.messages.values()) {
      for (const recipient of recipients.values()) {
        const { state, copies, heard } = recipient;
        if (state !== "delivered" || heard?.forwards.length) continue;
        this.expect(copies > 0, () => `${nameOf(recipient)} is delivered, and nowhere to be found`);
      }
    }
  }
}

const nothingSaid: Report = { letter: "Z", forwards: [], copies: 0, takesDsn: false };
/** After how long of a delay its sender hears of it; never for who did not ask where the administrator says nothing. */
const delayMs = (notify: number, warningSeconds: number): number =>
  notify & notifyDelay
    ? 1_000 * (warningSeconds || 14_400)
    : notify === 0 && warningSeconds > 0
      ? 1_000 * warningSeconds
      : Infinity;

const isSuccessToReport = ({ heard, notify }: Recipient): boolean =>
  heard?.letter === "K" && (notify & notifySuccess) !== 0;

const isForwarded = ({ message }: Of<"message">): boolean =>
  /^Received: \(postern \d+ invoked by local\)/.test(latin1(message.prefix));

const trialsOf = (channel: ChannelName): string => `${channel} trials`;

export const nameOf = ({ message, number, forwardPath }: Recipient): string =>
  `message ${message.id}, recipient ${number} (${forwardPath})`;

/** qmail's rule, in its own words: (sqrt(age) + skip)^2 seconds after birth. */
function retryMs({ message, channel }: Recipient, startedMs: number): number {
  const bornMs = Math.min(message.bornMs, startedMs);
  const seconds = Math.floor((startedMs - bornMs) / 1_000);
  const skip = channel === "local" ? 10 : 20;
  return bornMs + 1_000 * (Math.trunc(seconds ** 0.5) + skip) ** 2;
}

const latin1 = (octets: Uint8Array): string => Buffer.from(octets).toString("latin1");

/** The mark a simulated forward carries, that of the last hop first. */
function markerOf({ prefix }: Message): string | undefined {
  if (!/^Received: \(postern \d+ invoked by local\)/.test(prefix)) return undefined;
  return /^Forward: .*$/m.exec(prefix)?.[0];
}

/** What tells one body from all others. */
export const tokenOf = (body: string): string | undefined => /^Token: (\d+)$/m.exec(body)?.[0];
