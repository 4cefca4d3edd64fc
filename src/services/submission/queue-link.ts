import type { Socket } from "node:net";
import { done, type Outcome, permanent, type Status, temporary } from "../../protocol/outcome.ts";
import { type Frame, headerOctets, maxPayloadOctets, writeHeader } from "../../protocol/wire/frame.ts";
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
import { type Channel, createChannel } from "../channel/channel.ts";

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
  /** Keeps a view of `body` while it waits. */
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

/** Where messages go in. It may be gone for a while. */
export interface WayIn {
  readonly isUp: boolean;
  /** Opens a stream. Only while the way is there. */
  submit(events: SubmissionEvents): Submission;
  /** Calls once, when it is there again; the returned function forgets about it. */
  whenUp(call: () => void): () => void;
}

/** The way to `queue`, or to `hook`, which is told about the client. */
export interface QueueLink extends WayIn {
  /** A fresh connection; what was under way on the old one is refused, temporarily. */
  attach(socket: Socket): void;
  submit(events: SubmissionEvents, client?: Client): Submission;
}

/** The way through `hook` for the messages of one client. */
export const wayOf = (hook: QueueLink, client: Client): WayIn => ({
  get isUp() {
    return hook.isUp;
  },
  submit: (events) => hook.submit(events, client),
  whenUp: hook.whenUp,
});

const lost = temporary("3.0", "the queue went away, try again later");
/** The honest word when the commit was sent: it may be on disk, and the client will send it again. */
const inDoubt = temporary("3.0", "the queue went away before it answered, and may have the message; try again later");

export function createQueueLink(): QueueLink {
  let channel: Channel | undefined;
  let streams = new Map<number, Stream>();
  let lastStream = 0;
  const waiting = new Set<() => void>();

  const onFrame = (frame: Frame): undefined | "broken" => {
    const stream = streams.get(frame.stream);
    if (!stream) return undefined; // it was on its way when the message was abandoned
    const answer = stream.understand(frame);
    if (answer === "broken" || answer === undefined) return answer;
    streams.delete(frame.stream);
    stream.end(answer);
    return undefined;
  };

  return {
    get isUp() {
      return channel !== undefined;
    },
    attach(socket) {
      channel?.close();
      const fresh = createChannel(socket, {
        onFrame,
        onClose: () => {
          if (channel === fresh) channel = undefined;
          const broken = streams;
          streams = new Map();
          for (const stream of broken.values()) stream.end(stream.committed ? inDoubt : lost);
        },
      });
      channel = fresh;
      const calls = [...waiting];
      waiting.clear();
      for (const call of calls) call();
    },
    submit(events, client) {
      if (!channel) throw new Error("a submission while the queue is away");
      do lastStream = (lastStream + 1) % 2 ** 32;
      while (streams.has(lastStream));
      const number = lastStream;
      const stream = new Stream(channel, number, events, () => streams.delete(number));
      streams.set(number, stream);
      if (client) channel.send(clientFrame.encode(number, { ...client }));
      return stream;
    },
    whenUp(call) {
      waiting.add(call);
      return () => waiting.delete(call);
    },
  };
}

class Stream implements Submission {
  readonly #channel: Channel;
  readonly #number: number;
  readonly #events: SubmissionEvents;
  readonly #forget: () => void;
  #credit = submissionWindowOctets;
  #waiting: Buffer | undefined;
  #envelope: Envelope | undefined;
  #committed = false;
  #ended = false;

  constructor(channel: Channel, number: number, events: SubmissionEvents, forget: () => void) {
    this.#channel = channel;
    this.#number = number;
    this.#events = events;
    this.#forget = forget;
    channel.send(open.encode(number, {}));
  }

  get committed(): boolean {
    return this.#committed;
  }

  get isFull(): boolean {
    return this.#waiting !== undefined;
  }

  write(body: Buffer): void {
    if (this.#ended || body.length === 0) return;
    this.#waiting = this.#waiting ? Buffer.concat([this.#waiting, body]) : body;
    this.#push();
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
    this.#forget();
    if (!this.#committed) this.#channel.send(abandon.encode(this.#number, {}));
  }

  /** A verdict, nothing for credit, or "broken" for what `queue` may not say now. */
  understand(frame: Frame): Outcome<number> | undefined | "broken" {
    switch (frame.type) {
      case submissionCredit.type: {
        const fields = submissionCredit.decode(frame.payload);
        if (!fields || this.#credit + fields.octets > submissionWindowOctets) return "broken";
        this.#credit += fields.octets;
        if (!this.#waiting) return undefined;
        this.#push();
        if (!this.#waiting) this.#events.onRoom();
        return undefined;
      }
      case stored.type: {
        const fields = stored.decode(frame.payload);
        return fields && this.#committed ? done(fields.queueId) : "broken";
      }
      case refused.type: {
        const fields = refused.decode(frame.payload);
        if (!fields) return "broken";
        const status = isStatus(fields.status) ? fields.status : "3.0";
        return fields.permanent === 1 ? permanent(status, fields.text) : temporary(status, fields.text);
      }
      default:
        return "broken";
    }
  }

  end(verdict: Outcome<number>): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting = undefined;
    this.#events.onVerdict(verdict);
  }

  #push(): void {
    while (this.#waiting && this.#credit > 0) {
      const octets = Math.min(this.#credit, this.#waiting.length, maxPayloadOctets);
      // Header and body go apart: the channel joins what leaves together, so the body is copied once and not twice.
      const header = Buffer.allocUnsafe(headerOctets);
      writeHeader(header, bodyType, this.#number, octets);
      this.#channel.send(header);
      this.#channel.send(this.#waiting.subarray(0, octets));
      this.#credit -= octets;
      this.#waiting = octets < this.#waiting.length ? this.#waiting.subarray(octets) : undefined;
    }
    if (!this.#waiting && this.#envelope) this.#sendEnvelope(this.#envelope);
  }

  #sendEnvelope({ reversePath, bodyKind, forwardPaths, uid, asked, options }: Envelope): void {
    if (asked && asked.length > 0) this.#sendAsking(forwardPaths, asked);
    else {
      for (const [from, to] of inFrames(forwardPaths, ({ length }) => length)) {
        this.#channel.send(recipients.encode(this.#number, { forwardPaths: forwardPaths.slice(from, to) }));
      }
    }
    if (options) this.#channel.send(optionsFrame.encode(this.#number, options));
    this.#committed = true;
    this.#channel.send(commit.encode(this.#number, { reversePath, bodyKind, uid }));
  }

  #sendAsking(forwardPaths: readonly string[], asked: readonly Asked[]): void {
    const costOctets = (forwardPath: string, at: number): number =>
      forwardPath.length + 8 + (asked[at]?.originalRecipient.length ?? 0);
    for (const [from, to] of inFrames(forwardPaths, costOctets)) {
      const some = forwardPaths.slice(from, to);
      this.#channel.send(
        dsnRecipients.encode(this.#number, {
          forwardPaths: some,
          notify: some.map((_, at) => asked[from + at]?.notify ?? 0),
          originalRecipients: some.map((_, at) => asked[from + at]?.originalRecipient ?? ""),
        }),
      );
    }
  }
}

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
