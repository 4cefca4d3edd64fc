import { type Command, capabilities, language, leadingNumber, listing, syntaxError, unimplemented } from "./command.ts";

/** One message of a maildrop, as it was when the session began. */
export interface Message {
  /** 1 to 70 visible characters, the same in every session (RFC 1939 §7). */
  readonly uid: string;
  readonly octets: number;
}

export type TransactionStep =
  | { readonly kind: "reply"; readonly reply: string }
  /** Lines without their ends; to be followed by the final dot. */
  | { readonly kind: "lines"; readonly reply: string; readonly lines: Iterable<string> }
  /** Message `number`, counted from 1: all of it, or its header and so many lines. */
  | { readonly kind: "message"; readonly number: number; readonly bodyLines: number | undefined }
  | { readonly kind: "quit" };

/** A session after the login (RFC 1939 §5). What was deleted counts only when the client says QUIT. */
export interface Transaction {
  step(command: Command): TransactionStep;
  /** Message `number` was sent whole. */
  retrieved(number: number): void;
  readonly deletedNumbers: ReadonlySet<number>;
  readonly retrievedNumbers: ReadonlySet<number>;
}

/** `totalOctets` is the sum of all: counted where the sizes are made, so that STAT need not wait for their order. */
export interface Maildrop {
  readonly count: number;
  readonly totalOctets: number;
  message(number: number): Message;
}

/** `logins` is what CAPA says of logins (RFC 2449 has it the same in both states). */
export function createTransaction(drop: Maildrop, logins: readonly string[]): Transaction {
  const deleted = new Set<number>();
  const retrieved = new Set<number>();
  let deletedOctets = 0;
  let last = 0;

  /** The number of a message that is there, or the reply that says why not. */
  const numberIn = (argument: string): number | string => {
    const number = leadingNumber(argument);
    if (number === undefined) return syntaxError;
    if (number === 0) return "-ERR messages are counted from 1";
    if (number > drop.count) return "-ERR not that many messages";
    return deleted.has(number) ? "-ERR already deleted" : number;
  };

  const list = (argument: string, show: (message: Message) => string | number): TransactionStep => {
    if (argument === "") return { kind: "lines", reply: "+OK ", lines: all(show) };
    const number = numberIn(argument);
    if (typeof number === "string") return { kind: "reply", reply: number };
    return { kind: "reply", reply: `+OK ${number} ${show(drop.message(number))}` };
  };
  function* all(show: (message: Message) => string | number): Generator<string> {
    for (let number = 1; number <= drop.count; number++) {
      if (!deleted.has(number)) yield `${number} ${show(drop.message(number))}`;
    }
  }

  const retrieve = (argument: string): TransactionStep => {
    const number = numberIn(argument);
    if (typeof number === "string") return { kind: "reply", reply: number };
    const lines = leadingNumber(argument.trimStart().replace(/^[0-9]+/, ""));
    return { kind: "message", number, bodyLines: lines };
  };

  const remove = (argument: string): string => {
    const number = numberIn(argument);
    if (typeof number === "string") return number;
    deleted.add(number);
    deletedOctets += drop.message(number).octets;
    last = Math.max(last, number);
    return "+OK ";
  };

  const reset = (): string => {
    deleted.clear();
    retrieved.clear(); // as in a session that begins anew, and as Dovecot has it
    deletedOctets = 0;
    last = 0;
    return "+OK ";
  };

  return {
    deletedNumbers: deleted,
    retrievedNumbers: retrieved,
    retrieved: (number) => void retrieved.add(number),
    step({ keyword, argument }) {
      const reply = (text: string): TransactionStep => ({ kind: "reply", reply: text });
      switch (keyword) {
        case "STAT":
          return reply(`+OK ${drop.count - deleted.size} ${drop.totalOctets - deletedOctets}`);
        case "LIST":
          return list(argument, ({ octets }) => octets);
        case "UIDL":
          return list(argument, ({ uid }) => uid);
        // One routine, as with qmail: RETR with a number of lines is TOP, TOP without is RETR.
        case "RETR":
        case "TOP":
          return retrieve(argument);
        case "DELE":
          return reply(remove(argument));
        case "RSET":
          return reply(reset());
        case "LAST":
          return reply(`+OK ${last}`);
        case "NOOP":
          return reply("+OK ");
        case "CAPA":
          return reply(listing("+OK capability list follows", [...capabilities, ...logins]));
        case "LANG":
          return reply(language(argument));
        case "QUIT":
          return { kind: "quit" };
        default:
          return reply(unimplemented);
      }
    },
  };
}
