import type { Socket } from "node:net";
import {
  askRecipient,
  askSender,
  cannotTell,
  maxSaslOctets,
  overQuotaForGood,
  recipientAnswer,
  saslBegin,
  saslCancel,
  saslChallenge,
  saslEnd,
  saslResponse,
  senderAnswer,
} from "../../protocol/wire/directory.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import { type Channel, createChannel } from "../channel/channel.ts";

/** Drops a question: its answer is not called any more. May be called at any time. */
export type Forget = () => void;

/** What a login begins with: fields as in the frame `saslBegin`. */
export interface LoginRequest {
  readonly service: "smtp" | "pop3";
  readonly mechanism: string;
  /** The client's. */
  readonly address: string;
  /** `undefined` where there was none. */
  readonly initial: Buffer | undefined;
  /** The channel binding tls-exporter, where there is one. */
  readonly exporter: Buffer | undefined;
}

/** How a login ended: `letter` and the others as in the frame `saslEnd`. */
export interface LoginEnd {
  readonly letter: "K" | "Z" | "D";
  readonly account: string;
  readonly text: string;
  readonly additional: Buffer;
  readonly ticket: Buffer;
}

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
  login(request: LoginRequest, events: LoginEvents): Login;
}

/** Takes a frame of its stream. "broken" for what may not come now; "over" with the last. */
interface Question {
  understand(frame: Frame): undefined | "over" | "broken";
  /** `directory` went. */
  lost(): void;
}

const away: LoginEnd = {
  letter: "Z",
  account: "",
  text: "nobody can look up passwords at the moment",
  additional: Buffer.alloc(0),
  ticket: Buffer.alloc(0),
};
const mostSender = 2;

export function createDirectoryClient(): DirectoryClient {
  let channel: Channel | undefined;
  let questions = new Map<number, Question>();
  let lastStream = 0;
  const waiting = new Set<() => void>();

  const onFrame = (frame: Frame): undefined | "broken" => {
    const question = questions.get(frame.stream);
    if (!question) return undefined; // it was on its way when the question was dropped
    const told = question.understand(frame);
    if (told === "over") questions.delete(frame.stream);
    return told === "broken" ? "broken" : undefined;
  };
  const open = (question: Question): number => {
    do lastStream = (lastStream + 1) % 2 ** 32;
    while (questions.has(lastStream));
    questions.set(lastStream, question);
    return lastStream;
  };
  /** One frame out, one number back. */
  const ask = (
    encode: (stream: number) => Buffer,
    { type, decode }: typeof recipientAnswer,
    most: number,
    answer: (value: number) => void,
  ): Forget => {
    if (!channel) {
      answer(cannotTell);
      return () => {};
    }
    const question: Question = {
      understand(frame) {
        const fields = frame.type === type ? decode(frame.payload) : undefined;
        if (!fields || fields.answer > most) return "broken";
        questions.delete(frame.stream); // before the answer, which may ask again
        answer(fields.answer);
        return "over";
      },
      lost: () => answer(cannotTell),
    };
    const stream = open(question);
    channel.send(encode(stream));
    return () => {
      if (questions.get(stream) === question) questions.delete(stream);
    };
  };

  return {
    get isUp() {
      return channel !== undefined;
    },
    attach(socket) {
      channel?.close();
      const fresh = createChannel(socket, {
        onFrame,
        onClose: () => {
          if (channel === fresh) channel = undefined;
          const lost = questions;
          questions = new Map();
          for (const question of lost.values()) question.lost();
        },
      });
      channel = fresh;
      const calls = [...waiting];
      waiting.clear();
      for (const call of calls) call();
    },
    whenUp(call) {
      waiting.add(call);
      return () => waiting.delete(call);
    },
    askRecipient: (address, answer) =>
      ask((stream) => askRecipient.encode(stream, { address }), recipientAnswer, overQuotaForGood, answer),
    askSender: (account, address, answer) =>
      ask((stream) => askSender.encode(stream, { account, address }), senderAnswer, mostSender, answer),
    login(request, events) {
      const to = channel;
      if (!to) {
        events.onEnd(away);
        return { respond() {}, cancel() {} };
      }
      const question = loginQuestion({
        ...events,
        onEnd(end) {
          questions.delete(stream); // first: what follows may cancel it
          events.onEnd(end);
        },
      });
      const stream = open(question);
      to.send(saslBegin.encode(stream, beginFields(request)));
      return {
        respond(octets) {
          if (questions.get(stream) !== question) return;
          question.answered();
          to.send(saslResponse.encode(stream, { octets }));
        },
        cancel() {
          if (questions.get(stream) !== question) return;
          questions.delete(stream);
          to.send(saslCancel.encode(stream, {}));
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
function loginQuestion({ onChallenge, onEnd }: LoginEvents): Question & { answered(): void } {
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
      return "over";
    },
    lost: () => onEnd(away),
  };
}

const isLetter = (text: string): text is LoginEnd["letter"] => text === "K" || text === "Z" || text === "D";
