import type { Duplex } from "node:stream";
import { isPrintable } from "../../protocol/address.ts";
import type { Outcome } from "../../protocol/outcome.ts";
import { encodeFrame, type Frame } from "../../protocol/wire/frame.ts";
import * as wire from "../../protocol/wire/mailbox.ts";
import { createChannel } from "../../services/channel/channel.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Mailboxes, MailboxProcess } from "./mailboxes.ts";
import type { Tickets } from "./tickets.ts";

export interface SessionDesk {
  readonly tickets: Tickets;
  /** Where the mail of an address lies. */
  readonly find: (address: string) => Promise<Outcome<Mailbox>>;
  readonly mailboxes: Mailboxes;
  /** False once we stop. */
  readonly isOpen: () => boolean;
}

const maxSessions = 10_000;
const maxLoginLines = 8;
const maxRefusalOctets = 200;

/** One session, between `pop3d` and the mailbox's own process. */
interface Relay {
  process: MailboxProcess | undefined;
  stream: number;
  isOpened: boolean;
  /** Sent to either side and not yet credited by it. */
  inputOctets: number;
  outputOctets: number;
}

/** Opens mailboxes for whoever shows a ticket over `socket`, and passes on what both sides say within their windows. */
export function serveSessions(socket: Duplex, desk: SessionDesk): { close(): void } {
  const relays = new Map<number, Relay>();
  const channel = createChannel(socket, {
    onFrame(frame) {
      const relay = relays.get(frame.stream);
      switch (frame.type) {
        case wire.openSession.type:
          return open(frame);
        case wire.inputType:
          return relay && takeInput(relay, frame);
        case wire.outputCredit.type:
          return relay && takeOutputCredit(relay, frame);
        case wire.closeSession.type:
          return relay && drop(frame.stream, relay);
        default:
          return "broken";
      }
    },
    onClose() {
      for (const [stream, relay] of relays) drop(stream, relay);
    },
  });

  function open({ stream, payload }: Frame): undefined | "broken" {
    const asked = wire.openSession.decode(payload);
    if (!asked || relays.has(stream) || relays.size >= maxSessions || asked.logins.length > maxLoginLines)
      return "broken";
    const relay: Relay = { process: undefined, stream: 0, isOpened: false, inputOctets: 0, outputOctets: 0 };
    relays.set(stream, relay);
    const address = desk.isOpen() ? desk.tickets.take(asked.ticket) : undefined;
    if (address === undefined) return refuse(stream, "the login is too old, try again");
    void desk.find(address).then((mailbox) => begin(stream, relay, mailbox, asked.logins));
    return undefined;
  }

  function begin(stream: number, relay: Relay, mailbox: Outcome<Mailbox>, logins: readonly string[]): undefined {
    if (relays.get(stream) !== relay) return undefined; // the client is gone
    const taken = mailbox.kind === "done" ? desk.mailboxes.take(mailbox.value) : mailbox;
    if (taken.kind !== "done") return refuse(stream, taken.text);
    const process = taken.value;
    relay.process = process;
    relay.stream = process.open({
      onFrame: (frame) => fromSession(stream, relay, frame),
      onLost() {
        relay.process = undefined;
        refuse(stream, "the mailbox cannot be opened now");
      },
    });
    process.send(wire.openSession.encode(relay.stream, { ticket: Buffer.alloc(0), logins }));
  }

  /** Also ends one that was open: nothing more comes. */
  function refuse(stream: number, text: string): undefined {
    if (relays.delete(stream))
      channel.send(wire.refusedSession.encode(stream, { text: text.slice(0, maxRefusalOctets) }));
  }

  function takeInput(relay: Relay, { payload }: Frame): undefined | "broken" {
    relay.inputOctets += payload.length;
    if (!relay.isOpened || relay.inputOctets > wire.inputWindowOctets) return "broken";
    relay.process?.send(encodeFrame(wire.inputType, relay.stream, payload));
    return undefined;
  }

  function takeOutputCredit(relay: Relay, { payload }: Frame): undefined | "broken" {
    const octets = wire.outputCredit.decode(payload)?.octets ?? 0;
    if (octets === 0 || octets > relay.outputOctets) return "broken";
    relay.outputOctets -= octets;
    relay.process?.send(wire.outputCredit.encode(relay.stream, { octets }));
    return undefined;
  }

  /** What the mailbox's process says, which may be its owner's by now. */
  function fromSession(stream: number, relay: Relay, { type, payload }: Frame): undefined | "broken" {
    switch (type) {
      case wire.opened.type:
        if (relay.isOpened || !wire.opened.decode(payload)) return "broken";
        relay.isOpened = true;
        channel.send(wire.opened.encode(stream, {}));
        return undefined;
      case wire.refusedSession.type: {
        const fields = wire.refusedSession.decode(payload);
        if (relay.isOpened || !fields || !isPrintable(fields.text)) return "broken";
        relay.process?.forget(relay.stream);
        return refuse(stream, fields.text);
      }
      case wire.outputType:
        relay.outputOctets += payload.length;
        if (!relay.isOpened || relay.outputOctets > wire.mostOutputOctets) return "broken";
        channel.pass(wire.outputType, stream, payload);
        return undefined;
      case wire.inputCredit.type: {
        const octets = wire.inputCredit.decode(payload)?.octets ?? 0;
        if (octets === 0 || octets > relay.inputOctets) return "broken";
        relay.inputOctets -= octets;
        channel.send(wire.inputCredit.encode(stream, { octets }));
        return undefined;
      }
      case wire.sessionEnded.type: {
        const fields = wire.sessionEnded.decode(payload);
        if (!relay.isOpened || !fields) return "broken";
        relay.process?.forget(relay.stream);
        relays.delete(stream);
        channel.send(wire.sessionEnded.encode(stream, fields));
        return undefined;
      }
      default:
        return "broken";
    }
  }

  function drop(stream: number, { process, stream: its }: Relay): undefined {
    relays.delete(stream);
    process?.send(wire.closeSession.encode(its, {}));
    process?.forget(its);
  }

  return { close: () => channel.close() };
}
