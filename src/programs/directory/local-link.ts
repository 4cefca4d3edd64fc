import type { Socket } from "node:net";
import {
  askMailbox,
  askPassword,
  cannotTell,
  grant,
  mailboxAnswer,
  maxMailboxQuestions,
  maxPasswordQuestions,
  overQuotaForGood,
  passwordAnswer,
} from "../../protocol/wire/directory.ts";
import { type Channel, createChannel } from "../../services/channel/channel.ts";
import { createLine } from "./line.ts";

/** The way to `local`. Without it, with too many waiting, and when it takes too long, nobody can tell. */
export interface LocalLink {
  /** A fresh connection; what was asked on the old one cannot be told. */
  attach(socket: Socket): void;
  /** What `local` says of an address. */
  ask(address: string): Promise<number>;
  /** What the program of control/checkpassword says: "K", "D" or "Z". */
  checkPassword(account: string, password: Buffer): Promise<string>;
  /** Has `local` open the mailbox of that address to who shows the ticket. Resolves when it knows. */
  grant(ticket: Buffer, address: string): Promise<void>;
}

const maxWaiting = 1_000;
/** Asked or waiting: a client does not wait longer for its reply. */
const longestMs = 5_000;
const longestCheckMs = 25_000;

/** Asks so many questions at a time; the others wait their turn. */
export function createLocalLink(): LocalLink {
  let channel: Channel | undefined;
  const mailboxes = createLine<number>({ atOnce: maxMailboxQuestions, maxWaiting, longestMs, none: cannotTell });
  const passwords = createLine<string>({
    ...{ atOnce: maxPasswordQuestions, maxWaiting, longestMs: longestCheckMs, none: "Z" },
  });
  const send = (frame: Buffer): void => channel?.send(frame);

  return {
    attach(socket) {
      channel?.close();
      const opened = createChannel(socket, {
        onFrame({ type, stream, payload }) {
          if (type === mailboxAnswer.type) {
            const value = mailboxAnswer.decode(payload)?.answer;
            return value === undefined || value > overQuotaForGood ? "broken" : mailboxes.answer(stream, value);
          }
          const letter = type === passwordAnswer.type ? passwordAnswer.decode(payload)?.letter : undefined;
          return letter === undefined || !/^[KDZ]$/.test(letter) ? "broken" : passwords.answer(stream, letter);
        },
        onClose() {
          if (channel !== opened) return;
          channel = undefined;
          for (const line of [mailboxes, passwords]) line.close();
        },
      });
      channel = opened;
      for (const line of [mailboxes, passwords]) line.open(send);
    },
    ask: (address) => mailboxes.ask((stream) => askMailbox.encode(stream, { address })),
    checkPassword: (account, password) => passwords.ask((stream) => askPassword.encode(stream, { account, password })),
    async grant(ticket, address) {
      send(grant.encode(0, { ticket, address }));
      // Answered after what was sent before it: the ticket is known by then.
      await mailboxes.ask((stream) => askMailbox.encode(stream, { address: "" }));
    },
  };
}
