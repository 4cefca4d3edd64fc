import { isEnvelopeAddress } from "../../protocol/address.ts";
import type { Report } from "../../protocol/schedule/retry.ts";
import type { ChannelName, Delivery, News } from "../../protocol/schedule/scheduler.ts";
import { expandVerp } from "../../protocol/verp.ts";
import {
  bodyEnd,
  brokeOff,
  deliver,
  deliverOptions,
  deliveryBodyType,
  deliveryCredit,
  deliveryWindowOctets,
  ended,
  expandsVerp,
  forward,
  maxReportOctets,
  relayed,
  report,
  settled,
} from "../../protocol/wire/delivery.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import { noOptions } from "../../protocol/wire/submission.ts";
import type { Channel, ChannelEvents } from "../../services/channel/channel.ts";
import { free } from "../../services/memory/free.ts";
import { chunkOctets, messageOctets } from "../../services/storage/storage.ts";
import type { Active, Entry } from "./active.ts";
import { pause } from "./clock.ts";
import type { Core } from "./core.ts";
import { headerOf, readHeader } from "./notices.ts";
import { wantsSuccess } from "./reports.ts";
import type { Forward, NextHop, Reported, Settler } from "./settle.ts";

/** A program that delivers. */
interface Peer {
  readonly channelName: ChannelName;
  channel: Channel | undefined;
  readonly streams: Map<number, Running>;
  lastStream: number;
  /** What its reports and forwards take of memory until their deliveries end. */
  heldOctets: number;
}

/** A delivery under way. */
interface Running {
  readonly delivery: Delivery;
  readonly active: Active;
  readonly entries: readonly Entry[];
  /** Log numbers, one for each recipient. */
  readonly logNumbers: readonly number[];
  readonly reports: Map<number, Reported>;
  /** For the next report. */
  forwards: Forward[];
  nextHop: NextHop | undefined;
  heldOctets: number;
  /** Octets of body that may be sent now, and those that were sent. */
  credit: number;
  sent: number;
  /** A piece is being read from disk. */
  reading: boolean;
  ended: boolean;
}

/** What the reports and forwards of one peer may take of memory. */
const maxHeldOctets = 67_108_864;
/** What each of them costs beside its octets. */
const heldCostOctets = 128;
/** A peer that gives credit for what it does not read is found out here, beyond a window for each delivery. */
const maxUnreadOctets = 67_108_864;
/** A recipient over which the delivering program died so often waits like any other that failed for now. */
const maxBreaks = 3;
const readAgainMs = 1_000;
const idleLookMs = 20;
const noReport: Report = { letter: "Z", status: "3.0", text: "The delivery ended without a report.\n" };
const untriedText = "Not tried: there a delivery takes fewer recipients. They follow at once.\n";
const died: Report = { letter: "Z", status: "3.0", text: "The program that delivers ended unexpectedly.\n" };

/** Carries deliveries to `local` and `remote`, and their results to who settles them. */
export class Dispatch {
  readonly #core: Core;
  readonly #settler: Settler;
  readonly #peers = new Set<Peer>();
  #lastLogNumber = 0;

  constructor(core: Core, settler: Settler) {
    this.#core = core;
    this.#settler = settler;
    core.start = (delivery) => this.#start(delivery);
  }

  get heldOctets(): number {
    return this.#peers.values().reduce((sum, peer) => sum + peer.heldOctets, 0);
  }

  connect(channelName: ChannelName, connect: (events: ChannelEvents) => Channel): void {
    const peer: Peer = { channelName, channel: undefined, streams: new Map(), lastStream: 0, heldOctets: 0 };
    peer.channel = connect({
      onFrame: (frame) => this.#onFrame(peer, frame),
      onClose: () => this.#onClose(peer),
    });
    this.#peers.add(peer);
    this.#core.step({ kind: "peer", channel: channelName, present: true });
  }

