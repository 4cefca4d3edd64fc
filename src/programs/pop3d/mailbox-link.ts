import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { isPrintable } from "../../protocol/address.ts";
import { encodeFrame, type Frame } from "../../protocol/wire/frame.ts";
import {
  closeSession,
  inputCredit,
  inputType,
  inputWindowOctets,
  mostOutputOctets,
  opened,
  openSession,
  outputCredit,
  outputType,
  outputWindowOctets,
  refusedSession,
  sessionEnded,
} from "../../protocol/wire/mailbox.ts";
import { createStreams, type Stream, type Streams } from "../../services/channel/streams.ts";

export interface MailboxEvents {
  /** It is open: input may be sent. */
  readonly onOpened: () => void;
  /** For the client to read; what it has read is told to `credit`. */
  readonly onOutput: (octets: Buffer) => void;
  /** Input may be sent again. */
  readonly onRoom: () => void;
  /** After QUIT, when all is done. */
  readonly onEnd: (retrieved: number, deleted: number) => void;
  /** It could not be opened, or was lost. Nothing comes after it. */
  readonly onLost: (why: string) => void;
}

/** A mailbox, as `local` lets us see it: octets in, octets out. */
export interface OpenMailbox {
  /** How much may be sent now. */
  readonly room: number;
  /** At most `room` octets, once it is open. */
  input(octets: Buffer): void;
  credit(octets: number): void;
  /** Nobody waits for anything any more. */
  close(): void;
}

/** The way to `local`, who opens mailboxes to whoever shows a ticket. It may be gone for a while. */
export interface MailboxLink {
  /** A fresh connection; what was open on the old one is lost. */
  attach(socket: Duplex): void;
  open(ticket: Buffer, logins: readonly string[], events: MailboxEvents): OpenMailbox;
}

const away = "mailboxes cannot be opened at the moment";

export function createMailboxLink(): MailboxLink {
  const streams = createStreams();
  return {
    attach: streams.attach,
    open(ticket, logins, events) {
      const mailbox = new Mailbox(streams, events);
      if (streams.isUp) mailbox.open(ticket, logins);
      else setImmediate(() => events.onLost(away));
      return mailbox;
    },
  };
}

class Mailbox implements OpenMailbox, Stream {
  readonly #streams: Streams;
  readonly #events: MailboxEvents;
  #number = 0;
  #isOpened = false;
  #inputOctets = 0;
  #outputOctets = 0;
  /** What of that is read, and not yet credited. */
  #readOctets = 0;

  constructor(streams: Streams, events: MailboxEvents) {
    this.#streams = streams;
    this.#events = events;
  }

  open(ticket: Buffer, logins: readonly string[]): void {
    this.#number = this.#streams.open(this);
    this.#streams.send(openSession.encode(this.#number, { ticket, logins }));
  }

  get room(): number {
    return this.#isOpened && this.#isOpen ? inputWindowOctets - this.#inputOctets : 0;
  }

  input(octets: Buffer): void {
    this.#inputOctets += octets.length;
    if (this.#isOpen) this.#streams.send(encodeFrame(inputType, this.#number, octets));
  }

  credit(octets: number): void {
    this.#readOctets += octets;
    if (!this.#isOpen || this.#readOctets < outputWindowOctets / 2) return;
    this.#streams.send(outputCredit.encode(this.#number, { octets: this.#readOctets }));
    this.#outputOctets -= this.#readOctets;
    this.#readOctets = 0;
  }

  close(): void {
    if (this.#streams.close(this.#number, this)) this.#streams.send(closeSession.encode(this.#number, {}));
  }

  get #isOpen(): boolean {
    return this.#streams.isOpen(this.#number, this);
  }

  lost(): void {
    this.#events.onLost(away);
  }

  understand({ type, payload }: Frame): undefined | "broken" {
    switch (type) {
      case opened.type:
        if (this.#isOpened || !opened.decode(payload)) return "broken";
        this.#isOpened = true;
        this.#events.onOpened();
        return undefined;
      case outputType:
        this.#outputOctets += payload.length;
        if (!this.#isOpened || this.#outputOctets > mostOutputOctets) return "broken";
        this.#events.onOutput(Buffer.from(payload));
        return undefined;
      case inputCredit.type: {
        const octets = inputCredit.decode(payload)?.octets ?? 0;
        if (octets === 0 || octets > this.#inputOctets) return "broken";
        this.#inputOctets -= octets;
        this.#events.onRoom();
        return undefined;
      }
      case sessionEnded.type: {
        const fields = sessionEnded.decode(payload);
        if (!fields || !this.#isOpened) return "broken";
        this.#streams.close(this.#number, this);
        this.#events.onEnd(fields.retrieved, fields.deleted);
        return undefined;
      }
      case refusedSession.type: {
        const fields = refusedSession.decode(payload);
        if (!fields || !isPrintable(fields.text)) return "broken";
        this.#streams.close(this.#number, this);
        this.#events.onLost(fields.text);
        return undefined;
      }
      default:
        return "broken";
    }
  }
}
