import { asciiLowerCase } from "../address.ts";
import { Histogram } from "./histogram.ts";
import { reasonOf } from "./reason.ts";
import { type LogRecord, parseLogLine } from "./record.ts";
import { Tally } from "./tally.ts";

/** Messages of which more is expected; past it the one that has waited longest is forgotten. */
export const maxOpenMessages = 200_000;
/** Deliveries under way. */
export const maxOpenDeliveries = 65_536;

interface Message {
  bornMs: number;
  octets: number;
  reversePath: string;
  uid: number;
}
interface Delivery {
  readonly message: number;
  readonly channel: "local" | "remote";
  readonly recipient: string;
  readonly startedMs: number;
}

export interface Fates {
  success: number;
  deferral: number;
  failure: number;
}
const noFates = (): Fates => ({ success: 0, deferral: 0, failure: 0 });

/**
 * Gathers a log line by line, in order, in bounded memory: what matchup would pair and the z programs would count.
 * Times are those of the log. Read the fields when all lines have been taken.
 */
export class LogReport {
  lines = 0;
  /** Lines of no form that is known. */
  unread = 0;
  /** Lines about a message or a delivery whose beginning was not seen. */
  unmatched = 0;
  firstMs = 0;
  lastMs = 0;

  arrived = 0;
  arrivedOctets = 0;
  ended = 0;
  bounces = 0;
  tripleBounces = 0;
  warnings = 0;
  alerts = 0;
  refused = 0;
  /** Deliveries whose end the log does not have, because the queue ended first. */
  interrupted = 0;
  deliveredOctets = 0;

  readonly fates = { local: noFates(), remote: noFates() };
  /** From the message's arrival to each success. */
  readonly delays = { local: new Histogram(), remote: new Histogram() };
  /** How long each attempt took. */
  readonly attempts = { local: new Histogram(), remote: new Histogram() };
  /** From arrival to the end of the message. */
  readonly stays = new Histogram();

  readonly domains = new Tally();
  readonly localRecipients = new Tally();
  readonly senders = new Tally();
  readonly uids = new Tally();
  readonly failures = new Tally();
  readonly deferrals = new Tally();
  readonly refusals = new Tally();

  readonly #messages = new Map<number, Message>();
  readonly #deliveries = new Map<number, Delivery>();

  /** Messages that had not ended, and deliveries under way, at the end of the log. */
  get openMessages(): number {
    return this.#messages.size;
  }
  get openDeliveries(): number {
    return this.#deliveries.size;
  }

  take(line: string): void {
    if (line === "") return;
    this.lines++;
    const read = parseLogLine(line);
    if (!read) {
      this.unread++;
      return;
    }
    if (this.firstMs === 0 || read.timeMs < this.firstMs) this.firstMs = read.timeMs;
    if (read.timeMs > this.lastMs) this.lastMs = read.timeMs;
    this.#record(read.record, read.timeMs);
  }

  #record(record: LogRecord, timeMs: number): void {
    switch (record.kind) {
      case "new":
        keep(this.#messages, maxOpenMessages, record.message, { bornMs: timeMs, octets: 0, reversePath: "", uid: -1 });
        return;
      case "info":
        this.#info(record);
        return;
      case "starting":
        this.#starting(record, timeMs);
        return;
      case "delivery":
        this.#ended(record, timeMs);
        return;
      case "bounce":
        this.bounces++;
        this.#expectMessage(record.message);
        return;
      case "triple bounce":
        this.tripleBounces++;
        this.#expectMessage(record.message);
        return;
      case "end": {
        const message = this.#expectMessage(record.message);
        if (!message) return;
        this.ended++;
        this.stays.add(Math.max(0, timeMs - message.bornMs));
        this.#messages.delete(record.message);
        return;
      }
      case "restart":
        this.interrupted += this.#deliveries.size;
        this.#deliveries.clear();
        return;
      case "refusal":
        this.refused++;
        this.refusals.of(reasonOf(record.reply)).messages++;
        return;
      case "warning":
        this.warnings++;
        return;
      case "alert":
        this.alerts++;
        return;
      case "other":
        return;
      default:
        record satisfies never;
    }
  }

  #info({ message: id, octets, reversePath, uid }: LogRecord & { kind: "info" }): void {
    const message = this.#expectMessage(id);
    if (!message) return;
    if (message.uid < 0) {
      // Preprocessed again after a crash it is announced again, and is still one message.
      this.arrived++;
      this.arrivedOctets += octets;
      for (const count of [this.senders.of(senderKey(reversePath)), this.uids.of(String(uid))]) {
        count.messages++;
        count.octets += octets;
      }
    }
    Object.assign(message, { octets, reversePath, uid });
  }

  #starting({ delivery, ...started }: LogRecord & { kind: "starting" }, timeMs: number): void {
    this.#expectMessage(started.message);
    if (this.#deliveries.delete(delivery)) this.interrupted++; // numbers began again: the queue had been killed
    keep(this.#deliveries, maxOpenDeliveries, delivery, { ...started, startedMs: timeMs });
  }

  #ended({ delivery: id, result, text }: LogRecord & { kind: "delivery" }, timeMs: number): void {
    const delivery = this.#deliveries.get(id);
    if (!delivery) {
      this.unmatched++;
      return;
    }
    this.#deliveries.delete(id);
    const { channel, recipient } = delivery;
    const message = this.#messages.get(delivery.message);
    this.fates[channel][result]++;
    this.attempts[channel].add(Math.max(0, timeMs - delivery.startedMs));
    const delayMs = message && Math.max(0, timeMs - message.bornMs);
    if (result === "success") {
      this.deliveredOctets += message?.octets ?? 0;
      if (delayMs !== undefined) this.delays[channel].add(delayMs);
    }
    const counts = [channel === "remote" ? this.domains.of(domainOf(recipient)) : this.localRecipients.of(recipient)];
    if (message) counts.push(this.senders.of(senderKey(message.reversePath)), this.uids.of(String(message.uid)));
    if (result === "failure") counts.push(this.failures.of(reasonOf(text)));
    if (result === "deferral") counts.push(this.deferrals.of(reasonOf(text)));
    for (const count of counts) {
      count[result]++;
      if (result === "success") count.delayMs += delayMs ?? 0;
    }
  }

  #expectMessage(id: number): Message | undefined {
    const message = this.#messages.get(id);
    if (!message) this.unmatched++;
    return message;
  }
}

function keep<Value>(map: Map<number, Value>, most: number, id: number, value: Value): void {
  map.delete(id); // so that the order is that of the log
  const [oldest] = map.size >= most ? map.keys() : [];
  if (oldest !== undefined) map.delete(oldest);
  map.set(id, value);
}

const domainOf = (recipient: string): string => asciiLowerCase(recipient.slice(recipient.lastIndexOf("@") + 1));

const senderKey = (reversePath: string): string => `<${reversePath}>`;
