import type { Socket } from "node:net";
import {
  askPlace,
  askRecipient,
  askRelay,
  askSender,
  cannotTell,
  doesNotExist,
  type LoginEnd,
  maxSaslOctets,
  overQuotaForGood,
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
import { createStreams, type Forget, type Stream } from "../channel/streams.ts";

/** What a login begins with: fields as in the frame `saslBegin`. */
export interface LoginRequest {
  readonly service: "smtp" | "pop3" | "imap";
  readonly mechanism: string;
  /** The client's. */
  readonly address: string;
  /** `undefined` where there was none. */
  readonly initial: Buffer | undefined;
  /** The channel binding tls-exporter, where there is one. */
  readonly exporter: Buffer | undefined;
}

/** The fields of the frame `placeAnswer`. */
export type Place = NonNullable<ReturnType<typeof placeAnswer.decode>>;

export interface LoginEvents {
  /** The client is to answer it, and the answer goes to `respond`. */
  readonly onChallenge: (octets: Buffer) => void;
  /** Once, and not after `cancel`. */
  readonly onEnd: (end: LoginEnd) => void;
}

export interface Login {
  /** At most `maxSaslOctets`, once after each challenge. */
  respond(octets: Buffer): void;
  cancel(): void;
}

/**
 * Asks `directory`, and believes it no more than any peer. Calls back and never waits: while `directory` is away, or
 * when it goes, the answer is that nobody can tell.
 */
export interface DirectoryClient {
  readonly isUp: boolean;
  /** A fresh connection; what was asked on the old one is answered with "cannot tell". */
  attach(socket: Socket): void;
  /** Calls once, when it is there again. */
  whenUp(call: () => void): Forget;
  /** `answer` gets one of the five of wire/directory.ts. */
  askRecipient(address: string, answer: (value: number) => void): Forget;
  /** `answer` gets 0 cannot tell, 1 yes, 2 no. */
  askSender(account: string, address: string, answer: (value: number) => void): Forget;
  /** May a client at this address send to anywhere? As `askSender`. For `smtpd`. */
  askRelay(address: string, answer: (value: number) => void): Forget;
  /** Where the mail of an account lies; "cannot tell" without `directory`. For those it tells. */
  askPlace(account: string, answer: (place: Place) => void): Forget;
  login(request: LoginRequest, events: LoginEvents): Login;
}

export const nobodyKnows = "nobody can look up passwords at the moment";
/** It is soon started again: who asks for a login waits so long for it. */
export const awaySeconds = 20;

const away: LoginEnd = {
  letter: "Z",
  account: "",
  text: nobodyKnows,
  additional: Buffer.alloc(0),
  ticket: Buffer.alloc(0),
};
const mostSender = 2;
const nobodyCanTell = { answer: cannotTell };
const nowhere: Place = { answer: cannotTell, uid: 0, gid: 0, home: "", folder: "", quota: "" };

export function createDirectoryClient(): DirectoryClient {
  const streams = createStreams();
  const nothingToForget: Forget = () => {};

  /** One frame out, one back, which is `nobody` when nobody can tell. */
  const ask = <Fields extends { readonly answer: number }>(
    encode: (stream: number) => Buffer,
    { type, decode }: { readonly type: number; decode(payload: Buffer): Fields | undefined },
    { most, nobody }: { readonly most: number; readonly nobody: Fields },
    answer: (fields: Fields) => void,
  ): Forget => {
    if (!streams.isUp) {
      answer(nobody);
      return nothingToForget;
    }
    const question: Stream = {
      understand(frame) {
        const fields = frame.type === type ? decode(frame.payload) : undefined;
        if (!fields || fields.answer > most) return "broken";
        streams.close(number, question); // before the answer, which may ask again
        answer(fields);
        return undefined;
      },
      lost: () => answer(nobody),
    };
    const number = streams.open(question);
    streams.send(encode(number));
    return () => streams.close(number, question);
  };

  return {
    get isUp() {
      return streams.isUp;
    },
    attach: streams.attach,
    whenUp: streams.whenUp,
    askRecipient: (address, answer) =>
      ask(
        (stream) => askRecipient.encode(stream, { address }),
        recipientAnswer,
        { most: overQuotaForGood, nobody: nobodyCanTell },
        (fields) => answer(fields.answer),
      ),
    askSender: (account, address, answer) =>
      ask(
        (stream) => askSender.encode(stream, { account, address }),
        senderAnswer,
        { most: mostSender, nobody: nobodyCanTell },
        (fields) => answer(fields.answer),
      ),
    askRelay: (address, answer) =>
      ask(
        (stream) => askRelay.encode(stream, { address }),
        relayAnswer,
        { most: mostSender, nobody: nobodyCanTell },
        (fields) => answer(fields.answer),
      ),
    askPlace: (address, answer) =>
      ask(
        (stream) => askPlace.encode(stream, { address }),
        placeAnswer,
        { most: doesNotExist, nobody: nowhere },
        answer,
      ),
    login(request, events) {
      if (!streams.isUp) {
        events.onEnd(away);
        return { respond() {}, cancel() {} };
      }
      const question = loginQuestion({
        ...events,
        onEnd(end) {
          streams.close(number, question); // first: what follows may cancel it
          events.onEnd(end);
        },
      });
      const number = streams.open(question);
      streams.send(saslBegin.encode(number, beginFields(request)));
      return {
        respond(octets) {
          if (!streams.isOpen(number, question)) return;
          question.answered();
          streams.send(saslResponse.encode(number, { octets }));
        },
        cancel() {
          if (streams.close(number, question)) streams.send(saslCancel.encode(number, {}));
        },
      };
    },
  };
}

const beginFields = ({ service, mechanism, address, initial, exporter }: LoginRequest) => ({
  service,
  mechanism,
  address,
  hasInitial: initial ? 1 : 0,
  initial: initial ?? Buffer.alloc(0),
  bindingType: exporter ? "tls-exporter" : "",
  binding: exporter ?? Buffer.alloc(0),
});

/** `answered` lets the next challenge come. */
function loginQuestion({ onChallenge, onEnd }: LoginEvents): Stream & { answered(): void } {
  let isChallenged = false;
  return {
    answered() {
      isChallenged = false;
    },
    understand({ type, payload }) {
      if (type === saslChallenge.type) {
        const fields = saslChallenge.decode(payload);
        if (!fields || isChallenged || fields.octets.length > maxSaslOctets) return "broken";
        isChallenged = true;
        onChallenge(Buffer.from(fields.octets));
        return undefined;
      }
      const fields = type === saslEnd.type ? saslEnd.decode(payload) : undefined;
      if (!fields || !isLetter(fields.letter) || fields.additional.length > maxSaslOctets) return "broken";
      const { letter, account, text } = fields;
      if (letter === "K" && account === "") return "broken";
      onEnd({ letter, account, text, additional: Buffer.from(fields.additional), ticket: Buffer.from(fields.ticket) });
      return undefined;
    },
    lost: () => onEnd(away),
  };
}

const isLetter = (text: string): text is LoginEnd["letter"] => text === "K" || text === "Z" || text === "D";
