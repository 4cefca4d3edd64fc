import type { Socket } from "node:net";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { createTlsRequiredWatch } from "../../protocol/smtp/hops.ts";
import { isAscii } from "../../protocol/utf8.ts";
import { flagTlsOptional, flagUtf8, noOptions } from "../../protocol/wire/submission.ts";
import type { Client } from "./message-stream.ts";
import { createQueueLink } from "./queue-link.ts";

/** One message on its way to `queue`, for who can wait. What it needs of the way on is seen here. */
export interface Submission {
  /** Resolves when `queue` had room for it. After the end it takes and drops whatever comes. */
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
  submit(client?: Client): Outcome<Submission>;
  /** As `submit`; while `queue` is away it waits, for a restart of `queue` is to be invisible. */
  submitWhenUp(client?: Client): Promise<Outcome<Submission>>;
}

const queueReturnMs = 5_000;

const givenUp = temporary("3.0", "the message was given up");
const away = temporary("3.0", "the queue is not running");

export function createQueueClient(): QueueClient {
  const link = createQueueLink();
  const queue: QueueClient = {
    attach: link.attach,
    async submitWhenUp(client) {
      if (!link.isUp) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const forget = link.whenUp(resolve);
        const deadline = setTimeout(resolve, queueReturnMs);
        await promise;
        clearTimeout(deadline);
        forget();
      }
      return queue.submit(client);
    },
    submit(client) {
      if (!link.isUp) return away;
      const verdict = Promise.withResolvers<Outcome<number>>();
      let room = Promise.withResolvers<void>();
      const end = (outcome: Outcome<number>): void => {
        verdict.resolve(outcome);
        room.resolve();
      };
      const watchTlsRequired = createTlsRequiredWatch();
      let isTlsOptional = false;
      const submission = link.submit({ onRoom: () => room.resolve(), onVerdict: end }, client);
      return done({
        outcome: verdict.promise,
        async write(octets) {
          isTlsOptional = watchTlsRequired(octets);
          submission.write(octets);
          if (!submission.isFull) return;
          room = Promise.withResolvers();
          await room.promise;
        },
        commit(reversePath, forwardPaths, uid) {
          const isUtf8 = ![reversePath, ...forwardPaths].every(isAscii);
          const flags = (isUtf8 ? flagUtf8 : 0) | (isTlsOptional ? flagTlsOptional : 0);
          const options = flags === 0 ? undefined : { ...noOptions, flags };
          submission.commit({ reversePath, forwardPaths, uid, bodyKind: 0, ...(options && { options }) });
        },
        abandon() {
          submission.abandon();
          end(givenUp);
        },
      });
    },
  };
  return queue;
}
