import { isEnvelopeAddress } from "../../protocol/address.ts";
import { done, type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { openSpool, type Spool } from "../../services/queue-program/spool.ts";
import type { Client } from "../../services/submission/message-stream.ts";

const maxRecipients = 100_000;
/** What an address costs beside its octets. */
const addressCostOctets = 64;
const noSpool = temporary("3.1", "no message was begun");
const badAddress = permanent("1.3", "an address has control characters or is too long");
const crowded = temporary("3.1", "too much mail is coming in at once");

/** Octets of addresses that all messages under way keep together. */
export interface Budget {
  octets: number;
}

/** One message that is coming in. What is wrong with it is remembered; from then on nothing of it is kept. */
export class Message {
  readonly #budget: Budget;
  readonly #forwardPaths: string[] = [];
  #heldOctets = 0;
  #client: Client | undefined;
  #fault: Failure | undefined;
  #spool: Outcome<Spool> = noSpool;
  /** Everything written so far: one piece after the other. */
  #written: Promise<void>;
  /** Octets the sender has no credit for yet. */
  unwrittenOctets = 0;

  constructor(folder: string, budget: Budget) {
    this.#budget = budget;
    this.#written = openSpool(folder).then((spool) => {
      this.#spool = spool;
      if (spool.kind !== "done") this.#fail(spool);
    });
  }

  get client(): Client | undefined {
    return this.#client;
  }

  get forwardPaths(): readonly string[] {
    return this.#forwardPaths;
  }

  /** False when there is one already. */
  comesFrom(client: Client): boolean {
    const isFirst = this.#client === undefined;
    this.#client ??= client;
    return isFirst;
  }

  /** Calls `whenWritten` with their number when the octets are in the file, or can be forgotten. */
  take(octets: Buffer, whenWritten: (octets: number) => void): void {
    this.unwrittenOctets += octets.length;
    this.#written = this.#written.then(async () => {
      if (!this.#fault && this.#spool.kind === "done") {
        const written = await this.#spool.value.write(octets);
        if (written.kind !== "done") this.#fail(written);
      }
      this.unwrittenOctets -= octets.length;
      whenWritten(octets.length);
    });
  }

  takeRecipients(forwardPaths: readonly string[]): void {
    for (const forwardPath of forwardPaths) {
      if (this.#fault) return;
      const octets = forwardPath.length + addressCostOctets;
      if (forwardPath === "" || !isEnvelopeAddress(forwardPath)) this.#fail(badAddress);
      else if (this.#forwardPaths.length >= maxRecipients) this.#fail(permanent("5.3", "too many recipients"));
      else if (octets > this.#budget.octets) this.#fail(crowded);
      else {
        this.#budget.octets -= octets;
        this.#heldOctets += octets;
        this.#forwardPaths.push(forwardPath);
      }
    }
  }

  /** Its file, complete, or why there is none. */
  async complete(reversePath: string): Promise<Outcome<Spool>> {
    if (!isEnvelopeAddress(reversePath)) this.#fail(badAddress);
    await this.#written;
    return this.#fault ?? (this.#spool.kind === "done" ? done(this.#spool.value) : this.#spool);
  }

  /** Lets go of its file and its addresses. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#budget.octets += this.#heldOctets;
    this.#heldOctets = 0;
    this.#forwardPaths.length = 0;
    await this.#written;
    if (this.#spool.kind !== "done") return;
    await this.#spool.value[Symbol.asyncDispose]();
    this.#spool = noSpool;
  }

  #fail(failure: Failure): void {
    this.#fault ??= failure;
  }
}
