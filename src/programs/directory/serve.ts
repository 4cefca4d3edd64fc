import type { Socket } from "node:net";
import {
  askPlace,
  askRecipient,
  askRelay,
  askSender,
  cannotTell,
  maxSaslOctets,
  placeAnswer,
  recipientAnswer,
  relayAnswer,
  saslBegin,
  saslCancel,
  saslChallenge,
  saslEnd,
  saslResponse,
  senderAnswer,
} from "../../protocol/wire/directory.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import { createChannel } from "../../services/channel/channel.ts";
import type { Place } from "./local-link.ts";
import type { Login, Logins } from "./logins.ts";

export interface Desk {
  readonly askRecipient: (address: string) => Promise<number>;
  readonly askSender: (account: string, address: string) => Promise<number>;
  readonly logins: Logins;
  /** Absent for those who let nobody relay. */
  readonly mayRelay?: (address: string) => boolean;
  /** Absent for those whom it does not concern where mailboxes lie. */
  readonly askPlace?: (address: string) => Promise<Place>;
}

/** Questions and logins of one peer under way at once; to more the answer is "cannot tell". */
const maxOpen = 10_000;
/** Answers that a peer does not read. */
const maxUnreadOctets = 16_777_216;
const services: readonly string[] = ["smtp", "pop3", "imap"];
const nothing = Buffer.alloc(0);
const tooMany = { letter: "Z", account: "", text: "too many logins at once", additional: nothing, ticket: nothing };

/** Answers what a program that faces the network asks over `socket`, until it closes. */
export function serveClient(socket: Socket, desk: Desk): void {
  const asked = new Set<number>();
  const logins = new Map<number, Login>();
  const channel = createChannel(socket, {
    onFrame(frame) {
      if (channel.pendingOctets > maxUnreadOctets) return "broken";
      switch (frame.type) {
        case askRecipient.type:
          return answerRecipient(frame);
        case askSender.type:
          return answerSender(frame);
        case askRelay.type:
          return answerRelay(frame);
        case askPlace.type:
          return answerPlace(frame);
        case saslBegin.type:
          return beginLogin(frame);
        case saslResponse.type:
          return respond(frame);
        case saslCancel.type:
          logins.get(frame.stream)?.cancel();
          logins.delete(frame.stream);
          return frame.payload.length === 0 ? undefined : "broken";
        default:
          return "broken";
      }
    },
    onClose() {
      asked.clear();
      for (const login of logins.values()) login.cancel();
      logins.clear();
    },
  });
  const isOpen = (stream: number): boolean => asked.has(stream) || logins.has(stream);
  const isFull = (): boolean => asked.size + logins.size >= maxOpen;

  function answerRecipient({ stream, payload }: Frame): undefined | "broken" {
    const question = askRecipient.decode(payload);
    return question ? answer(stream, recipientAnswer, () => desk.askRecipient(question.address)) : "broken";
  }

  function answerSender({ stream, payload }: Frame): undefined | "broken" {
    const question = askSender.decode(payload);
    if (!question) return "broken";
    return answer(stream, senderAnswer, () => desk.askSender(question.account, question.address));
  }

  function answer(
    stream: number,
    { encode }: typeof recipientAnswer,
    find: () => Promise<number>,
  ): undefined | "broken" {
    if (isOpen(stream)) return "broken";
    if (isFull()) {
      channel.send(encode(stream, { answer: cannotTell }));
      return undefined;
    }
    asked.add(stream);
    void find().then((value) => {
      if (asked.delete(stream)) channel.send(encode(stream, { answer: value }));
    });
    return undefined;
  }

  function answerRelay({ stream, payload }: Frame): undefined | "broken" {
    const question = askRelay.decode(payload);
    if (!question || !desk.mayRelay || isOpen(stream)) return "broken";
    channel.send(relayAnswer.encode(stream, { answer: desk.mayRelay(question.address) ? 1 : 2 }));
    return undefined;
  }

  function answerPlace({ stream, payload }: Frame): undefined | "broken" {
    const question = askPlace.decode(payload);
    if (!question || !desk.askPlace || isOpen(stream) || isFull()) return "broken";
    asked.add(stream);
    void desk.askPlace(question.address).then((place) => {
      if (asked.delete(stream)) channel.send(placeAnswer.encode(stream, place));
    });
    return undefined;
  }

  function beginLogin({ stream, payload }: Frame): undefined | "broken" {
    const fields = saslBegin.decode(payload);
    if (!fields || isOpen(stream) || !services.includes(fields.service)) return "broken";
    const { service, mechanism, address, hasInitial, initial, bindingType, binding } = fields;
    if (initial.length > maxSaslOctets || hasInitial > 1 || (hasInitial === 0 && initial.length > 0)) return "broken";
    if (isFull()) {
      channel.send(saslEnd.encode(stream, tooMany));
      return undefined;
    }
    let hasEnded = false;
    const login = desk.logins.begin(
      {
        ...{ service, mechanism, address },
        initial: hasInitial === 1 ? Buffer.from(initial) : undefined,
        binding: bindingType === "" ? undefined : { type: bindingType, octets: Buffer.from(binding) },
      },
      {
        onChallenge: (octets) => channel.send(saslChallenge.encode(stream, { octets })),
        onEnd(end) {
          hasEnded = true;
          logins.delete(stream);
          channel.send(saslEnd.encode(stream, end));
        },
      },
    );
    if (!hasEnded) logins.set(stream, login);
    return undefined;
  }

  /** An answer to a login that has ended meanwhile is no error. */
  function respond({ stream, payload }: Frame): undefined | "broken" {
    const fields = saslResponse.decode(payload);
    if (!fields || fields.octets.length > maxSaslOctets) return "broken";
    return logins.get(stream)?.respond(Buffer.from(fields.octets));
  }
}
