import { enhancedCode, type Failure, type Outcome, permanent } from "../../protocol/outcome.ts";
import { createEightBitWatch } from "../../protocol/smtp/eight-bit-header.ts";
import { createHeaderGauge, createHopCounter } from "../../protocol/smtp/hops.ts";
import { tooBig } from "../../protocol/smtp/session.ts";
import { isAscii } from "../../protocol/utf8.ts";
import { flagUtf8, noOptions } from "../../protocol/wire/submission.ts";
import type { Envelope, Submission, WayIn } from "../../services/submission/queue-link.ts";

export interface IntakeLimits {
  readonly maxMessageOctets: number;
  readonly maxHops: number;
  /** 0 for any size. */
  readonly maxHeaderOctets: number;
  /** SMTPUTF8 was asked for. */
  readonly mayBeUtf8: boolean;
}

export interface IntakeEvents {
  readonly onRoom: () => void;
  /** After `finish`, once. */
  readonly onVerdict: (verdict: Outcome<number>) => void;
}

/**
 * One message between its DATA and its verdict. Passes the decoded body on as it comes, keeps none of it, and looks at
 * size and hops. What is refused early is still taken to its end: else its rest would be read as commands.
 */
export class Intake {
  readonly #submission: Submission;
  readonly #limits: IntakeLimits;
  readonly #onVerdict: (verdict: Outcome<number>) => void;
  readonly #countHops = createHopCounter();
  readonly #measureHeader = createHeaderGauge();
  /** Where SMTPUTF8 was asked for: does the header need it? */
  readonly #watchHeader: ((body: Buffer) => boolean) | undefined;
  #needsUtf8 = false;
  /** The Received line, until it went with the first of the body. */
  #trace: string;
  #octets = 0;
  #verdict: Outcome<number> | undefined;
  #finished = false;

  constructor(queue: WayIn, trace: string, limits: IntakeLimits, events: IntakeEvents) {
    this.#trace = trace;
    this.#limits = limits;
    this.#onVerdict = events.onVerdict;
    this.#watchHeader = limits.mayBeUtf8 ? createEightBitWatch() : undefined;
    this.#submission = queue.submit({
      onRoom: events.onRoom,
      onVerdict: (verdict) => {
        this.#verdict = verdict;
        if (this.#finished) events.onVerdict(verdict);
        else events.onRoom();
      },
    });
  }

  /** The caller is to take no more until `onRoom`. */
  get isFull(): boolean {
    return this.#verdict === undefined && this.#submission.isFull;
  }

  /** Why it is refused, as far as that is known before its end. */
  get failure(): Failure | undefined {
    return this.#verdict && this.#verdict.kind !== "done" ? this.#verdict : undefined;
  }

  take(body: Buffer) {
    if (this.#verdict) return;
    this.#octets += body.length;
    if (this.#countHops(body) >= this.#limits.maxHops) {
      return this.refuse(permanent("4.6", "too many hops, this message is looping"));
    }
    if (this.#watchHeader) this.#needsUtf8 = this.#watchHeader(body);
    const { maxHeaderOctets } = this.#limits;
    if (maxHeaderOctets > 0 && this.#measureHeader(body) > maxHeaderOctets) {
      return this.refuse(permanent("3.4", `its header has more than ${maxHeaderOctets} octets`));
    }
    if (this.#octets > this.#limits.maxMessageOctets) return this.refuse(permanent("3.4", tooBig));
    this.#submission.write(this.#trace === "" ? body : Buffer.concat([Buffer.from(this.#trace, "latin1"), body]));
    this.#trace = "";
  }

  finish(envelope: Envelope) {
    this.#finished = true;
    if (this.#verdict) return this.#onVerdict(this.#verdict);
    this.#submission.commit(this.#watchHeader ? this.#withNeeds(envelope) : envelope);
  }

  /** Many clients ask for SMTPUTF8 always; a message that does without may go where there is none. */
  #withNeeds(envelope: Envelope): Envelope {
    const { options = noOptions, reversePath, forwardPaths } = envelope;
    if (this.#needsUtf8 || !isAscii(reversePath) || !forwardPaths.every(isAscii)) return envelope;
    return { ...envelope, options: { ...options, flags: options.flags & ~flagUtf8 } };
  }

  /** Gives the message up; no verdict comes. */
  abandon(): void {
    this.#submission.abandon();
  }

  /** Takes and drops the rest; the first failure is the verdict. */
  refuse(failure: Failure): void {
    this.#verdict ??= failure;
    this.#submission.abandon();
  }
}

const maxReplyTextOctets = 400;

/** A text of another program as it may stand in a reply. */
export const printable = (text: string): string => text.slice(0, maxReplyTextOctets).replace(/[^ -~]/g, "?");

/** The reply to the final dot. */
export function replyTo(verdict: Outcome<number>, nowMs: number): string {
  if (verdict.kind === "done") return `250 2.0.0 ok ${Math.floor(nowMs / 1000)} qp ${verdict.value}`;
  const code =
    verdict.status === "3.4" && verdict.kind === "permanent" ? 552 : verdict.kind === "permanent" ? 554 : 451;
  const text = printable(verdict.text);
  return `${code} ${enhancedCode(verdict)} ${text}`;
}
