import { decodeNetstring, netstringOctets } from "../netstring.ts";
import { maxReplyOctets, parseQmqpReply } from "../qmqp/reply.ts";
import { deferred, diedOn, type Fate, failed } from "../smtp/client-fate.ts";

/**
 * The client's side of one QMTP package, from its first octet to the answer for its last recipient. `peer` is the
 * server's address, for the texts.
 */
export class QmtpExchange {
  readonly #peer: string;
  readonly #recipients: number;
  readonly #fates: Fate[] = [];
  #kept: Buffer = Buffer.alloc(0);
  #sent = false;

  constructor(peer: string, recipients: number) {
    this.#peer = peer;
    this.#recipients = recipients;
  }

  /** The end of the package is on its way: from here on a lost connection leaves a doubt. */
  onSent(): void {
    this.#sent = true;
  }

  /** Takes what the server says: one fate for each recipient, in order, once all are known. */
  onAnswer(chunk: Buffer): "more" | "broken" | readonly Fate[] {
    if (!this.#sent) return "broken"; // nothing may be answered before the package is whole
    this.#kept = Buffer.concat([this.#kept, chunk]);
    let at = 0;
    while (at < this.#kept.length) {
      if (this.#fates.length === this.#recipients) return "broken";
      const answer = decodeNetstring(this.#kept.subarray(at), maxReplyOctets);
      if (answer === "broken" || (answer === "more" && this.#kept.length - at > netstringOctets(maxReplyOctets))) {
        return "broken";
      }
      if (answer === "more") break;
      this.#fates.push(this.#fateOf(answer.text));
      at += answer.used;
    }
    this.#kept = this.#kept.subarray(at);
    return this.#fates.length === this.#recipients ? this.#fates : "more";
  }

  /** The connection ended or stood still: what was answered counts, the rest is to be tried again. */
  lost(why: string): readonly Fate[] {
    const rest = diedOn(this.#peer, why, this.#sent);
    return [...this.#fates, ...new Array<Fate>(this.#recipients - this.#fates.length).fill(rest)];
  }

  #fateOf(answer: string): Fate {
    const said = `Remote host said: ${answer.slice(1).replace(/[^ -~]/g, "?")}\n`;
    const outcome = parseQmqpReply(answer);
    if (outcome.kind === "done") return { letter: "K", status: "", text: `${this.#peer} accepted message.\n${said}` };
    const text = `${this.#peer} does not like recipient.\n${said}`;
    return outcome.kind === "permanent" ? failed(outcome.status, text) : deferred(outcome.status, text);
  }
}
