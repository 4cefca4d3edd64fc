import { Buffer } from "node:buffer";
import { createLines, tooLong } from "../../protocol/lines.ts";
import type { Usage } from "../../protocol/maildir/quota.ts";
import { lineTooLong, maxCommandOctets, parseCommand } from "../../protocol/pop3/command.ts";
import { createTransaction, type TransactionStep } from "../../protocol/pop3/transaction.ts";
import { inputWindowOctets, outputWindowOctets } from "../../protocol/wire/mailbox.ts";
import type { Snapshot } from "./maildrop.ts";
import { messagePieces, readOctets } from "./message-pieces.ts";

/** One client after its login. */
export interface Session {
  /** What the client says; "broken" when it is more than it may send ahead. */
  input(octets: Buffer): undefined | "broken";
  /** The client has read so much. */
  credit(octets: number): undefined | "broken";
  /** The client is gone: nothing is deleted. */
  close(): void;
}

export interface SessionEvents {
  /** One character an octet. */
  onOutput(text: string): void;
  /** So much of the input is done with. */
  onCredit(octets: number): void;
  /** After QUIT, or when a message cannot be read on; `removed` is what is gone from the Maildir. */
  onEnd(retrieved: number, removed: Usage): void;
  /** Calls once, when what was said has left. */
  whenIdle(work: () => void): void;
}

/** A message that was begun before it was asked for. */
interface Ahead {
  readonly number: number;
  readonly first: string;
  readonly rest: Generator<string>;
}

const listingOctets = 16_384;

export function createSession(drop: Snapshot, logins: readonly string[], events: SessionEvents): Session {
  const transaction = createTransaction(drop, logins);
  const lines = createLines(maxCommandOctets);
  const chunk = Buffer.allocUnsafeSlow(readOctets);
  let room = outputWindowOctets;
  let heldOctets = 0;
  let reply: Iterator<string> | undefined;
  let lastNumber = 0;
  let ahead: Ahead | undefined;
  let hasEnded = false;

  /** As far as the client reads: a reply is made piece by piece, a command is obeyed when the last reply is out. */
  const advance = (): void => {
    while (!hasEnded && room > 0) {
      if (reply) {
        const { done, value } = reply.next();
        if (done) reply = undefined;
        else send(value);
        continue;
      }
      const line = lines.take();
      if (line === undefined) break;
      if (line === tooLong) send(lineOf(lineTooLong));
      else obey(transaction.step(parseCommand(line)));
    }
    giveCredit();
  };

  const send = (text: string): void => {
    room -= text.length;
    events.onOutput(text);
  };

  /** While replies wait to be read no commands are wanted: they would only make more. */
  const giveCredit = (): void => {
    if (hasEnded || room <= 0 || heldOctets < inputWindowOctets / 2) return;
    events.onCredit(heldOctets);
    heldOctets = 0;
  };

  const obey = (step: TransactionStep) => {
    switch (step.kind) {
      case "reply":
        return send(lineOf(step.reply));
      case "lines":
        reply = listingPieces(step.reply, step.lines);
        return;
      case "message":
        return sendMessage(step.number, step.bodyLines);
      case "quit":
        return update();
      default:
        step satisfies never;
    }
  };

  const sendMessage = (number: number, bodyLines: number | undefined): void => {
    const isInOrder = number === lastNumber + 1;
    lastNumber = number;
    const begun = bodyLines === undefined && ahead?.number === number ? ahead : undefined;
    if (begun) ahead = undefined;
    else dropAhead();
    if (begun) send(begun.first);
    reply = begun?.rest ?? beginMessage(number, bodyLines, isInOrder);
    if (!reply) send(lineOf("-ERR unable to open that message"));
  };

  const beginMessage = (number: number, bodyLines: number | undefined, isInOrder: boolean) => {
    const message = drop.open(number);
    if (!message) return undefined;
    return messagePieces(message, bodyLines, {
      chunk,
      whenSent: () => {
        if (bodyLines !== undefined) return;
        transaction.retrieved(number);
        if (isInOrder) events.whenIdle(() => readAhead(number + 1));
      },
      // A final dot would make the client believe that it has all of it; so the connection ends.
      whenBroken: () => end({ octets: 0, messages: 0 }),
    });
  };

  /** Who takes message after message is busy with the last one, now, and will ask for this one. */
  const readAhead = (number: number): void => {
    if (hasEnded || reply || ahead || lastNumber !== number - 1) return;
    if (number > drop.count || transaction.deletedNumbers.has(number)) return;
    const rest = beginMessage(number, undefined, true);
    const first = rest?.next();
    if (rest && first && !first.done) ahead = { number, first: first.value, rest };
  };

  /** Closes the file. */
  const dropAhead = (): void => {
    ahead?.rest.return(undefined);
    ahead = undefined;
  };

  /** The UPDATE state (RFC 1939 §6): what was deleted goes, the rest is not new any more. */
  const update = (): void => {
    const removed = { octets: 0, messages: 0 };
    let failed = false;
    for (let number = 1; number <= drop.count; number++) {
      if (!transaction.deletedNumbers.has(number)) {
        drop.keep(number, transaction.retrievedNumbers.has(number));
        continue;
      }
      const result = drop.remove(number);
      if (result === "failed") failed = true;
      if (result !== "removed") continue;
      removed.octets += drop.message(number).octets;
      removed.messages++;
    }
    send(lineOf(failed ? "-ERR [SYS/PERM] unable to unlink all deleted messages" : "+OK "));
    end(removed);
  };

  const end = (removed: Usage): void => {
    hasEnded = true;
    dropAhead();
    events.onEnd(transaction.retrievedNumbers.size, removed);
  };

  return {
    input(octets) {
      heldOctets += octets.length;
      if (heldOctets > inputWindowOctets) return "broken";
      lines.put(Buffer.from(octets));
      advance();
      return undefined;
    },
    credit(octets) {
      room += octets;
      if (room > outputWindowOctets) return "broken";
      advance();
      return undefined;
    },
    close() {
      hasEnded = true;
      reply?.return?.(); // closes the file
      dropAhead();
    },
  };
}

const lineOf = (reply: string): string => `${reply}\r\n`;

function* listingPieces(first: string, lines: Iterable<string>): Generator<string> {
  let text = `${first}\r\n`;
  for (const line of lines) {
    text += `${line}\r\n`;
    if (text.length < listingOctets) continue;
    yield text;
    text = "";
  }
  yield `${text}.\r\n`;
}
