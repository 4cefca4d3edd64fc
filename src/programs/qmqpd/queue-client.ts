import type { Socket } from "node:net";
import { done, type Outcome, permanent, type Status, temporary } from "../../protocol/outcome.ts";
import { encodeFrame, type Frame, maxPayloadOctets } from "../../protocol/wire/frame.ts";
import {
  abandon,
  bodyType,
  commit,
  open,
  recipients,
  refused,
  stored,
  submissionCredit,
  submissionWindowOctets,
} from "../../protocol/wire/submission.ts";
import { type Channel, createChannel } from "../../services/channel/channel.ts";

/** One message on its way to `queue`. */
export interface Submission {
  /** Resolves when all of it was sent, as far as `queue` had room. After the end it takes and drops whatever comes. */
  write(octets: Buffer): Promise<void>;
  commit(reversePath: string, forwardPaths: readonly string[], uid: number): void;
  /** Gives the message up, whatever became of it; the outcome is a failure now, if it was not there yet. */
  abandon(): void;
  /** The queue id once the message is on disk, or why it is not. Never rejects. */
  readonly outcome: Promise<Outcome<number>>;
}

export interface QueueClient {
  /** A fresh connection with `queue`; what was under way on the old one has failed. */
  attach(socket: Socket): void;
  submit(): Outcome<Submission>;
}

interface Stream {
  credit: number;
  committed: boolean;
  ended: boolean;
  /** Wakes the writer that waits for credit. */
  wake: () => void;
  readonly settle: (outcome: Outcome<number>) => void;
}

const lost = temporary("3.0", "the connection with the queue was lost; the message may or may not have been taken");
const away = temporary("3.0", "the queue is not running");

export function createQueueClient(): QueueClient {
  let channel: Channel | undefined;
  let streams = new Map<number, Stream>();
  let lastStream = 0;

  const end = (number: number, stream: Stream, outcome: Outcome<number>): void => {
    stream.ended = true;
    stream.settle(outcome);
    stream.wake();
    streams.delete(number);
  };
  const onFrame = (frame: Frame): undefined | "broken" => {
    const stream = streams.get(frame.stream);
    if (!stream) return undefined; // on its way when we gave the message up
    switch (frame.type) {
      case submissionCredit.type: {
        const credit = submissionCredit.decode(frame.payload);
        if (!credit || stream.credit + credit.octets > submissionWindowOctets) return "broken";
        stream.credit += credit.octets;
        stream.wake();
        return undefined;
      }
      case stored.type: {
        const fields = stored.decode(frame.payload);
        if (!fields || !stream.committed) return "broken";
        end(frame.stream, stream, done(fields.queueId));
        return undefined;
      }
      case refused.type: {
        const fields = refused.decode(frame.payload);
        if (!fields) return "broken";
        end(
          frame.stream,
          stream,
          (fields.permanent === 1 ? permanent : temporary)(fields.status as Status, fields.text),
        );
        return undefined;
      }
      default:
        return "broken";
    }
  };

  return {
    attach(socket) {
      channel?.close();
      const fresh = createChannel(socket, {
        onFrame,
        onClose: () => {
          if (channel === fresh) channel = undefined;
          const broken = streams;
          streams = new Map();
          for (const [number, stream] of broken) end(number, stream, lost);
        },
      });
      channel = fresh;
    },
    submit() {
      if (!channel) return away;
      do lastStream = (lastStream + 1) % 2 ** 32;
      while (streams.has(lastStream));
      const { promise, resolve } = Promise.withResolvers<Outcome<number>>();
      const stream: Stream = {
        credit: submissionWindowOctets,
        committed: false,
        ended: false,
        wake: () => {},
        settle: resolve,
      };
      streams.set(lastStream, stream);
      const number = lastStream;
      return done(speak(channel, number, stream, promise, (outcome) => end(number, stream, outcome)));
    },
  };
}

function speak(
  channel: Channel,
  number: number,
  stream: Stream,
  outcome: Promise<Outcome<number>>,
  end: (outcome: Outcome<number>) => void,
): Submission {
  channel.send(open.encode(number, {}));
  return {
    outcome,
    async write(octets) {
      let at = 0;
      while (at < octets.length && !stream.ended) {
        if (stream.credit === 0) {
          const { promise, resolve } = Promise.withResolvers<void>();
          stream.wake = resolve;
          await promise;
          continue;
        }
        const piece = octets.subarray(at, at + Math.min(stream.credit, maxPayloadOctets));
        stream.credit -= piece.length;
        at += piece.length;
        channel.send(encodeFrame(bodyType, number, piece));
      }
    },
    commit(reversePath, forwardPaths, uid) {
      if (stream.ended) return;
      for (const some of inFrames(forwardPaths)) channel.send(recipients.encode(number, { forwardPaths: some }));
      stream.committed = true;
      channel.send(commit.encode(number, { reversePath, bodyKind: 0, uid }));
    },
    abandon() {
      if (stream.ended) return;
      if (!stream.committed) channel.send(abandon.encode(number, {}));
      end(lost);
    },
  };
}

/** As many forward-paths together as one frame holds. */
function* inFrames(forwardPaths: readonly string[]): Generator<readonly string[]> {
  let from = 0;
  let octets = 4;
  for (const [at, { length }] of forwardPaths.entries()) {
    if (octets + 4 + length > maxPayloadOctets) {
      yield forwardPaths.slice(from, at);
      from = at;
      octets = 4;
    }
    octets += 4 + length;
  }
  if (from < forwardPaths.length) yield forwardPaths.slice(from);
}
