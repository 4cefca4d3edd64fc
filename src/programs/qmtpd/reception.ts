import { isEnvelopeAddress, keptAddress } from "../../protocol/address.ts";
import { done, type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import type { QmtpPart } from "../../protocol/qmtp/package.ts";
import { createHopCounter } from "../../protocol/smtp/hops.ts";
import { type Rules, tooBig } from "../../protocol/smtp/session.ts";
import { receivedLine } from "../../protocol/smtp/trace.ts";
import type { Submission } from "../../services/submission/queue-client.ts";

/** Octets that all packages under way may keep together in memory, until they are complete. */
export interface Budget {
  octets: number;
}

/** Fixed while a connection lasts. */
export interface Sender {
  readonly address: string;
  readonly rules: Rules;
  /** This server's name, for the Received line. */
  readonly me: string;
  readonly maxHops: number;
}

export interface Surroundings {
  readonly submit: () => Promise<Outcome<Submission>>;
  readonly budget: Budget;
  /** Ours: mail from the network is logged as from this user. */
  readonly uid: number;
  readonly now: () => number;
}

/** What became of a package: a verdict for each recipient, and the queue id if anybody gets it. */
export interface Received {
  readonly verdicts: readonly Outcome<number>[];
  readonly message: number | undefined;
  readonly recipients: number;
}

/** What a recipient costs beside its octets: its string, and its place among the verdicts. */
const recipientOctets = 48;

const badSender = permanent("1.7", "unacceptable sender");
const badRecipient = permanent("1.3", "sorry, I can't handle that recipient");
const unwanted = permanent("7.1", "sorry, that recipient is in my badrcptto list");
const notOurs = permanent("7.1", "sorry, that domain isn't in my list of allowed rcpthosts");
const tooMany = temporary("5.3", "too many recipients");
const tooMuch = temporary("3.2", "too many recipients under way, try again later");
const looping = permanent("4.6", "too many hops, this message is looping");
const unfit = {
  "bare CR": permanent("6.11", "the message holds a bare carriage return"),
  "bare LF": permanent("6.11", "the message holds a bare line feed"),
  NUL: permanent("6.0", "the message holds a NUL"),
} as const;
/** Stands among the verdicts for what `queue` will say. */
const accepted: Outcome<number> = done(0);

/**
 * One package between its first octet and its answers. Passes the message on as it comes, keeps none of it, and judges
 * each recipient by itself. What is wrong with the message is every recipient's fate: from then on nothing is kept.
 */
export class Reception {
  readonly #sender: Sender;
  readonly #around: Surroundings;
  readonly #submission: Submission | undefined;
  readonly #countHops = createHopCounter();
  readonly #forwardPaths: string[] = [];
  #verdicts: Outcome<number>[] = [];
  #reversePath = "";
  #messageOctets = 0;
  #recipients = 0;
  #keptOctets = 0;
  #fault: Failure | undefined;
  #committed = false;

  /** Resolves when there is a `queue`, or seems to be none. */
  static async begin(sender: Sender, around: Surroundings): Promise<Reception> {
    return new Reception(sender, around, await around.submit());
  }

  private constructor(sender: Sender, around: Surroundings, submitted: Outcome<Submission>) {
    this.#sender = sender;
    this.#around = around;
    if (submitted.kind === "done") this.#submission = submitted.value;
    else this.#fault = submitted;
    const { address, me } = sender;
    const trace = receivedLine({ helo: "", protocol: "QMTP", address, by: me, nowMs: around.now() });
    void this.#submission?.write(Buffer.from(trace, "latin1"));
  }

  /** Resolves when `queue` has room for more. */
  async take(part: Exclude<QmtpPart, { kind: "end" | "broken" }>): Promise<void> {
    switch (part.kind) {
      case "body":
        await this.#takeBody(part.octets);
        return;
      case "unfit":
        this.#fail(unfit[part.why]);
        return;
      case "reversePath":
        this.#takeSender(part.text && keptAddress(part.text));
        return;
      case "forwardPath":
        this.#takeRecipient(part.text && keptAddress(part.text));
        return;
      default:
        part satisfies never;
    }
  }

  /** The package is complete. Without anybody to take the message nothing is queued. */
  async finish(): Promise<Received> {
    const recipients = this.#forwardPaths.length;
    let verdict: Outcome<number> | undefined = this.#fault;
    if (!verdict && recipients > 0 && this.#submission) {
      this.#committed = true;
      this.#submission.commit(this.#reversePath, this.#forwardPaths, this.#around.uid);
      verdict = await this.#submission.outcome;
    }
    this.#letGo();
    const final = verdict ?? accepted;
    if (this.#fault) return { verdicts: new Array(this.#recipients).fill(final), message: undefined, recipients: 0 };
    const verdicts = this.#verdicts.map((one) => (one === accepted ? final : one));
    return { verdicts, message: verdict?.kind === "done" ? verdict.value : undefined, recipients };
  }

  /** The client is gone: the message is given up, unless `queue` has all of it. Also ends a wait for room. */
  abandon(): void {
    if (!this.#committed) this.#letGo();
  }

  #letGo(): void {
    this.#submission?.abandon();
    this.#around.budget.octets += this.#keptOctets;
    this.#keptOctets = 0;
  }

  async #takeBody(octets: Buffer): Promise<void> {
    if (this.#fault) return;
    this.#messageOctets += octets.length;
    if (this.#messageOctets > this.#sender.rules.maxMessageOctets) this.#fail(permanent("3.4", tooBig));
    else if (this.#countHops(octets) >= this.#sender.maxHops) this.#fail(looping);
    else await this.#submission?.write(octets);
  }

  #takeSender(address: string | undefined): void {
    if (address === undefined || !isEnvelopeAddress(address)) this.#fail(badSender);
    else this.#reversePath = address;
  }

  #takeRecipient(address: string | undefined): void {
    this.#recipients++;
    if (this.#fault) return;
    // What all packages keep together is bounded; a verdict costs as much as an address.
    const octets = recipientOctets + (address?.length ?? 0);
    if (octets > this.#around.budget.octets) {
      this.#fail(tooMuch);
      return;
    }
    this.#keptOctets += octets;
    this.#around.budget.octets -= octets;
    const { mayRelay, relaySuffix } = this.#sender.rules;
    const forwardPath = mayRelay ? `${address ?? ""}${relaySuffix}` : (address ?? "");
    const refusal = address ? this.#judge(address, forwardPath) : badRecipient;
    this.#verdicts.push(refusal ?? accepted);
    if (!refusal) this.#forwardPaths.push(forwardPath);
  }

  #judge(address: string, forwardPath: string): Failure | undefined {
    const { accepts, isBadRecipient, maxRecipients, mayRelay } = this.#sender.rules;
    if (!isEnvelopeAddress(forwardPath)) return badRecipient;
    if (isBadRecipient(address)) return unwanted;
    if (!mayRelay && !accepts(address)) return notOurs;
    return this.#forwardPaths.length >= maxRecipients ? tooMany : undefined;
  }

  #fail(failure: Failure): void {
    this.#fault ??= failure;
    this.#submission?.abandon();
    this.#forwardPaths.length = 0;
    this.#verdicts = [];
  }
}
