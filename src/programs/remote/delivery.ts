import { isPrintable } from "../../protocol/address.ts";
import { deferred, type Fate, failed } from "../../protocol/smtp/client-fate.ts";
import {
  type deliver,
  deliveryCredit,
  deliveryWindowOctets,
  ended,
  maxReportOctets,
  report,
} from "../../protocol/wire/delivery.ts";
import { attempt, type Means, type Verdict } from "./attempt.ts";
import { Body } from "./body.ts";
import type { Connection } from "./connection.ts";

export type DeliverFields = NonNullable<ReturnType<typeof deliver.decode>>;

const maxAddressOctets = 1_000;
const stopped: Verdict = { fates: [deferred("3.2", "This server is being stopped. (#4.3.2)\n")], reached: 0 };

interface Recipient {
  readonly number: number;
  readonly forwardPath: string;
}

/** One delivery that `queue` asked for, from its `deliver` to its `ended`, which it sends exactly once. */
export class Delivery {
  readonly body: Body;
  #isEnded = false;
  readonly #stream: number;
  readonly #fields: DeliverFields;
  readonly #send: (frame: Buffer) => void;
  readonly #recipients: readonly Recipient[];
  #connection: Pick<Connection, "abort"> | undefined;
  #isAbandoned = false;

  constructor(stream: number, fields: DeliverFields, send: (frame: Buffer) => void) {
    this.#stream = stream;
    this.#fields = fields;
    this.#send = send;
    this.#recipients = fields.numbers.map((number, place) => ({
      number,
      forwardPath: fields.forwardPaths[place] ?? "",
    }));
    this.body = new Body(fields.octets, deliveryWindowOctets, (octets) =>
      send(deliveryCredit.encode(stream, { octets })),
    );
  }

  /** Resolves when it is ended. Addresses that could not stand in a command fail: else queue could speak SMTP for us. */
  async run(means: Means): Promise<void> {
    if (this.#isAbandoned) return;
    const { reversePath, octets, bodyKind } = this.#fields;
    if (!canStand(reversePath)) return this.#end(this.#recipients, unfit("1.7", "The sender's address"));
    const fit = this.#recipients.filter(({ forwardPath }) => canStand(forwardPath));
    const unfitOnes = this.#recipients.filter(({ forwardPath }) => !canStand(forwardPath));
    this.#report(unfitOnes, unfit("1.3", "The address"));
    if (fit.length === 0) return this.#end([], stopped);
    const forwardPaths = fit.map(({ forwardPath }) => forwardPath);
    const verdict = await attempt(
      {
        transaction: { reversePath, forwardPaths, octets, eightBit: bodyKind === 1 },
        body: this.body,
        onConnection: (connection) => {
          this.#connection = connection;
        },
        isAbandoned: () => this.#isAbandoned,
      },
      means,
    );
    this.#end(fit.slice(0, verdict.tried), verdict);
  }

  /** Ends it before its time. Where the final dot was sent already, the report says what that means. */
  abandon(why: string): void {
    this.#isAbandoned = true;
    if (this.#connection) this.#connection.abort(why);
    else this.#end(this.#recipients, stopped);
  }

  #end(recipients: readonly Recipient[], verdict: Verdict): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#report(recipients, verdict);
    this.#send(ended.encode(this.#stream, { reached: verdict.reached }));
  }

  #report(recipients: readonly Recipient[], { fates }: Verdict): void {
    for (const [place, { number }] of recipients.entries()) {
      const fate: Fate | undefined = fates.length === 1 ? fates[0] : fates[place];
      if (!fate) continue;
      const { letter, status } = fate;
      this.#send(report.encode(this.#stream, { number, letter, status, text: fate.text.slice(0, maxReportOctets) }));
    }
  }
}

const canStand = (address: string): boolean => address.length <= maxAddressOctets && isPrintable(address);

const unfit = (status: "1.3" | "1.7", what: string): Verdict => ({
  fates: [failed(status, `${what} has control characters or is too long. (#5.${status})\n`)],
  reached: 0,
});
