import type { Socket } from "node:net";
import {
  askMailbox,
  askPassword,
  askPlace,
  cannotTell,
  doesNotExist,
  exists,
  forgetMailbox,
  grant,
  mailboxAnswer,
  maxMailboxQuestions,
  maxPasswordQuestions,
  maxPathOctets,
  maxPlaceQuestions,
  overQuotaForGood,
  passwordAnswer,
  placeAnswer,
} from "../../protocol/wire/directory.ts";
import { type Channel, createChannel } from "../../services/channel/channel.ts";
import { createLine } from "./line.ts";

export type Place = NonNullable<ReturnType<typeof placeAnswer.decode>>;

const nowhere: Place = { answer: cannotTell, uid: 0, gid: 0, home: "", folder: "", quota: "" };

/** The way to `local`. Without it, with too many waiting, and when it takes too long, nobody can tell. */
export interface LocalLink {
  /** A fresh connection; what was asked on the old one is asked again. */
  attach(socket: Socket): void;
  /** What `local` says of an address. */
  ask(address: string): Promise<number>;
  /** What the program of control/checkpassword says: "K", "D" or "Z". */
  checkPassword(account: string, password: Buffer): Promise<string>;
  /** Where the mail of an address lies, as `local` would deliver it. */
  askPlace(address: string): Promise<Place>;
  /** Has `local` open the mailbox of that address to who shows the ticket. Resolves when it knows. */
  grant(ticket: Buffer, address: string): Promise<void>;
}

const maxWaiting = 1_000;
/** As many as one `smtpd` may ask at once: after a start they all may be about addresses nobody has asked for yet. */
const maxMailboxesWaiting = 10_000;
/** Asked or waiting. `smtpd` waits a little longer; its client would for minutes (RFC 5321 §4.5.3.2.3). */
const longestMailboxMs = 15_000;
const longestMs = 5_000;
const longestCheckMs = 25_000;

/** Asks so many questions at a time; the others wait their turn. */
export function createLocalLink(): LocalLink {
  let channel: Channel | undefined;
  const mailboxes = createLine<number>({
    ...{ atOnce: maxMailboxQuestions, maxWaiting: maxMailboxesWaiting, longestMs: longestMailboxMs, none: cannotTell },
    forget: (stream) => forgetMailbox.encode(stream, {}),
  });
  const passwords = createLine<string>({
    ...{ atOnce: maxPasswordQuestions, maxWaiting, longestMs: longestCheckMs, none: "Z" },
  });
  const places = createLine<Place>({ atOnce: maxPlaceQuestions, maxWaiting, longestMs, none: nowhere });
  const lines = [mailboxes, passwords, places];

  return {
    attach(socket) {
      channel?.close();
      const opened = createChannel(socket, {
        onFrame({ type, stream, payload }) {
          if (type === mailboxAnswer.type) {
            const value = mailboxAnswer.decode(payload)?.answer;
            return value === undefined || value > overQuotaForGood ? "broken" : mailboxes.answer(stream, value);
          }
          if (type === placeAnswer.type) {
            const place = placeAnswer.decode(payload);
            return place && isPlace(place) ? places.answer(stream, place) : "broken";
          }
          const letter = type === passwordAnswer.type ? passwordAnswer.decode(payload)?.letter : undefined;
          return letter === undefined || !/^[KDZ]$/.test(letter) ? "broken" : passwords.answer(stream, letter);
        },
        onClose() {
          if (channel !== opened) return;
          channel = undefined;
          for (const line of lines) line.close();
        },
      });
      channel = opened;
      for (const line of lines) line.open(opened.send);
    },
    ask: (address) => mailboxes.ask((stream) => askMailbox.encode(stream, { address })),
    checkPassword: (account, password) => passwords.ask((stream) => askPassword.encode(stream, { account, password })),
    askPlace: (address) => places.ask((stream) => askPlace.encode(stream, { address })),
    async grant(ticket, address) {
      const granted = grant.encode(0, { ticket, address });
      // Answered after what is sent before it: the ticket is known by then, also if `local` comes only now, or anew.
      await mailboxes.ask((stream) => Buffer.concat([granted, askMailbox.encode(stream, { address: "" })]));
    },
  };
}

const isPlace = ({ answer, home, folder }: Place): boolean =>
  [cannotTell, exists, doesNotExist].includes(answer) && home.length <= maxPathOctets && folder.length <= maxPathOctets;