  /** Breaks all channels: what was under way counts as not tried. */
  close(): void {
    for (const { channel } of [...this.#peers]) channel?.close();
  }

  /** Resolves when no delivery is under way, or after so long. */
  async idle(mostMs: number): Promise<void> {
    const { clock, scheduler } = this.#core;
    const untilMs = clock.steadyMs() + mostMs;
    const busy = () => scheduler.running("local") + scheduler.running("remote") > 0;
    while (busy() && clock.steadyMs() < untilMs) await pause(clock, idleLookMs);
  }

  #start(delivery: Delivery): void {
    const { jobs, channel } = delivery;
    const [first] = jobs;
    const active = first && this.#core.active.get(first.message);
    const peer = this.#leastBusy(channel);
    if (!active || !peer) throw new Error(`a delivery of message ${first?.message} cannot start`);
    const entries = jobs.flatMap(({ number }) => active.entries.get(number) ?? []);
    for (const entry of entries) entry.running = true;
    const running: Running = {
      delivery,
      active,
      entries,
      logNumbers: entries.map((entry) => this.#logStart(entry)),
      reports: new Map(),
      forwards: [],
      nextHop: undefined,
      heldOctets: 0,
      credit: deliveryWindowOctets,
      sent: 0,
      reading: false,
      ended: false,
    };
    const stream = nextStream(peer);
    peer.streams.set(stream, running);
    peer.channel?.send(this.#encodeDeliver(stream, running));
    const isAsked = active.message.options !== undefined || entries.some(({ dsn }) => dsn);
    if (isAsked && channel === "remote") peer.channel?.send(encodeOptions(stream, running));
    this.#sendBody(peer, stream, running);
  }

  #leastBusy(channel: ChannelName): Peer | undefined {
    let least: Peer | undefined;
    for (const peer of this.#peers) {
      if (peer.channelName === channel && (!least || peer.streams.size < least.streams.size)) least = peer;
    }
    return least;
  }

  #logStart({ message, channel, forwardPath }: Entry): number {
    const delivery = ++this.#lastLogNumber;
    this.#core.log({ event: "starting", delivery, message, channel, recipient: forwardPath });
    this.#core.logStatus();
    return delivery;
  }

  #encodeDeliver(stream: number, { active, entries }: Running): Buffer {
    const { message } = active;
    const name = `${Math.floor(message.arrivedMs / 1_000)}.Q${this.#core.storage.instance}I${message.id}`;
    return deliver.encode(stream, {
      queueId: message.id,
      name,
      arrivedMs: message.arrivedMs,
      octets: messageOctets(message),
      bodyKind: message.bodyKind,
      attempt: entries.reduce((most, { attempts }) => Math.max(most, attempts), 0) + 1,
      reversePath:
        entries.length > 1 ? message.reversePath : expandVerp(message.reversePath, entries[0]?.forwardPath ?? ""),
      numbers: entries.map(({ number }) => number),
      forwardPaths: entries.map(({ forwardPath }) => forwardPath),
    });
  }

