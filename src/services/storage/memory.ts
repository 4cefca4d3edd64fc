import { asciiLowerCase } from "../../protocol/address.ts";
import { done, type Outcome } from "../../protocol/outcome.ts";
import { Sorted } from "./sorted.ts";
import {
  type BlockedDestination,
  bornMs,
  type Change,
  type ChannelName,
  type Claim,
  type ClaimedRecipient,
  type Counts,
  type Dsn,
  type FailedRecipient,
  type Found,
  firstDueMs,
  type ListedMessage,
  type ListedRecipient,
  messageOctets,
  type Overdue,
  type Storage,
  type StoredMessage,
  skipMs,
  type Wanted,
} from "./storage.ts";

interface Recipient {
  readonly message: number;
  readonly number: number;
  readonly forwardPath: string;
  readonly channel: ChannelName;
  readonly destination: string;
  readonly arrivedMs: number;
  attempts: number;
  nextAttemptMs: number;
  dueMs: number | undefined;
  lastReply: string;
  readonly dsn: Dsn | undefined;
}
interface Message extends StoredMessage {
  held: boolean;
  warned: boolean;
  readonly open: Map<number, Recipient>;
  readonly failures: FailedRecipient[];
}
interface Waiting extends Recipient {
  dueMs: number;
}
interface Destination {
  readonly channel: ChannelName;
  /** What may be claimed, by when. */
  readonly waiting: Sorted<Waiting>;
  notBeforeMs: number;
  /** What is left comes after the others. */
  servedMs: number;
}

/**
 * The queue in memory, for tests and simulation: the plainest statement of what a store does that is still fast with a
 * hundred thousand recipients. Survives `reopen`, as a file would, without claims and unfinished bodies.
 */
export class MemoryStorage implements Storage {
  readonly instance = "0123456789ab";
  lastClockMs = 0;
  #clockMs = 0;
  #lastId = 0;
  readonly #messages = new Map<number, Message>();
  readonly #ids = new Sorted<number>((a, b) => a - b);
  readonly #bodies = new Map<number, Map<number, Uint8Array>>();
  /** How many messages share a body. */
  readonly #sharers = new Map<number, number>();
  readonly #incoming = new Set<number>();
  /** By channel and name. */
  readonly #destinations = new Map<string, Destination>();
  readonly #marks = new Set<string>();

  nextId(): number {
    return ++this.#lastId;
  }

