import { enhancedCode, type Failure, permanent } from "../../protocol/outcome.ts";
import type { ChunkDecoder } from "../../protocol/smtp/chunk.ts";
import { createDataDecoder, type DataFault } from "../../protocol/smtp/data.ts";
import { endOfChunk } from "../../protocol/smtp/session.ts";
import type { Phase } from "../../services/line-connection/speaker.ts";
import type { Conversation } from "./conversation.ts";
import type { Reception } from "./reception.ts";
import { wrongLineEnd } from "./replies.ts";

const faults: Readonly<Record<DataFault, Failure>> = {
  "bare CR": wrongLineEnd,
  "bare LF": wrongLineEnd,
  NUL: permanent("6.0", "NUL in the message"),
};

/** Reads a message to its final dot. */
export class DataBody implements Phase {
  readonly #talk: Conversation;
  readonly #reception: Reception;
  readonly #decode = createDataDecoder();

  constructor(talk: Conversation, reception: Reception) {
    this.#talk = talk;
    this.#reception = reception;
  }

  get reads(): Phase["reads"] {
    return this.#reception.isFull ? "later" : "now";
  }

  read(): boolean {
    const { lines, session } = this.#talk;
    if (lines.octets === 0) return false;
    const intake = this.#reception.open(this);
    if (!intake) return false;
    const progress = this.#decode(lines.rest());
    this.#reception.expectMore();
    if (progress.kind === "broken") {
      const fault = faults[progress.why];
      const reply = `550 ${enhancedCode(fault)} ${fault.text}`;
      this.#talk.logRefusal("DATA", reply);
      this.#talk.close(reply, progress.why);
      return false;
    }
    intake.take(progress.body);
    if (progress.kind === "more") return true;
    if (progress.rest.length > 0) lines.put(progress.rest);
    if (session.at === "data") this.#reception.finish(intake, session.transaction);
    return true;
  }

  onLate(): void {
    this.#reception.endLate();
  }
}

export interface ChunkTerms {
  /** Octets of it that are still to be read. */
  readonly left: number;
  readonly last: boolean;
  /** After it, when nothing goes wrong. */
  readonly reply: string;
  /** Without it, it belongs to no message. */
  readonly decode: ChunkDecoder | undefined;
}

/** Reads the octets that were announced by BDAT (RFC 3030). */
export class Chunk implements Phase {
  readonly #talk: Conversation;
  readonly #reception: Reception;
  readonly #terms: ChunkTerms;
  #left: number;

  constructor(talk: Conversation, reception: Reception, terms: ChunkTerms) {
    this.#talk = talk;
    this.#reception = reception;
    this.#terms = terms;
    this.#left = terms.left;
  }

  get reads(): Phase["reads"] {
    return this.#reception.isFull ? "later" : "now";
  }

  read(): boolean {
    const { lines } = this.#talk;
    const { decode, last } = this.#terms;
    if (lines.octets === 0 && this.#left > 0) return false;
    const intake = decode && this.#reception.open(this);
    if (decode && !intake) return false;
    const octets = lines.takeOctets(this.#left);
    this.#reception.expectMore();
    this.#left -= octets.length;
    if (decode && intake && !intake.failure) {
      const body = decode(octets, last && this.#left === 0);
      if (typeof body === "string") intake.refuse(faults[body]);
      else intake.take(body);
    }
    if (this.#left === 0) this.#end();
    return true;
  }

  onLate(): void {
    this.#reception.endLate();
  }

  #end() {
    const { last, reply, decode } = this.#terms;
    const { session } = this.#talk;
    const intake = decode && this.#reception.open(this);
    this.#talk.obey();
    if (!intake || session.at !== "chunk") return this.#talk.refuse("BDAT", reply);
    if (last) return this.#reception.finish(intake, session.transaction);
    if (intake.failure) return this.#reception.fail(intake.failure, session.transaction);
    this.#talk.session = endOfChunk(session);
    this.#talk.reply(reply);
  }
}
