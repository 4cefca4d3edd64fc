import { Buffer } from "node:buffer";
import { closeSync, readSync } from "node:fs";
import { createLines, tooLong } from "../../protocol/lines.ts";
import type { Usage } from "../../protocol/maildir/quota.ts";
import { lineTooLong, maxCommandOctets, parseCommand } from "../../protocol/pop3/command.ts";
import { createMultiLineEncoder } from "../../protocol/pop3/multi-line.ts";
import { createTransaction, type TransactionStep } from "../../protocol/pop3/transaction.ts";
import { inputWindowOctets, outputWindowOctets } from "../../protocol/wire/mailbox.ts";
import type { OpenMessage, Snapshot } from "./maildrop.ts";

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
  onOutput(octets: Buffer): void;
  /** So much of the input is done with. */
  onCredit(octets: number): void;
  /** After QUIT, or when a message cannot be read on; `removed` is what is gone from the Maildir. */
  onEnd(retrieved: number, removed: Usage): void;
}

/** Twice as much, at most, goes into one frame. */
const readOctets = 32_000;
const listingOctets = 16_384;

export function createSession(drop: Snapshot, logins: readonly string[], events: SessionEvents): Session {
  const transaction = createTransaction(drop, logins);
  const lines = createLines(maxCommandOctets);
  let room = outputWindowOctets;
  let heldOctets = 0;
  let reply: Iterator<Buffer> | undefined;
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
      if (line === tooLong) send(textOf(lineTooLong));
      else obey(transaction.step(parseCommand(line)));
    }
    giveCredit();
  };

  const send = (octets: Buffer): void => {
    room -= octets.length;
    events.onOutput(octets);
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
        return send(textOf(step.reply));
      case "lines":
        reply = listingPieces(step.reply, step.lines);
        return;
      case "message": {
        const message = drop.open(step.number);
        if (!message) return send(textOf("-ERR unable to open that message"));
        reply = messagePieces(message, step.bodyLines, {
          whenSent: () => {
            if (step.bodyLines === undefined) transaction.retrieved(step.number);
          },
          // A final dot would make the client believe that it has all of it; so the connection ends.
          whenBroken: () => end({ octets: 0, messages: 0 }),
        });
        return;
      }
      case "quit":
        return update();
      default:
        step satisfies never;
    }
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
    send(textOf(failed ? "-ERR [SYS/PERM] unable to unlink all deleted messages" : "+OK "));
    end(removed);
  };

  const end = (removed: Usage): void => {
    hasEnded = true;
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
    },
  };
}

const textOf = (reply: string): Buffer => Buffer.from(`${reply}\r\n`, "latin1");

function* listingPieces(first: string, lines: Iterable<string>): Generator<Buffer> {
  let text = `${first}\r\n`;
  for (const line of lines) {
    text += `${line}\r\n`;
    if (text.length < listingOctets) continue;
    yield Buffer.from(text, "latin1");
    text = "";
  }
  yield Buffer.from(`${text}.\r\n`, "latin1");
}

interface MessageEvents {
  readonly whenSent: () => void;
  /** It began, and cannot be read to its end. */
  readonly whenBroken: () => void;
}

/** Closes the file when it is read to its end, or nobody wants the rest. */
function* messagePieces(
  { fd, octets }: OpenMessage,
  bodyLines: number | undefined,
  { whenSent, whenBroken }: MessageEvents,
): Generator<Buffer> {
  try {
    const encoder = createMultiLineEncoder(bodyLines);
    const chunk = Buffer.allocUnsafe(Math.min(readOctets, octets + 1));
    let before = "+OK \r\n";
    for (let at = 0, isLast = false; !isLast; before = "") {
      const length = readAt(fd, chunk, at);
      if (length === undefined) {
        if (at > 0) whenBroken();
        else yield textOf("-ERR [SYS/TEMP] unable to read that message");
        return;
      }
      at += length;
      const wire = encoder.encode(chunk.subarray(0, length));
      isLast = length === 0 || at >= octets || encoder.isFull;
      yield Buffer.concat([Buffer.from(before), wire, Buffer.from(isLast ? encoder.end() : "")]);
    }
    whenSent();
  } finally {
    closeSync(fd);
  }
}

function readAt(fd: number, chunk: Buffer, at: number): number | undefined {
  try {
    return readSync(fd, chunk, 0, chunk.length, at);
  } catch {
    return undefined; // a disk that fails
  }
}
