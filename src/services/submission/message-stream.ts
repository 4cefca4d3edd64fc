import { done, type Outcome, permanent, type Status, temporary } from "../../protocol/outcome.ts";
import { type Frame, maxPayloadOctets } from "../../protocol/wire/frame.ts";
import {
  abandon,
  bodyType,
  client as clientFrame,
  commit,
  dsnRecipients,
  type Options,
  open,
  options as optionsFrame,
  recipients,
  refused,
  stored,
  submissionCredit,
  submissionWindowOctets,
} from "../../protocol/wire/submission.ts";
import type { Stream, Streams } from "../channel/streams.ts";
import { free } from "../memory/free.ts";

/** Calls back and never waits: on the way of every message, promises would cost more than the work. */
export interface SubmissionEvents {
  /** All that was written is on its way. */
  readonly onRoom: () => void;
  /** The queue id, or why not. Once, at any time, and not after `abandon`. */
  readonly onVerdict: (verdict: Outcome<number>) => void;
}

/** Who gets what from whom. `bodyKind` and `uid` as in the commit frame. */
export interface Envelope {
  readonly reversePath: string;
  readonly bodyKind: number;
  readonly forwardPaths: readonly string[];
  readonly uid: number;
  /** What was asked for some of the forward-paths (RFC 3461), by their index. */
  readonly asked?: readonly Asked[];
  /** What was asked for all of it. */
  readonly options?: Options | undefined;
}

/** As in the `dsnRecipients` frame. */
export interface Asked {
  readonly notify: number;
  readonly originalRecipient: string;
}

/** One message on its way to `queue`. After its verdict it takes and drops whatever comes. */
export interface Submission {
  /** Something written waits for credit: the caller is to hold back until `onRoom`. */
  readonly isFull: boolean;
  /** Keeps a copy of what waits, and no view of `body`. */
  write(body: Buffer): void;
  /** Asks for the verdict, once all that was written has gone. */
  commit(envelope: Envelope): void;
  abandon(): void;
}

/** Where a message comes from, by TCP. */
export interface Client {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
}

const lost = temporary("3.0", "the queue went away, try again later");
/** The honest word when the commit was sent: it may be on disk, and the client will send it again. */
const inDoubt = temporary("3.0", "the queue went away before it answered, and may have the message; try again later");

/** A message on a stream of its own, as frames of wire/submission.ts. */
export class MessageStream implements Submission, Stream {
  readonly #streams: Streams;
  readonly #number: number;
  readonly #events: SubmissionEvents;
  #credit = submissionWindowOctets;
  /** Waits for credit, but for the first of it, which was sent. */
  #waiting: Buffer | undefined;
  #sent = 0;
  #envelope: Envelope | undefined;
  #committed = false;
  #ended = false;

