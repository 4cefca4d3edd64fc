import type { Socket } from "node:net";
import {
  askMailbox,
  cannotTell,
  grant,
  mailboxAnswer,
  maxMailboxQuestions,
  overQuotaForGood,
} from "../../protocol/wire/directory.ts";
import { type Channel, createChannel } from "../../services/channel/channel.ts";

/** The way to `local`. */
export interface LocalLink {
  /** A fresh connection; what was asked on the old one is asked again. */
  attach(socket: Socket): void;
  /** What `local` says of an address; "cannot tell" with too many waiting, and when it takes too long, as without `local`. */
  ask(address: string): Promise<number>;
  /** Has `local` open the mailbox of that address to who shows the ticket. Resolves when it knows. */
  grant(ticket: Buffer, address: string): Promise<void>;
}

const maxWaiting = 1_000;
/** Asked or waiting: a client does not wait longer for its reply. */
const longestMs = 15_000;

interface Question {
  readonly address: string;
  readonly answer: (value: number) => void;
}

/** Asks so many questions at a time; the others wait their turn. */
export function createLocalLink(): LocalLink {
  const asked = new Map<number, Question>();
  const waiting = new Set<Question>();
  let channel: Channel | undefined;
  let next = 1;

  const ask = (): void => {
    for (const question of waiting) {
      if (!channel || asked.size >= maxMailboxQuestions) return;
      waiting.delete(question);
      const stream = next;
      next = (next + 1) >>> 0;
      asked.set(stream, question);
      channel.send(askMailbox.encode(stream, { address: question.address }));
    }
  };

  const drop = (): void => {
    channel = undefined;
    for (const question of asked.values()) waiting.add(question); // a restart of `local` is to be invisible
    asked.clear();
  };

  const askAbout = (address: string): Promise<number> => {
    if (waiting.size >= maxWaiting) return Promise.resolve(cannotTell);
    const { promise, resolve } = Promise.withResolvers<number>();
    const question: Question = {
      address,
      answer(value) {
        clearTimeout(clock);
        resolve(value);
      },
    };
    const clock = setTimeout(() => {
      waiting.delete(question);
      resolve(cannotTell);
    }, longestMs);
    waiting.add(question);
    ask();
    return promise;
  };

  return {
    attach(socket) {
      channel?.close();
      const opened = createChannel(socket, {
        onFrame({ type, stream, payload }) {
          const value = type === mailboxAnswer.type ? mailboxAnswer.decode(payload)?.answer : undefined;
          const question = asked.get(stream);
          if (value === undefined || value > overQuotaForGood || !question) return "broken";
          asked.delete(stream);
          question.answer(value);
          ask();
          return undefined;
        },
        onClose() {
          if (channel === opened) drop();
        },
      });
      channel = opened;
      ask();
    },
    ask: askAbout,
    async grant(ticket, address) {
      channel?.send(grant.encode(0, { ticket, address }));
      await askAbout(""); // answered after what was sent before it: the ticket is known by then
    },
  };
}