  /** Sends what credit allows: from memory at once, else as it is read. */
  #sendBody(peer: Peer, stream: number, running: Running): void {
    const total = messageOctets(running.active.message);
    while (!running.ended && running.credit > 0 && running.sent < total) {
      const piece = octetsAt(running.active, running.sent);
      if (!piece) {
        void this.#sendFromDisk(peer, stream, running);
        return;
      }
      this.#sendPiece(peer, stream, running, piece);
    }
    if (!running.ended && running.sent === total) peer.channel?.send(bodyEnd.encode(stream, {}));
  }

  #sendPiece(peer: Peer, stream: number, running: Running, octets: Uint8Array): void {
    const piece = octets.subarray(0, Math.min(running.credit, chunkOctets));
    peer.channel?.pass(deliveryBodyType, stream, piece);
    running.credit -= piece.length;
    running.sent += piece.length;
  }

  async #sendFromDisk(peer: Peer, stream: number, running: Running): Promise<void> {
    const { message } = running.active;
    const at = running.sent - message.prefix.length;
    running.reading = true;
    const number = Math.floor(at / chunkOctets);
    let chunk = await this.#core.storage.chunk(message.body, number);
    while (chunk.kind !== "done" && !running.ended) {
      await pause(this.#core.clock, readAgainMs);
      chunk = await this.#core.storage.chunk(message.body, number);
    }
    if (running.ended || chunk.kind !== "done") return;
    if (!chunk.value) {
      this.#setAside(peer, running);
      return;
    }
    running.reading = false;
    this.#sendPiece(peer, stream, running, chunk.value.subarray(at % chunkOctets));
    free(chunk.value);
    this.#sendBody(peer, stream, running);
  }

  /** The body is damaged: the administrator must look. There is no other way to end a delivery from our side. */
  #setAside(peer: Peer, { active }: Running): void {
    const { id } = active.message;
    this.#core.log({ event: "alert", text: `message ${id} is held: part of its body cannot be read` });
    active.held = true;
    this.#core.require(active, [{ kind: "hold", message: id }]);
    peer.channel?.close();
  }

  #onFrame(peer: Peer, frame: Frame): undefined | "broken" {
    const running = peer.streams.get(frame.stream);
    if (!running) return "broken";
    switch (frame.type) {
      case deliveryCredit.type:
        return this.#onCredit(peer, frame, running);
      case forward.type:
        // Only the user's own deliveries make mail; who talks to the network has none to give.
        if (peer.channelName !== "local" || !hold(peer, running, frame.payload)) return "broken";
        return onForward(running, frame.payload);
      case relayed.type:
        if (peer.channelName !== "remote" || !hold(peer, running, frame.payload)) return "broken";
        return onRelayed(running, frame.payload);
      case report.type:
        return hold(peer, running, frame.payload) ? onReport(running, frame.payload) : "broken";
      case ended.type: {
        const fields = ended.decode(frame.payload);
        if (!fields || fields.reached > expandsVerp) return "broken";
        peer.streams.delete(frame.stream);
        peer.heldOctets -= running.heldOctets;
        if (fields.reached === brokeOff) {
          this.#breakOff(running);
          return undefined;
        }
        this.#end(running, fields.reached, () => peer.channel?.send(settled.encode(frame.stream, {})));
        return undefined;
      }
      default:
        return "broken";
    }
  }

  #onCredit(peer: Peer, { stream, payload }: Frame, running: Running): undefined | "broken" {
    const fields = deliveryCredit.decode(payload);
    const unread = (peer.channel?.pendingOctets ?? 0) - peer.streams.size * deliveryWindowOctets;
    if (!fields || unread > maxUnreadOctets) return "broken";
    running.credit = Math.min(running.credit + fields.octets, deliveryWindowOctets);
    const more = running.sent < messageOctets(running.active.message);
    if (more && !running.reading) this.#sendBody(peer, stream, running);
    return undefined;
  }

  /** Until the header for a report of success is read the delivery is not over: nothing else happens to its recipients. */
  #end(running: Running, reached: number, whenWritten: () => void): void {
    running.ended = true;
    const { message, body } = running.active;
    const results = resultsOf(running);
    const isReported = results.some(
      ({ entry, reported: { letter } }) => letter === "K" && wantsSuccess(running.active, entry),
    );
    const { delivery } = running;
    const isVerp = reached === expandsVerp;
    const news = { delivery, reached: isVerp ? 1 : reached, expandsVerp: isVerp };
    if (!isReported) this.#settle(running, news, results, whenWritten);
    else if (body) this.#settle(running, news, results, whenWritten, headerOf([message.prefix, ...body]));
    else {
      this.#core.step({ kind: "heard", ...news });
      const noNews = { delivery, reached: 0 };
      void readHeader(this.#core, message).then((header) =>
        this.#settle(running, noNews, results, whenWritten, header),
      );
    }
  }

  #settle(running: Running, news: News, results: readonly Ended[], whenWritten: () => void, header?: Uint8Array): void {
    const { delivery, active, entries } = running;
    for (const entry of entries) entry.running = false;
    const untried = results.filter(({ entry }) => isUntried(running, entry));
    for (const { logNumber } of untried) {
      this.#core.log({ event: "delivery", delivery: logNumber, result: "deferral", text: untriedText });
    }
    const tried = results.filter((result) => !untried.includes(result));
    this.#settler.settle(active, delivery.startedMs, tried, whenWritten, header);
    const back = this.#again(active, untried);
    const tookOnly = untried.some(({ entry }) => entry.shares === "always") ? tried.length : undefined;
    this.#core.step({ kind: "ended", ...news, back, ...(tookOnly !== undefined && { tookOnly }) });
    this.#core.logStatus();
  }

  /** Those that are to be done again at once: none of a message that is held. */
  #again({ held }: Active, results: readonly { readonly entry: Entry }[]): readonly Entry[] {
    const entries = results.map(({ entry }) => entry);
    if (!held) return entries;
    for (const { message, number } of entries) this.#core.unclaim(message, number);
    return [];
  }

  #onClose(peer: Peer): void {
    this.#peers.delete(peer);
    const present = this.#leastBusy(peer.channelName) !== undefined;
    this.#core.step({ kind: "peer", channel: peer.channelName, present });
    for (const running of peer.streams.values()) this.#breakOff(running);
    peer.streams.clear();
  }

  /** Nothing is known of it, so it is done again: at once, unless it may be what kills the program. */
  #breakOff(running: Running): void {
    const { delivery, active, entries, logNumbers } = running;
    running.ended = true;
    for (const entry of entries) {
      entry.running = false;
      entry.breaks++;
    }
    const givenUp = entries.filter(({ breaks }) => breaks >= maxBreaks || active.deleted);
    const results = entries.map((entry, at) => ({
      entry,
      logNumber: logNumbers[at] ?? 0,
      reported: { ...died, forwards: [] },
    }));
    const given = results.filter(({ entry }) => givenUp.includes(entry));
    this.#settler.settle(active, delivery.startedMs, given, () => {});
    const rest = results.filter(({ entry }) => !givenUp.includes(entry));
    for (const { logNumber } of rest) {
      this.#core.log({ event: "delivery", delivery: logNumber, result: "deferral", text: died.text });
    }
    this.#core.step({ kind: "ended", delivery, reached: 0, back: this.#again(active, rest) });
    this.#core.logStatus();
  }
}

