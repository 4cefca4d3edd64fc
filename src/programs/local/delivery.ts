import { isEnvelopeAddress } from "../../protocol/address.ts";
import { wroteFilesAlone } from "../../protocol/dot-qmail/report.ts";
import { type Failure, type Outcome, temporary } from "../../protocol/outcome.ts";
import {
  bodyEnd,
  brokeOff,
  deliveryCredit,
  deliveryWindowOctets,
  ended,
  forward,
  maxReportOctets,
  report,
  settled,
} from "../../protocol/wire/delivery.ts";
import { encodeFrame, type Frame } from "../../protocol/wire/frame.ts";
import { abandon } from "../../protocol/wire/worker.ts";
import type { Flusher } from "./flush.ts";
import type { Worker, WorkerEvents } from "./worker.ts";

/** The worker that takes a delivery and what it is told; none when nobody is to have the message. */
export type Taken = Outcome<{ readonly worker: Worker; readonly task: (stream: number) => Buffer } | undefined>;

/** One delivery between `queue` and a worker. */
export interface Delivery {
  /** Hands it to a worker, or ends it: the address says who takes it. */
  begin(given: Taken): void;
  /** The frames of `queue`: body and its end. */
  fromQueue(frame: Frame): undefined | "broken";
  /** `queue` is gone. */
  abandon(): void;
}

export interface DeliveryOptions {
  readonly stream: number;
  readonly number: number;
  readonly octets: number;
  readonly toQueue: (frame: Buffer) => void;
  readonly flusher: Flusher;
  readonly held: HeldForwards;
  /** It has been answered. With `settle` when there are marks to be removed once `queue` has settled the result. */
  readonly whenEnded: (settle?: () => void) => void;
}

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

/** Relays one delivery and believes neither side: bodies within the window, one report, then nothing. */
export function createDelivery(options: DeliveryOptions): Delivery {
  const { stream, number, toQueue, flusher, held, whenEnded } = options;
  let early: Frame[] = []; // came before there was a worker; no more than the window
  let taken: { readonly worker: Worker; readonly stream: number } | undefined;
  let hasEnded = false;
  let leftOctets = options.octets;
  let uncreditedOctets = 0;
  let forwards: Buffer[] = [];
  let forwardOctets = 0;
  let result: Report | undefined;
  const folders = new Map<number, number>();

  const end = (final: Report, settle?: () => void, reached = 1): void => {
    hasEnded = true;
    early = [];
    held.octets -= forwardOctets;
    if (final.letter === "K") for (const frame of forwards) toQueue(frame);
    forwards = [];
    toQueue(report.encode(stream, { number, ...final }));
    toQueue(ended.encode(stream, { reached }));
    whenEnded(settle);
  };

  const relay = (frame: Frame): void => {
    if (taken) taken.worker.pass(frame.type, taken.stream, frame.payload);
    else early.push({ ...frame, payload: Buffer.from(frame.payload) });
  };

  const takeForward = (frame: Frame): undefined | "broken" => {
    const fields = forward.decode(frame.payload);
    if (!fields || held.octets + frame.payload.length > maxHeldOctets) return "broken";
    if (![fields.reversePath, ...fields.forwardPaths].every(isEnvelopeAddress)) return "broken";
    held.octets += frame.payload.length;
    forwardOctets += frame.payload.length;
    forwards.push(encodeFrame(forward.type, stream, frame.payload));
    return undefined;
  };

  const takeReport = (frame: Frame): undefined | "broken" => {
    const fields = report.decode(frame.payload);
    if (!fields || result || fields.number !== number || !isReport(fields)) return "broken";
    const { letter, status, text } = fields;
    result = { letter, status, text };
    return undefined;
  };

  const takeEnded = (worker: Worker, workerStream: number): undefined => {
    worker.forget(workerStream);
    hasEnded = true;
    const final = result ?? toReport(noReport);
    const settle = (): void => worker.send(settled.encode(workerStream, {}));
    if (final.letter !== "K" || folders.size === 0) {
      end(final, final.letter === "Z" ? undefined : settle);
      return undefined;
    }
    flusher.add(folders, forwards.length === 0 && wroteFilesAlone(final.text), (failure) => {
      if (!failure) return end(final, settle);
      worker.send(abandon.encode(workerStream, {}));
      end(toReport(failure));
    });
    return undefined;
  };

  const eventsOf = (worker: Worker, workerStream: () => number): WorkerEvents => ({
    onFrame(frame) {
      switch (frame.type) {
        case deliveryCredit.type: {
          const octets = deliveryCredit.decode(frame.payload)?.octets ?? Number.POSITIVE_INFINITY;
          if (octets > uncreditedOctets || octets === 0) return "broken";
          uncreditedOctets -= octets;
          toQueue(deliveryCredit.encode(stream, { octets }));
          return undefined;
        }
        case forward.type:
          return takeForward(frame);
        case report.type:
          return takeReport(frame);
        case ended.type:
          return takeEnded(worker, workerStream());
        default:
          return "broken";
      }
    },
    onWritten: (device, folder) => void folders.set(device, folder),
    onLost: () => end(toReport(crashed), undefined, brokeOff),
  });

  return {
    begin(given) {
      if (hasEnded) return;
      if (given.kind !== "done") return end(toReport(given));
      if (!given.value) return end({ letter: "K", status: "", text: "" });
      const { worker, task } = given.value;
      const opened: number = worker.open(eventsOf(worker, () => opened));
      taken = { worker, stream: opened };
      worker.send(task(opened));
      for (const frame of early.splice(0)) relay(frame);
    },
    fromQueue(frame) {
      if (hasEnded) return undefined;
      if (frame.type === bodyEnd.type) {
        if (leftOctets > 0 || frame.payload.length > 0) return "broken";
      } else {
        leftOctets -= frame.payload.length;
        uncreditedOctets += frame.payload.length;
        if (leftOctets < 0 || uncreditedOctets > deliveryWindowOctets) return "broken";
      }
      relay(frame);
      return undefined;
    },
    abandon() {
      if (hasEnded) return;
      hasEnded = true;
      early = [];
      held.octets -= forwardOctets;
      taken?.worker.send(abandon.encode(taken.stream, {}));
      taken?.worker.forget(taken.stream);
    },
  };
}

const crashed = temporary("3.0", "deliver crashed. (#4.3.0)");
const noReport = temporary("3.0", "deliver said nothing. (#4.3.0)");

const toReport = (failure: Failure): Report => ({
  letter: failure.kind === "permanent" ? "D" : "Z",
  status: failure.status,
  text: `${failure.text}\n`,
});

const isReport = ({ letter, status, text }: Report): boolean =>
  text.length <= maxReportOctets && (letter === "K" ? status === "" : /^[ZD]$/.test(letter) && isStatus(status));
const isStatus = (status: string): boolean => /^[0-9]{1,3}\.[0-9]{1,3}$/.test(status);
