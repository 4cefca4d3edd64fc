import { rowOf, rowsOf, type Statements } from "./sqlite-schema.ts";
import {
  bornMs,
  type Change,
  type ChannelName,
  firstDueMs,
  maxChunks,
  messageOctets,
  type NewMessage,
} from "./storage.ts";

export const channelNumber = (channel: ChannelName): number => (channel === "local" ? 0 : 1);
export const channelName = (number: number): ChannelName => (number === 0 ? "local" : "remote");

export const chunkId = (body: number, number: number): number => body * maxChunks + number;

/** Where `meta` keeps a mark: no other name in it has a colon. */
export const markKey = (name: string): string => `mark:${name}`;

interface Moved {
  readonly channel: number;
  readonly destination: string;
  readonly due: number | null;
}

/** Writes one change down, within a transaction that the caller began. */
export function applyChange(s: Statements, change: Change): void {
  switch (change.kind) {
    case "chunk":
      if (change.number === 0) s.addIncoming.run(change.body);
      s.addChunk.run(chunkId(change.body, change.number), change.octets);
      return;
    case "drop":
      dropBody(s, change.body);
      s.dropIncoming.run(change.body);
      return;
    case "message":
      addMessage(s, change);
      return;
    case "delivered":
      if (s.dropRecipient.run(change.message, change.number).changes) s.oneLess.run(change.message);
      return;
    case "deferred":
      wait(s, s.defer, change.nextAttemptMs, change.attempts, change.lastReply, change.message, change.number);
      return;
    case "failed":
      if (!s.dropRecipient.run(change.message, change.number).changes) return;
      s.oneLess.run(change.message);
      s.addFailure.run(change.message, change.number, change.forwardPath, change.status, change.text);
      return;
    case "end":
      endMessage(s, change.message);
      return;
    case "unclaim":
      wait(s, s.unclaim, change.message, change.number);
      return;
    case "hold":
      s.hold.run(change.message);
      s.holdRecipients.run(change.message);
      return;
    case "release":
      if (s.release.run(change.message).changes === 0) return;
      for (const { number } of rowsOf<{ number: number }>(s.unclaimedOf, change.message)) {
        if (!change.claimed.includes(number)) wait(s, s.unclaim, change.message, number);
      }
      return;
    case "retry":
      wait(s, s.retry, change.nowMs, change.message);
      return;
    case "block":
      s.block.run(channelNumber(change.channel), change.destination, change.untilMs);
      return;
    case "open":
      s.open.run(channelNumber(change.channel), change.destination, change.nowMs);
      return;
    case "clamp":
      clamp(s, change.nowMs, change.latestMs);
      return;
    case "warned":
      s.warned.run(change.message);
      return;
    case "clock":
      s.setMeta.run("clock", change.nowMs);
      return;
    case "mark":
      s.setMeta.run(markKey(change.name), 1);
      return;
    default:
      change satisfies never;
  }
}

function addMessage(s: Statements, change: Change & { kind: "message" }): void {
  const { message, recipients, chunk } = change;
  if (chunk) s.addChunk.run(chunkId(message.body, chunk.number), chunk.octets);
  if (chunk && chunk.number > 0) s.dropIncoming.run(message.body);
  insertMessage(s, message, recipients.length);
  const asked = message.options !== undefined || recipients.some(({ dsn }) => dsn);
  if (asked) addOptions(s, message);
  const arrived = bornMs(message);
  const next = firstDueMs(message);
  for (const { number, forwardPath, channel, destination, claimed, dsn } of recipients) {
    const due = claimed ? null : next;
    const channelAs = channelNumber(channel);
    s.addRecipient.run(message.id, number, forwardPath, channelAs, destination, arrived, next, due);
    if (due !== null) s.touchDestination.run(channelAs, destination, due);
    if (dsn) s.addDsn.run(message.id, number, dsn.notify, dsn.originalRecipient);
  }
}

function insertMessage(s: Statements, message: NewMessage, remaining: number): void {
  s.addMessage.run(
    message.id,
    message.arrivedMs,
    message.reversePath,
    message.bodyKind,
    message.uid,
    remaining,
    message.body,
    message.bodyOctets,
    messageOctets(message),
    message.prefix,
    message.suffix,
  );
}

/** A row without values says that there may be rows of recipients. */
function addOptions(s: Statements, { id, options: o }: NewMessage): void {
  const values = o ? [o.envelopeId, o.ret, o.flags, o.priority, o.holdUntilMs] : [null, null, null, null, null];
  s.addOptions.run(id, ...values);
}

/** Changes when recipients are due, and sees to it that their destinations are looked at then. */
function wait(s: Statements, statement: Statements[keyof Statements], ...values: (string | number)[]): void {
  for (const { channel, destination, due } of rowsOf<Moved>(statement, ...values)) {
    if (due !== null) s.touchDestination.run(channel, destination, due);
  }
}

function clamp(s: Statements, nowMs: number, latestMs: number): void {
  wait(s, s.clampHolds, nowMs);
  s.clamp.run(nowMs, latestMs);
  s.clampDestinations.run(latestMs);
}

function endMessage(s: Statements, id: number): void {
  const ended = rowOf<{ body: number; asked: number }>(s.dropMessage, id);
  if (!ended) return;
  s.dropRecipients.run(id);
  s.dropFailures.run(id);
  const { body, asked } = ended;
  if (asked) {
    s.dropOptions.run(id);
    s.dropDsn.run(id);
  }
  if (body === 0 || s.isShared.get(body) || (body !== id && s.isOwned.get(body))) return;
  dropBody(s, body);
}

const dropBody = (s: Statements, body: number): void => {
  s.dropChunks.run(chunkId(body, 0), chunkId(body, maxChunks - 1));
};