interface Ended {
  readonly entry: Entry;
  readonly logNumber: number;
  readonly reported: Reported;
}

const resultsOf = ({ entries, logNumbers, reports }: Running): readonly Ended[] =>
  entries.map((entry, at) => ({
    entry,
    logNumber: logNumbers[at] ?? 0,
    reported: reports.get(entry.number) ?? { ...noReport, forwards: [] },
  }));

function encodeOptions(stream: number, { active, entries }: Running): Buffer {
  const { envelopeId, ret, flags, priority } = active.message.options ?? noOptions;
  return deliverOptions.encode(stream, {
    envelopeId,
    ret,
    flags,
    priority,
    notify: entries.map(({ dsn }) => dsn?.notify ?? 0),
    originalRecipients: entries.map(({ dsn }) => dsn?.originalRecipient ?? ""),
  });
}

function nextStream(peer: Peer): number {
  do peer.lastStream = (peer.lastStream + 1) % 2 ** 32;
  while (peer.streams.has(peer.lastStream));
  return peer.lastStream;
}

/**
 * A server may take fewer recipients at once than it was to get, and one that does not expand VERP takes one. Those with
 * a report are as good as done: however often the others go back, it ends.
 */
const isUntried = ({ active, reports }: Running, { number }: Entry): boolean =>
  reports.size > 0 && !reports.has(number) && !active.deleted;

/** What of the message starts there and is in memory: prefix, body or suffix. */
function octetsAt({ message, body }: Active, at: number): Uint8Array | undefined {
  const { prefix, bodyOctets, suffix } = message;
  if (at < prefix.length) return prefix.subarray(at);
  const inBody = at - prefix.length;
  if (inBody >= bodyOctets) return suffix.subarray(inBody - bodyOctets);
  return body?.[Math.floor(inBody / chunkOctets)]?.subarray(inBody % chunkOctets);
}

function hold(peer: Peer, running: Running, { length }: Buffer): boolean {
  running.heldOctets += length + heldCostOctets;
  peer.heldOctets += length + heldCostOctets;
  return peer.heldOctets <= maxHeldOctets;
}

function onForward(running: Running, payload: Buffer): undefined | "broken" {
  const fields = forward.decode(payload);
  if (!fields || ![fields.reversePath, ...fields.forwardPaths].every(isEnvelopeAddress)) return "broken";
  const last = running.forwards.at(-1);
  if (last && fields.prefix.length === 0 && last.reversePath === fields.reversePath) {
    last.forwardPaths.push(...fields.forwardPaths);
    return undefined;
  }
  const { reversePath, prefix, forwardPaths } = fields;
  running.forwards.push({ reversePath, prefix, forwardPaths: [...forwardPaths] });
  return undefined;
}

function onReport(running: Running, payload: Buffer): undefined | "broken" {
  const fields = report.decode(payload);
  if (!fields) return "broken";
  const { number, letter, status, text } = fields;
  if (running.reports.has(number) || !running.entries.some((entry) => entry.number === number)) return "broken";
  const { forwards, nextHop } = running;
  const reported = { letter, status, text: text.slice(0, maxReportOctets), forwards, ...(nextHop && { nextHop }) };
  running.reports.set(number, reported);
  running.forwards = [];
  running.nextHop = undefined;
  return undefined;
}

function onRelayed(running: Running, payload: Buffer): undefined | "broken" {
  const fields = relayed.decode(payload);
  if (!fields || running.nextHop || !isEnvelopeAddress(fields.peer)) return "broken";
  const { peer, takesDsn, isFinal } = fields;
  if (takesDsn > 1 || isFinal > 1) return "broken";
  running.nextHop = { peer, takesDsn: takesDsn === 1, isFinal: isFinal === 1 };
  return undefined;
}
