import type { SubmittedHeader } from "../../protocol/header/submitted.ts";
import { enhancedCode, type Failure, type Outcome, permanent } from "../../protocol/outcome.ts";
import { createEightBitWatch } from "../../protocol/smtp/eight-bit-header.ts";
import { createHeaderGauge, createHopCounter, createTlsRequiredWatch } from "../../protocol/smtp/hops.ts";
import { tooBig } from "../../protocol/smtp/session.ts";
import { isAscii } from "../../protocol/utf8.ts";
import { flagRequireTls, flagTlsOptional, flagUtf8, noOptions } from "../../protocol/wire/submission.ts";
import type { Forget } from "../../services/channel/streams.ts";
import type { Envelope, Submission } from "../../services/submission/message-stream.ts";
import type { WayIn } from "../../services/submission/queue-link.ts";

export interface IntakeLimits {
  readonly maxMessageOctets: number;
  readonly maxHops: number;
  /** 0 for any size. */
  readonly maxHeaderOctets: number;
  /** SMTPUTF8 was asked for. */
  readonly mayBeUtf8: boolean;
}

/** What becomes of the header of mail from an account. */
export interface HeaderWork {
  readonly header: SubmittedHeader;
  /** Called once it is over: is it refused for what it says? The verdict waits for the answer. */
  readonly judge: (header: SubmittedHeader, tell: (failure: Failure | undefined) => void) => Forget;
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
  readonly #events: IntakeEvents;
  readonly #work: HeaderWork | undefined;
  readonly #countHops = createHopCounter();
  readonly #measureHeader = createHeaderGauge();
  /** Where SMTPUTF8 was asked for: does the header need it? */
  readonly #watchHeader: ((body: Buffer) => boolean) | undefined;
  #needsUtf8 = false;
  readonly #watchTlsRequired = createTlsRequiredWatch();
  #isTlsOptional = false;
  /** The Received line, until it went with the first of the body. */
  #trace: string;
  #octets = 0;
  #verdict: Outcome<number> | undefined;
  #finished = false;
  /** Waits for what is said of its header. */
  #envelope: Envelope | undefined;
  #forget: Forget | undefined;

  constructor(queue: WayIn, trace: string, limits: IntakeLimits, events: IntakeEvents, work?: HeaderWork) {
    this.#trace = trace;
    this.#limits = limits;
    this.#events = events;
    this.#work = work;
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
    this.#isTlsOptional = this.#watchTlsRequired(body);
    if (this.#watchHeader) this.#needsUtf8 = this.#watchHeader(body);
    const { maxHeaderOctets } = this.#limits;
    if (maxHeaderOctets > 0 && this.#measureHeader(body) > maxHeaderOctets) {
      return this.refuse(permanent("3.4", `its header has more than ${maxHeaderOctets} octets`));
    }
    if (this.#octets > this.#limits.maxMessageOctets) return this.refuse(permanent("3.4", tooBig));
    this.#passOn(this.#work ? this.#workOn(this.#work, ({ take }) => take(body)) : body);
  }

  #passOn(body: Buffer): void {
    if (this.#trace !== "") this.#submission.write(Buffer.from(this.#trace, "latin1"));
    this.#trace = "";
    this.#submission.write(body);
  }

  /** Asks about the header when it comes to its end in this. */
  #workOn({ header, judge }: HeaderWork, advance: (header: SubmittedHeader) => Buffer): Buffer {
    const wasOver = header.authorship !== undefined;
    const body = advance(header);
    if (wasOver || !header.authorship) return body;
    let told = false;
    const forget = judge(header, (failure) => {
      told = true;
      this.#hear(failure);
    });
    if (!told) this.#forget = forget;
    return body;
  }

  #hear(failure: Failure | undefined): void {
    this.#forget = undefined;
    if (this.#verdict) return;
    if (!failure) {
      if (this.#envelope) this.#submission.commit(this.#envelope);
      return;
    }
    this.refuse(failure);
    if (this.#finished) this.#events.onVerdict(failure);
    else this.#events.onRoom();
  }

  /** Nobody said anything of its header for too long: false when that is not what it waits for. */
  giveUpAsking(failure: Failure): boolean {
    if (!this.#forget) return false;
    this.#forget();
    this.#hear(failure);
    return true;
  }

  finish(envelope: Envelope) {
    if (this.#work && !this.#verdict) this.#passOn(this.#workOn(this.#work, ({ end }) => end()));
    this.#finished = true;
    if (this.#verdict) return this.#events.onVerdict(this.#verdict);
    this.#envelope = this.#withNeeds(envelope);
    if (!this.#forget) this.#submission.commit(this.#envelope);
  }

  /**
   * Many clients ask for SMTPUTF8 always; a message that does without may go where there is none. What the header says
   * of TLS counts less than REQUIRETLS (RFC 8689 §4.2).
   */
  #withNeeds(envelope: Envelope): Envelope {
    const { options = noOptions, reversePath, forwardPaths } = envelope;
    const needsUtf8 = this.#needsUtf8 || ![reversePath, ...forwardPaths].every(isAscii);
    const kept = this.#watchHeader && !needsUtf8 ? options.flags & ~flagUtf8 : options.flags;
    const isTlsOptional = this.#isTlsOptional && (kept & flagRequireTls) === 0;
    const flags = isTlsOptional ? kept | flagTlsOptional : kept;
    return flags === options.flags ? envelope : { ...envelope, options: { ...options, flags } };
  }

  /** Gives the message up; no verdict comes. */
  abandon(): void {
    this.#forget?.();
    this.#submission.abandon();
  }

  /** Takes and drops the rest; the first failure is the verdict. */
  refuse(failure: Failure): void {
    this.#verdict ??= failure;
    this.#forget?.();
    this.#forget = undefined;
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
