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
  refusedSession,
  sessionEnded,
} from "../../protocol/wire/mailbox.ts";
import { type Channel, createChannel } from "../../services/channel/channel.ts";

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

interface Stream {
  readonly events: MailboxEvents;
  isOpened: boolean;
  inputOctets: number;
  outputOctets: number;
}

const away = "mailboxes cannot be opened at the moment";

export function createMailboxLink(): MailboxLink {
  let channel: Channel | undefined;
  let streams = new Map<number, Stream>();
  let last = 0;

  const onFrame = ({ type, stream: number, payload }: Frame): undefined | "broken" => {
    const stream = streams.get(number);
    if (!stream) return undefined; // closed, and it was on its way
    switch (type) {
      case opened.type:
        if (stream.isOpened || !opened.decode(payload)) return "broken";
        stream.isOpened = true;
        stream.events.onOpened();
        return undefined;
      case outputType:
        stream.outputOctets += payload.length;
        if (!stream.isOpened || stream.outputOctets > mostOutputOctets) return "broken";
        stream.events.onOutput(Buffer.from(payload));
        return undefined;
      case inputCredit.type: {
        const octets = inputCredit.decode(payload)?.octets ?? 0;
        if (octets === 0 || octets > stream.inputOctets) return "broken";
        stream.inputOctets -= octets;
        stream.events.onRoom();
        return undefined;
      }
      case sessionEnded.type: {
        const fields = sessionEnded.decode(payload);
        if (!fields || !stream.isOpened) return "broken";
        streams.delete(number);
        stream.events.onEnd(fields.retrieved, fields.deleted);
        return undefined;
      }
      case refusedSession.type: {
        const fields = refusedSession.decode(payload);
        if (!fields || !isPrintable(fields.text)) return "broken";
        streams.delete(number);
        stream.events.onLost(fields.text);
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
        onClose() {
          if (channel === fresh) channel = undefined;
          const lost = streams;
          streams = new Map();
          for (const { events } of lost.values()) events.onLost(away);
        },
      });
      channel = fresh;
    },
    open(ticket, logins, events) {
      const to = channel;
      const stream: Stream = { events, isOpened: false, inputOctets: 0, outputOctets: 0 };
      do last = (last + 1) % 2 ** 32;
      while (streams.has(last));
      const number = last;
      if (to) {
        streams.set(number, stream);
        to.send(openSession.encode(number, { ticket, logins }));
      } else setImmediate(() => events.onLost(away));
      const isOpen = (): boolean => streams.get(number) === stream;
      return {
        get room() {
          return stream.isOpened && isOpen() ? inputWindowOctets - stream.inputOctets : 0;
        },
        input(octets) {
          stream.inputOctets += octets.length;
          if (isOpen()) to?.send(encodeFrame(inputType, number, octets));
        },
        credit(octets) {
          stream.outputOctets -= octets;
          if (isOpen() && octets > 0) to?.send(outputCredit.encode(number, { octets }));
        },
        close() {
          if (isOpen()) to?.send(closeSession.encode(number, {}));
          if (isOpen()) streams.delete(number);
        },
      };
    },
  };
}