  reopen(): MemoryStorage {
    for (const body of this.#incoming) this.#bodies.delete(body);
    this.#incoming.clear();
    for (const destination of this.#destinations.values()) destination.notBeforeMs = 0;
    for (const { held, open } of this.#messages.values()) {
      for (const recipient of open.values()) {
        if (!held && recipient.dueMs === undefined) this.#setDue(recipient, recipient.nextAttemptMs);
      }
    }
    this.lastClockMs = this.#clockMs;
    return this;
  }

  async apply(changes: readonly Change[]): Promise<Outcome<undefined>> {
    for (const change of changes) this.#apply(change);
    return done(undefined);
  }

  #apply(change: Change): void {
    switch (change.kind) {
      case "chunk":
        this.#incoming.add(change.body);
        this.#addChunk(change.body, change.number, change.octets);
        return;
      case "drop":
        this.#bodies.delete(change.body);
        this.#incoming.delete(change.body);
        return;
      case "message":
        this.#addMessage(change);
        return;
      case "delivered":
        this.#finish(change.message, change.number);
        return;
      case "deferred": {
        const recipient = this.#messages.get(change.message)?.open.get(change.number);
        if (!recipient) return;
        const { attempts, nextAttemptMs, lastReply } = change;
        Object.assign(recipient, { attempts, nextAttemptMs, lastReply });
        this.#wait(recipient);
        return;
      }
      case "failed": {
        const { failures, open } = this.#messages.get(change.message) ?? {};
        const dsn = open?.get(change.number)?.dsn;
        if (!failures || !this.#finish(change.message, change.number)) return;
        const { number, forwardPath, status, text } = change;
        failures.push({ sequence: failures.length + 1, number, forwardPath, status, text, ...(dsn && { dsn }) });
        return;
      }
      case "end":
        this.#end(change.message);
        return;
      case "unclaim": {
        const recipient = this.#messages.get(change.message)?.open.get(change.number);
        if (recipient && recipient.dueMs === undefined) this.#wait(recipient);
        return;
      }
      case "hold":
        this.#hold(change.message);
        return;
      case "release":
        this.#release(change.message, change.claimed);
        return;
      case "retry":
        this.#retry(change.message, change.nowMs);
        return;
      case "block":
        this.#destination(change.channel, change.destination).notBeforeMs = change.untilMs;
        return;
      case "open":
        this.#destination(change.channel, change.destination).notBeforeMs = 0;
        return;
      case "clamp":
        this.#clamp(change.nowMs, change.latestMs);
        return;
      case "warned": {
        const message = this.#messages.get(change.message);
        if (message) message.warned = true;
        return;
      }
      case "clock":
        this.#clockMs = change.nowMs;
        return;
      case "mark":
        this.#marks.add(change.name);
        return;
      default:
        change satisfies never;
    }
  }

  #addChunk(body: number, number: number, octets: Uint8Array): void {
    const chunks = this.#bodies.get(body) ?? new Map<number, Uint8Array>();
    this.#bodies.set(body, chunks.set(number, new Uint8Array(octets)));
  }

  #addMessage({ message, recipients, chunk }: Change & { kind: "message" }): void {
    if (chunk) this.#addChunk(message.body, chunk.number, chunk.octets);
    this.#incoming.delete(message.body);
    const open = new Map<number, Recipient>();
    const { id } = message;
    const arrivedMs = bornMs(message);
    const dueMs = firstDueMs(message);
    for (const { number, forwardPath, channel, destination, claimed, dsn } of recipients) {
      const recipient: Recipient = {
        message: id,
        number,
        forwardPath,
        channel,
        destination,
        arrivedMs,
        attempts: 0,
        nextAttemptMs: dueMs,
        dueMs: undefined,
        lastReply: "",
        dsn,
      };
      open.set(number, recipient);
      if (!claimed) this.#setDue(recipient, dueMs);
    }
    if (message.body) this.#sharers.set(message.body, (this.#sharers.get(message.body) ?? 0) + 1);
    this.#ids.add(id);
    this.#messages.set(id, {
      ...message,
      held: false,
      failed: false,
      warned: false,
      remaining: recipients.length,
      open,
      failures: [],
    });
  }

  #destination(channel: ChannelName, name: string): Destination {
    const key = `${channel} ${name}`;
    const known = this.#destinations.get(key);
    if (known) return known;
    const destination = { channel, waiting: new Sorted<Waiting>(byTime), notBeforeMs: 0, servedMs: 0 };
    this.#destinations.set(key, destination);
    return destination;
  }

  /** The only place that changes when a recipient may be claimed; `undefined` is not at all. */
  #setDue(recipient: Recipient, dueMs: number | undefined): void {
    const { waiting } = this.#destination(recipient.channel, recipient.destination);
    if (isWaiting(recipient)) waiting.remove(recipient);
    recipient.dueMs = dueMs;
    if (isWaiting(recipient)) waiting.add(recipient);
  }

  #finish(message: number, number: number): boolean {
    const open = this.#messages.get(message)?.open;
    const recipient = open?.get(number);
    if (recipient) this.#setDue(recipient, undefined);
    return open?.delete(number) ?? false;
  }

  #wait(recipient: Recipient): void {
    const held = this.#messages.get(recipient.message)?.held;
    this.#setDue(recipient, held ? undefined : recipient.nextAttemptMs);
  }

  #hold(id: number): void {
    const message = this.#messages.get(id);
    if (!message) return;
    message.held = true;
    for (const recipient of message.open.values()) this.#setDue(recipient, undefined);
  }

  #release(id: number, claimed: readonly number[]): void {
    const message = this.#messages.get(id);
    if (!message?.held) return;
    message.held = false;
    for (const recipient of message.open.values()) {
      if (recipient.dueMs === undefined && !claimed.includes(recipient.number)) this.#wait(recipient);
    }
  }

  #retry(id: number, nowMs: number): void {
    const message = this.#messages.get(id);
    for (const recipient of message?.open.values() ?? []) {
      if (!message || recipient.dueMs === undefined || isHeldUntilLater(message, recipient, nowMs)) continue;
      recipient.nextAttemptMs = Math.min(recipient.nextAttemptMs, nowMs);
      this.#setDue(recipient, Math.min(recipient.dueMs, nowMs)); // it may be due already, by a clock that was set since
    }
  }

  #end(id: number): void {
    const message = this.#messages.get(id);
    if (!message) return;
    for (const recipient of message.open.values()) this.#setDue(recipient, undefined);
    this.#messages.delete(id);
    this.#ids.remove(id);
    const { body } = message;
    const sharers = (this.#sharers.get(body) ?? 1) - 1;
    this.#sharers.set(body, sharers);
    if (sharers > 0) return;
    this.#sharers.delete(body);
    this.#bodies.delete(body);
  }

  #clamp(nowMs: number, latestMs: number): void {
    for (const message of this.#messages.values()) {
      for (const recipient of message.open.values()) {
        const isLater = isHeldUntilLater(message, recipient, nowMs);
        const wasToWaitMs = message.arrivedMs > nowMs ? recipient.arrivedMs - message.arrivedMs : Infinity;
        const mostMs = isLater ? nowMs + wasToWaitMs : latestMs;
        if (recipient.nextAttemptMs <= mostMs) continue;
        recipient.nextAttemptMs = mostMs;
        if (recipient.dueMs !== undefined) this.#setDue(recipient, mostMs);
      }
    }
    for (const destination of this.#destinations.values()) {
      destination.notBeforeMs = Math.min(destination.notBeforeMs, latestMs);
    }
  }

  async claim({ channel, nowMs, skip, ...most }: Claim): Promise<Outcome<readonly ClaimedRecipient[]>> {
    for (const name of skip) {
      const destination = this.#destination(channel, name);
      destination.notBeforeMs = Math.max(destination.notBeforeMs, nowMs + skipMs);
    }
    const due = [...this.#destinations.values()].filter(
      (each) =>
        each.channel === channel && each.notBeforeMs <= nowMs && (each.waiting.values[0]?.dueMs ?? Infinity) <= nowMs,
    );
    const claimed: ClaimedRecipient[] = [];
    for (const destination of due.sort((a, b) => turnOf(a) - turnOf(b))) {
      const wanted = Math.min(most.perDestination, most.limit - claimed.length);
      if (wanted <= 0) break;
      const taken = destination.waiting.first(wanted, ({ dueMs }) => dueMs <= nowMs);
      claimed.push(...taken.map((recipient) => this.#take(recipient)));
      destination.servedMs = nowMs;
    }
    return done(claimed);
  }

  async claimOverdue(overdue: Overdue): Promise<Outcome<readonly ClaimedRecipient[]>> {
    const { waiting } = this.#destination(overdue.channel, overdue.destination);
    const claimed = waiting
      .first(Infinity, ({ dueMs }) => dueMs <= overdue.nowMs)
      .filter(({ arrivedMs }) => arrivedMs < overdue.arrivedBeforeMs)
      .slice(0, overdue.limit);
    return done(claimed.map((recipient) => this.#take(recipient)));
  }

  #take(recipient: Waiting): ClaimedRecipient {
    this.#setDue(recipient, undefined);
    const { message, number, forwardPath, channel, destination, arrivedMs, attempts, dsn } = recipient;
    return { message, number, forwardPath, channel, destination, arrivedMs, attempts, ...(dsn && { dsn }) };
  }

  async nextDueMs(channel: ChannelName): Promise<Outcome<number | undefined>> {
    let nextMs: number | undefined;
    for (const { channel: other, waiting, notBeforeMs } of this.#destinations.values()) {
      const [first] = other === channel ? waiting.values : [];
      if (first) nextMs = Math.min(nextMs ?? Infinity, Math.max(first.dueMs, notBeforeMs));
    }
    return done(nextMs);
  }

  async message(id: number): Promise<Outcome<StoredMessage | undefined>> {
    const message = this.#messages.get(id);
    if (!message) return done(undefined);
    const { open, failures, ...stored } = message;
    return done({ ...stored, remaining: open.size, failed: failures.length > 0 });
  }
  async chunk(body: number, number: number): Promise<Outcome<Uint8Array | undefined>> {
    return done(this.#bodies.get(body)?.get(number)?.slice());
  }
  async failures(message: number, sequence: number, limit: number): Promise<Outcome<readonly FailedRecipient[]>> {
    return done((this.#messages.get(message)?.failures ?? []).slice(sequence, sequence + limit));
  }

  async list(after: number, limit: number, recipients: number): Promise<Outcome<readonly ListedMessage[]>> {
    const start = this.#ids.indexOf(after + 1);
    const messages = this.#ids.values.slice(start, start + limit).flatMap((id) => this.#messages.get(id) ?? []);
    return done(
      messages.map((message) => ({
        id: message.id,
        arrivedMs: message.arrivedMs,
        octets: messageOctets(message),
        reversePath: message.reversePath,
        uid: message.uid,
        held: message.held,
        ...(message.options && { options: message.options }),
        recipientCount: message.open.size,
        recipients: [...message.open.values()]
          .sort((a, b) => a.number - b.number)
          .slice(0, recipients)
          .map(listed),
      })),
    );
  }
  async search(after: number, wanted: Wanted): Promise<Outcome<Found>> {
    const start = this.#ids.indexOf(after + 1);
    const next = this.#ids.values.slice(start, start + searchedMessages).flatMap((id) => this.#messages.get(id) ?? []);
    return done({ ids: next.filter((message) => mayFit(message, wanted)).map(({ id }) => id), last: next.at(-1)?.id });
  }
  async recipients(message: number, after: number, limit: number): Promise<Outcome<readonly ListedRecipient[]>> {
    const open = [...(this.#messages.get(message)?.open.values() ?? [])].sort((a, b) => a.number - b.number);
    return done(
      open
        .filter(({ number }) => number > after)
        .slice(0, limit)
        .map(listed),
    );
  }
  async blocked(nowMs: number, limit: number): Promise<Outcome<readonly BlockedDestination[]>> {
    const blocked = [...this.#destinations]
      .filter(([, { notBeforeMs }]) => notBeforeMs > nowMs)
      .map(([key, { channel, notBeforeMs: untilMs }]) => ({
        channel,
        destination: key.slice(channel.length + 1),
        untilMs,
      }));
    return done(blocked.sort((one, other) => other.untilMs - one.untilMs).slice(0, limit));
  }
  async counts(): Promise<Outcome<Counts>> {
    const messages = [...this.#messages.values()];
    return done({
      messages: messages.length,
      recipients: messages.reduce((sum, { open }) => sum + open.size, 0),
      held: messages.filter(({ held }) => held).length,
    });
  }
  async isMarked(name: string): Promise<Outcome<boolean>> {
    return done(this.#marks.has(name));
  }
  async close(): Promise<void> {}
}

const turnOf = ({ waiting, servedMs, notBeforeMs }: Destination): number => {
  const [first] = waiting.values;
  return first ? Math.max(first.dueMs, servedMs, notBeforeMs) : Infinity;
};

const byTime = (a: Waiting, b: Waiting): number => a.dueMs - b.dueMs || a.message - b.message || a.number - b.number;

/** It was never tried, nor claimed, and is not to be before some time after `nowMs`. */
const isHeldUntilLater = ({ options, held }: Message, { attempts, dueMs }: Recipient, nowMs: number): boolean =>
  attempts === 0 && (options?.holdUntilMs ?? 0) > nowMs && (dueMs !== undefined || held);

const isWaiting = (recipient: Recipient): recipient is Waiting => recipient.dueMs !== undefined;

const searchedMessages = 100;

function mayFit(
  { arrivedMs, reversePath, open }: Message,
  { sender, recipient, destination, ...wanted }: Wanted,
): boolean {
  const { arrivedByMs = Infinity } = wanted;
  const isEnd = (end: string | undefined, text: string): boolean => asciiLowerCase(text).endsWith(end ?? "");
  if (arrivedMs > arrivedByMs || !isEnd(sender, reversePath)) return false;
  if (recipient === undefined && destination === undefined) return true;
  return open
    .values()
    .some(
      (to) =>
        isEnd(recipient, to.forwardPath) && (isEnd(destination, to.destination) || isEnd(destination, to.forwardPath)),
    );
}

const listed = ({ number, forwardPath, channel, destination, ...rest }: Recipient): ListedRecipient => ({
  number,
  forwardPath,
  channel,
  destination,
  attempts: rest.attempts,
  nextAttemptMs: rest.nextAttemptMs,
  lastReply: rest.lastReply,
  ...(rest.dsn && { dsn: rest.dsn }),
});
