import { done, type Outcome } from "../../protocol/outcome.ts";
import {
  type Change,
  type ChannelName,
  type Claim,
  type ClaimedRecipient,
  type Counts,
  type FailedRecipient,
  type ListedMessage,
  type ListedRecipient,
  messageOctets,
  type Overdue,
  type Storage,
  type StoredMessage,
  skipMs,
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
}
interface Message extends StoredMessage {
  held: boolean;
  readonly open: Map<number, Recipient>;
  readonly failures: FailedRecipient[];
}

/**
 * The queue in memory, for tests and simulation: no ranges, no indexes, the plainest statement of what a store does.
 * Survives `reopen`, as a file would, without claims and unfinished bodies.
 */
export class MemoryStorage implements Storage {
  readonly instance = "0123456789ab";
  lastClockMs = 0;
  #clockMs = 0;
  #lastId = 0;
  readonly #messages = new Map<number, Message>();
  readonly #bodies = new Map<number, Map<number, Uint8Array>>();
  readonly #incoming = new Set<number>();
  /** When a destination may be looked at again, by channel and name. */
  readonly #notBefore = new Map<string, number>();

  nextId(): number {
    return ++this.#lastId;
  }

  reopen(): MemoryStorage {
    for (const body of this.#incoming) this.#bodies.delete(body);
    this.#incoming.clear();
    this.#notBefore.clear();
    for (const { held, open } of this.#messages.values()) {
      for (const recipient of open.values()) if (!held) recipient.dueMs ??= recipient.nextAttemptMs;
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
        const failures = this.#messages.get(change.message)?.failures;
        if (!failures || !this.#finish(change.message, change.number)) return;
        const { number, forwardPath, status, text } = change;
        failures.push({ sequence: failures.length + 1, number, forwardPath, status, text });
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
        for (const recipient of this.#messages.get(change.message)?.open.values() ?? []) {
          if (recipient.dueMs !== undefined) recipient.dueMs = recipient.nextAttemptMs = change.nowMs;
        }
        return;
      case "block":
        this.#notBefore.set(keyOf(change.channel, change.destination), change.untilMs);
        return;
      case "open":
        this.#notBefore.delete(keyOf(change.channel, change.destination));
        return;
      case "clamp":
        this.#clamp(change.latestMs);
        return;
      case "clock":
        this.#clockMs = change.nowMs;
        return;
      default:
        change satisfies never;
    }
  }

  #addChunk(body: number, number: number, octets: Uint8Array): void {
    const chunks = this.#bodies.get(body) ?? new Map<number, Uint8Array>();
    this.#bodies.set(body, chunks.set(number, Uint8Array.from(octets)));
  }

  #addMessage({ message, recipients, chunk }: Change & { kind: "message" }): void {
    if (chunk) this.#addChunk(message.body, chunk.number, chunk.octets);
    this.#incoming.delete(message.body);
    const open = new Map<number, Recipient>();
    for (const { claimed, ...recipient } of recipients) {
      open.set(recipient.number, {
        ...recipient,
        message: message.id,
        arrivedMs: message.arrivedMs,
        attempts: 0,
        nextAttemptMs: message.arrivedMs,
        dueMs: claimed ? undefined : message.arrivedMs,
        lastReply: "",
      });
    }
    this.#messages.set(message.id, {
      ...message,
      held: false,
      failed: false,
      remaining: recipients.length,
      open,
      failures: [],
    });
  }

  #finish(message: number, number: number): boolean {
    return this.#messages.get(message)?.open.delete(number) ?? false;
  }

  #wait(recipient: Recipient): void {
    const held = this.#messages.get(recipient.message)?.held;
    recipient.dueMs = held ? undefined : recipient.nextAttemptMs;
  }

  #hold(id: number): void {
    const message = this.#messages.get(id);
    if (!message) return;
    message.held = true;
    for (const recipient of message.open.values()) recipient.dueMs = undefined;
  }

  #release(id: number, claimed: readonly number[]): void {
    const message = this.#messages.get(id);
    if (!message) return;
    message.held = false;
    for (const recipient of message.open.values()) {
      if (recipient.dueMs === undefined && !claimed.includes(recipient.number)) this.#wait(recipient);
    }
  }

  #end(id: number): void {
    const body = this.#messages.get(id)?.body;
    this.#messages.delete(id);
    if (body && !this.#messages.values().some((other) => other.body === body)) this.#bodies.delete(body);
  }

  #clamp(latestMs: number): void {
    for (const { open } of this.#messages.values()) {
      for (const recipient of open.values()) {
        if (recipient.nextAttemptMs <= latestMs) continue;
        recipient.nextAttemptMs = latestMs;
        if (recipient.dueMs !== undefined) recipient.dueMs = latestMs;
      }
    }
    for (const [key, notBeforeMs] of this.#notBefore) this.#notBefore.set(key, Math.min(notBeforeMs, latestMs));
  }

  #waiting(channel: ChannelName): (Recipient & { dueMs: number })[] {
    const waiting: (Recipient & { dueMs: number })[] = [];
    for (const { open } of this.#messages.values()) {
      for (const recipient of open.values())
        if (isWaiting(recipient) && recipient.channel === channel) waiting.push(recipient);
    }
    return waiting.sort((a, b) => a.dueMs - b.dueMs);
  }

  async claim(claim: Claim): Promise<Outcome<readonly ClaimedRecipient[]>> {
    const { channel, nowMs } = claim;
    for (const name of claim.skip) {
      const key = keyOf(channel, name);
      this.#notBefore.set(key, Math.max(this.#notBefore.get(key) ?? 0, nowMs + skipMs));
    }
    const taken = new Map<string, number>();
    const claimed = this.#waiting(channel).filter(({ dueMs, destination }) => {
      const already = taken.get(destination) ?? 0;
      if (dueMs > nowMs || (this.#notBefore.get(keyOf(channel, destination)) ?? 0) > nowMs) return false;
      if (already >= claim.perDestination) return false;
      taken.set(destination, already + 1);
      return true;
    });
    return done(claimed.slice(0, claim.limit).map(take));
  }

  async claimOverdue(overdue: Overdue): Promise<Outcome<readonly ClaimedRecipient[]>> {
    const claimed = this.#waiting(overdue.channel).filter(
      ({ destination, dueMs, arrivedMs }) =>
        destination === overdue.destination && dueMs <= overdue.nowMs && arrivedMs < overdue.arrivedBeforeMs,
    );
    return done(claimed.slice(0, overdue.limit).map(take));
  }

  async nextDueMs(channel: ChannelName): Promise<Outcome<number | undefined>> {
    const times = this.#waiting(channel).map(({ dueMs, destination }) =>
      Math.max(dueMs, this.#notBefore.get(keyOf(channel, destination)) ?? 0),
    );
    return done(times.length > 0 ? Math.min(...times) : undefined);
  }

  async message(id: number): Promise<Outcome<StoredMessage | undefined>> {
    const message = this.#messages.get(id);
    if (!message) return done(undefined);
    const { open, failures, ...stored } = message;
    return done({ ...stored, remaining: open.size, failed: failures.length > 0 });
  }
  async chunk(body: number, number: number): Promise<Outcome<Uint8Array | undefined>> {
    return done(this.#bodies.get(body)?.get(number));
  }
  async failures(message: number, sequence: number, limit: number): Promise<Outcome<readonly FailedRecipient[]>> {
    return done((this.#messages.get(message)?.failures ?? []).slice(sequence, sequence + limit));
  }

  async list(after: number, limit: number, recipients: number): Promise<Outcome<readonly ListedMessage[]>> {
    const messages = [...this.#messages.values()].filter(({ id }) => id > after).sort((a, b) => a.id - b.id);
    return done(
      messages.slice(0, limit).map((message) => ({
        id: message.id,
        arrivedMs: message.arrivedMs,
        octets: messageOctets(message),
        reversePath: message.reversePath,
        uid: message.uid,
        held: message.held,
        recipientCount: message.open.size,
        recipients: [...message.open.values()]
          .sort((a, b) => a.number - b.number)
          .slice(0, recipients)
          .map(listed),
      })),
    );
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
  async counts(): Promise<Outcome<Counts>> {
    const messages = [...this.#messages.values()];
    return done({
      messages: messages.length,
      recipients: messages.reduce((sum, { open }) => sum + open.size, 0),
      held: messages.filter(({ held }) => held).length,
    });
  }
  async close(): Promise<void> {}
}

const keyOf = (channel: ChannelName, destination: string): string => `${channel} ${destination}`;

const isWaiting = (recipient: Recipient): recipient is Recipient & { dueMs: number } => recipient.dueMs !== undefined;

function take(recipient: Recipient): ClaimedRecipient {
  recipient.dueMs = undefined;
  const { message, number, forwardPath, channel, destination, arrivedMs, attempts } = recipient;
  return { message, number, forwardPath, channel, destination, arrivedMs, attempts };
}

const listed = ({ number, forwardPath, channel, destination, ...rest }: Recipient): ListedRecipient => ({
  number,
  forwardPath,
  channel,
  destination,
  attempts: rest.attempts,
  nextAttemptMs: rest.nextAttemptMs,
  lastReply: rest.lastReply,
});
