import { isEnvelopeAddress } from "../../protocol/address.ts";
import { wroteFilesAlone } from "../../protocol/dot-qmail/report.ts";
import { type Failure, type Outcome, temporary } from "../../protocol/outcome.ts";
import * as wire from "../../protocol/wire/delivery.ts";
import { encodeFrame, type Frame } from "../../protocol/wire/frame.ts";
import { abandon } from "../../protocol/wire/worker.ts";
import type { Flusher } from "./flush.ts";
import type { Worker, WorkerEvents } from "./worker.ts";

/** The worker that takes a delivery and what it is told; none when nobody is to have the message. */
export type Given = Outcome<{ readonly worker: Worker; readonly task: (stream: number) => Buffer } | undefined>;

/** A delivery as its worker knows it. */
export type Taken = { readonly worker: Worker; readonly stream: number };

/** What the deliveries of one connection with `queue` share. */
export interface DeliveryDesk {
  readonly toQueue: (frame: Buffer) => void;
  readonly flusher: Flusher;
  readonly held: HeldForwards;
  /** It has been answered. With `taken` when its worker is to hear once `queue` has settled the result: it keeps marks until then. */
  readonly whenEnded: (stream: number, taken?: Taken) => void;
}

/** A delivery as `queue` knows it. */
type Order = { readonly stream: number; readonly number: number; readonly octets: number };

/** How much of forwards is kept until their deliveries are flushed, all together. */
export interface HeldForwards {
  octets: number;
}
const maxHeldOctets = 16_777_216;

interface Report {
  readonly letter: string;
  readonly status: string;
  readonly text: string;
}

/** Relays one delivery between `queue` and a worker and believes neither: bodies within the window, one report, then nothing. */
export class Delivery implements WorkerEvents {
  readonly #order: Order;
  readonly #desk: DeliveryDesk;
  /** Came before there was a worker; no more than the window. */
  #early: Frame[] = [];
  #taken: Taken | undefined;
  #hasEnded = false;
  #leftOctets: number;
  #uncreditedOctets = 0;
  #forwards: Buffer[] = [];
  #forwardOctets = 0;
  #result: Report | undefined;
  /** To be flushed before the report: descriptors, by device. */
  #folders: Map<number, number> | undefined;

  constructor(order: Order, desk: DeliveryDesk) {
    this.#order = order;
    this.#desk = desk;
    this.#leftOctets = order.octets;
  }

  /** Hands it to a worker, or ends it: the address says who takes it. */
  begin(given: Given) {
    if (this.#hasEnded) return;
    if (given.kind !== "done") return this.#end(toReport(given));
    if (!given.value) return this.#end({ letter: "K", status: "", text: "" });
    const { worker, task } = given.value;
    const stream = worker.open(this);
    this.#taken = { worker, stream };
    worker.send(task(stream));
    for (const frame of this.#early.splice(0)) this.#relay(frame);
  }

  /** The frames of `queue`: body and its end. */
  fromQueue(frame: Frame): undefined | "broken" {
    if (this.#hasEnded) return undefined;
    if (frame.type === wire.bodyEnd.type) {
      if (this.#leftOctets > 0 || frame.payload.length > 0) return "broken";
    } else {
      this.#leftOctets -= frame.payload.length;
      this.#uncreditedOctets += frame.payload.length;
      if (this.#leftOctets < 0 || this.#uncreditedOctets > wire.deliveryWindowOctets) return "broken";
    }
    this.#relay(frame);
    return undefined;
  }

  /** `queue` is gone. */
  abandon(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#early = [];
    this.#desk.held.octets -= this.#forwardOctets;
    this.#taken?.worker.send(abandon.encode(this.#taken.stream, {}));
    this.#taken?.worker.forget(this.#taken.stream);
  }

  onFrame(frame: Frame): undefined | "broken" {
    switch (frame.type) {
      case wire.deliveryCredit.type:
        return this.#takeCredit(frame);
      case wire.forward.type:
        return this.#takeForward(frame);
      case wire.report.type:
        return this.#takeReport(frame);
      case wire.ended.type:
        return this.#takeEnded();
      default:
        return "broken";
    }
  }

  onWritten(device: number, folder: number): void {
    this.#folders ??= new Map();
    this.#folders.set(device, folder);
  }

  onLost(): void {
    this.#end(toReport(crashed), undefined, wire.brokeOff);
  }

  #relay(frame: Frame): void {
    if (this.#taken) this.#taken.worker.pass(frame.type, this.#taken.stream, frame.payload);
    else this.#early.push({ ...frame, payload: Buffer.from(frame.payload) });
  }

  #takeCredit({ payload }: Frame): undefined | "broken" {
    const octets = wire.deliveryCredit.decode(payload)?.octets ?? Number.POSITIVE_INFINITY;
    if (octets > this.#uncreditedOctets || octets === 0) return "broken";
    this.#uncreditedOctets -= octets;
    this.#desk.toQueue(wire.deliveryCredit.encode(this.#order.stream, { octets }));
    return undefined;
  }

  #takeForward({ payload }: Frame): undefined | "broken" {
    const { held } = this.#desk;
    const fields = wire.forward.decode(payload);
    if (!fields || held.octets + payload.length > maxHeldOctets) return "broken";
    if (![fields.reversePath, ...fields.forwardPaths].every(isEnvelopeAddress)) return "broken";
    held.octets += payload.length;
    this.#forwardOctets += payload.length;
    this.#forwards.push(encodeFrame(wire.forward.type, this.#order.stream, payload));
    return undefined;
  }

  #takeReport({ payload }: Frame): undefined | "broken" {
    const fields = wire.report.decode(payload);
    if (!fields || this.#result || fields.number !== this.#order.number || !isReport(fields)) return "broken";
    this.#result = fields;
    return undefined;
  }

  #takeEnded(): undefined {
    const taken = this.#taken;
    if (!taken) return undefined;
    taken.worker.forget(taken.stream);
    this.#hasEnded = true;
    const final = this.#result ?? toReport(noReport);
    if (final.letter !== "K" || !this.#folders) {
      this.#end(final, final.letter === "Z" ? undefined : taken);
      return undefined;
    }
    this.#desk.flusher.add(this.#folders, this.#forwards.length === 0 && wroteFilesAlone(final.text), (failure) => {
      if (!failure) return this.#end(final, taken);
      taken.worker.send(abandon.encode(taken.stream, {}));
      this.#end(toReport(failure));
    });
    return undefined;
  }

  #end(final: Report, taken?: Taken, reached = 1): void {
    const { toQueue, held, whenEnded } = this.#desk;
    const { stream, number } = this.#order;
    this.#hasEnded = true;
    this.#early = [];
    held.octets -= this.#forwardOctets;
    if (final.letter === "K") for (const frame of this.#forwards) toQueue(frame);
    this.#forwards = [];
    toQueue(wire.report.encode(stream, { number, ...final }));
    toQueue(wire.ended.encode(stream, { reached }));
    whenEnded(stream, taken);
  }
}

const crashed = temporary("3.0", "deliver crashed. (#4.3.0)");
const noReport = temporary("3.0", "deliver said nothing. (#4.3.0)");

const toReport = (failure: Failure): Report => ({
  letter: failure.kind === "permanent" ? "D" : "Z",
  status: failure.status,
  text: `${failure.text}\n`,
});

const isReport = ({ letter, status, text }: Report): boolean =>
  text.length <= wire.maxReportOctets && (letter === "K" ? status === "" : /^[ZD]$/.test(letter) && isStatus(status));
const isStatus = (status: string): boolean => /^[0-9]{1,3}\.[0-9]{1,3}$/.test(status);