  constructor(streams: Streams, events: SubmissionEvents, client: Client | undefined) {
    this.#streams = streams;
    this.#events = events;
    this.#number = streams.open(this);
    streams.send(open.encode(this.#number, {}));
    if (client) streams.send(clientFrame.encode(this.#number, { ...client }));
  }

  get isFull(): boolean {
    return this.#waiting !== undefined;
  }

  write(body: Buffer): void {
    if (this.#ended || body.length === 0) return;
    const sent = this.#waiting ? 0 : this.#send(body);
    if (sent < body.length) this.#wait([this.#waiting?.subarray(this.#sent) ?? nothing, body.subarray(sent)]);
  }

  commit(envelope: Envelope): void {
    if (this.#ended) return;
    this.#envelope = envelope;
    if (!this.#waiting) this.#sendEnvelope(envelope);
  }

  abandon(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting = undefined;
    this.#streams.close(this.#number, this);
    if (!this.#committed) this.#streams.send(abandon.encode(this.#number, {}));
  }

  understand(frame: Frame): undefined | "broken" {
    switch (frame.type) {
      case submissionCredit.type: {
        const fields = submissionCredit.decode(frame.payload);
        if (!fields || this.#credit + fields.octets > submissionWindowOctets) return "broken";
        this.#credit += fields.octets;
        if (!this.#waiting) return undefined;
        this.#goOn(this.#waiting);
        return undefined;
      }
      case stored.type: {
        const fields = stored.decode(frame.payload);
        return fields && this.#committed ? this.#end(done(fields.queueId)) : "broken";
      }
      case refused.type: {
        const fields = refused.decode(frame.payload);
        if (!fields) return "broken";
        const status = isStatus(fields.status) ? fields.status : "3.0";
        return this.#end(fields.permanent === 1 ? permanent(status, fields.text) : temporary(status, fields.text));
      }
      default:
        return "broken";
    }
  }

  lost(): void {
    this.#end(this.#committed ? inDoubt : lost);
  }

  #end(verdict: Outcome<number>): undefined {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting = undefined;
    this.#streams.close(this.#number, this);
    this.#events.onVerdict(verdict);
  }

  #wait(parts: readonly Buffer[]): void {
    const waiting = Buffer.concat(parts);
    if (this.#waiting) free(this.#waiting);
    this.#waiting = waiting;
    this.#sent = 0;
  }

  #goOn(waiting: Buffer): void {
    this.#sent += this.#send(waiting.subarray(this.#sent));
    if (this.#sent < waiting.length) return;
    free(waiting);
    this.#waiting = undefined;
    if (this.#envelope) this.#sendEnvelope(this.#envelope);
    this.#events.onRoom();
  }

  /** Sends what credit allows, and returns how much that was. */
  #send(body: Buffer): number {
    let at = 0;
    while (at < body.length && this.#credit > 0) {
      const octets = Math.min(this.#credit, body.length - at, maxPayloadOctets);
      this.#streams.pass(bodyType, this.#number, body.subarray(at, at + octets));
      this.#credit -= octets;
      at += octets;
    }
    return at;
  }

  #sendEnvelope({ reversePath, bodyKind, forwardPaths, uid, asked, options }: Envelope): void {
    if (asked && asked.length > 0) this.#sendAsking(forwardPaths, asked);
    else {
      for (const [from, to] of inFrames(forwardPaths, ({ length }) => length)) {
        this.#streams.send(recipients.encode(this.#number, { forwardPaths: forwardPaths.slice(from, to) }));
      }
    }
    if (options) this.#streams.send(optionsFrame.encode(this.#number, options));
    this.#committed = true;
    this.#streams.send(commit.encode(this.#number, { reversePath, bodyKind, uid }));
  }

  #sendAsking(forwardPaths: readonly string[], asked: readonly Asked[]): void {
    const costOctets = (forwardPath: string, at: number): number =>
      forwardPath.length + 8 + (asked[at]?.originalRecipient.length ?? 0);
    for (const [from, to] of inFrames(forwardPaths, costOctets)) {
      const some = forwardPaths.slice(from, to);
      this.#streams.send(
        dsnRecipients.encode(this.#number, {
          forwardPaths: some,
          notify: some.map((_, at) => asked[from + at]?.notify ?? 0),
          originalRecipients: some.map((_, at) => asked[from + at]?.originalRecipient ?? ""),
        }),
      );
    }
  }
}

const nothing = Buffer.alloc(0);
const isStatus = (text: string): text is Status => /^[0-9]{1,3}\.[0-9]{1,3}$/.test(text);

/** As many forward-paths together as one frame holds, as indices: from the first to before the last. */
export function* inFrames(
  forwardPaths: readonly string[],
  costOctets: (forwardPath: string, at: number) => number,
): Generator<readonly [from: number, to: number]> {
  const lists = 3 * 4;
  let from = 0;
  let octets = lists;
  for (const [at, forwardPath] of forwardPaths.entries()) {
    const cost = 4 + costOctets(forwardPath, at);
    if (octets + cost > maxPayloadOctets) {
      yield [from, at];
      from = at;
      octets = lists;
    }
    octets += cost;
  }
  if (from < forwardPaths.length) yield [from, forwardPaths.length];
}
