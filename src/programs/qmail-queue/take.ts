import type { Failure, Outcome } from "../../protocol/outcome.ts";
import { maxEnvelopeOctets, parseEnvelope } from "../../protocol/queue-program/envelope.ts";
import { exitCodeOf } from "../../protocol/queue-program/verdict.ts";
import { readMessage } from "../../services/injection/read-message.ts";
import type { QmqpRequest } from "../../services/qmqp-client/submit.ts";

export interface Taking {
  readonly message: AsyncIterable<Buffer>;
  /** Read when all of the message is there. */
  readonly envelope: AsyncIterable<Buffer>;
  handIn(request: QmqpRequest): Promise<Outcome<string>>;
  /** Hears why a message was not taken. */
  readonly complain: (text: string) => void;
  /** Whoever calls may take so long. */
  readonly longestMs: number;
}

const exitTimeout = 52;
const exitReadError = 54;
const exitOf = { "ended early": exitReadError, "address too long": 11, malformed: 91 } as const;

/** Takes one message; the exit code that says what became of it. */
export async function take(taking: Taking): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const clock = setTimeout(() => resolve(exitTimeout), taking.longestMs);
  const code = await Promise.race([promise, takeAll(taking)]);
  clearTimeout(clock);
  return code;
}

async function takeAll({ message, envelope, handIn, complain }: Taking): Promise<number> {
  const fail = (failure: Failure): number => {
    complain(failure.text);
    return exitCodeOf(failure);
  };
  const whole = await readMessage(message);
  if (whole.kind === "temporary") return exitReadError;
  const octets = await readAll(envelope);
  if (!octets) return exitReadError;
  const read = parseEnvelope(octets);
  if (read.kind !== "envelope") return exitOf[read.kind];
  if (whole.kind !== "done") return fail(whole);
  const { reversePath, forwardPaths } = read;
  const handed = await handIn({ message: [whole.value], reversePath, forwardPaths });
  return handed.kind === "done" ? 0 : fail(handed);
}

/** `undefined` when it cannot be read, or is more than an envelope can be. */
async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let octets = 0;
  try {
    for await (const chunk of stream) {
      octets += chunk.length;
      if (octets > maxEnvelopeOctets) return undefined;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch {
    return undefined;
  }
}
