import { isPrintable } from "../../protocol/address.ts";
import { deferred, type Fate, failed } from "../../protocol/smtp/client-fate.ts";
import type { Asked, BodyType } from "../../protocol/smtp/transaction.ts";
import {
  type deliver,
  type deliverOptions,
  deliveryCredit,
  deliveryWindowOctets,
  ended,
  maxReportOctets,
  relayed,
  report,
} from "../../protocol/wire/delivery.ts";
import { askedOf } from "./asked.ts";
import { attempt, type Means, type Verdict } from "./attempt.ts";
import { Body } from "./body.ts";
import type { Connection } from "./connection.ts";

export type DeliverFields = NonNullable<ReturnType<typeof deliver.decode>>;
type OptionFields = NonNullable<ReturnType<typeof deliverOptions.decode>>;

const maxAddressOctets = 1_000;
const stopped: Verdict = { fates: [deferred("3.2", "This server is being stopped. (#4.3.2)\n")], reached: 0 };

interface Recipient {
  readonly number: number;
  readonly forwardPath: string;
  readonly place: number;
}

const bodyTypes: readonly BodyType[] = ["7BIT", "8BITMIME", "BINARYMIME"];

/** One delivery that `queue` asked for, from its `deliver` to its `ended`, which it sends exactly once. */
export class Delivery {
  readonly body: Body;
  #isEnded = false;
  #hasBegun = false;
  readonly #stream: number;
  readonly #fields: DeliverFields;
  readonly #send: (frame: Buffer) => void;
  readonly #recipients: readonly Recipient[];
  #connection: Pick<Connection, "abort"> | undefined;
  #isAbandoned = false;
  #asked: Asked | undefined;
  readonly #begun = Promise.withResolvers<void>();

  constructor(stream: number, fields: DeliverFields, send: (frame: Buffer) => void) {
    this.#stream = stream;
    this.#fields = fields;
    this.#send = send;
    this.#recipients = fields.numbers.map((number, place) => ({
      number,
      forwardPath: fields.forwardPaths[place] ?? "",
      place,
    }));
    this.body = new Body(fields.octets, deliveryWindowOctets, (octets) =>
      send(deliveryCredit.encode(stream, { octets })),
    );
  }

  /** What was asked for beyond the envelope. "broken" when that comes too late, or does not fit the recipients. */
  ask(fields: OptionFields): "broken" | undefined {
    const { notify, originalRecipients } = fields;
    const fits = notify.length === this.#recipients.length && originalRecipients.length === notify.length;
    if (!fits || this.#asked || this.#hasBegun) return "broken";
    this.#asked = askedOf(fields);
    this.begin();
    return undefined;
  }

  /** All that comes before the body is there. */
  begin(): void {
    this.#hasBegun = true;
    this.#begun.resolve();
  }

  /** Resolves when it is ended. Addresses that could not stand in a command fail: else queue could speak SMTP for us. */
  async run(means: Means): Promise<void> {
    if (!this.#hasBegun) await this.#begun.promise;
    if (this.#isAbandoned) return;
    const { reversePath, octets, bodyKind } = this.#fields;
    if (!canStand(reversePath)) return this.#end(this.#recipients, unfit("1.7", "The sender's address"));
    const fit = this.#recipients.filter(({ forwardPath }) => canStand(forwardPath));
    const unfitOnes = this.#recipients.filter(({ forwardPath }) => !canStand(forwardPath));
    this.#report(unfitOnes, unfit("1.3", "The address"));
    if (fit.length === 0) return this.#end([], stopped);
    const forwardPaths = fit.map(({ forwardPath }) => forwardPath);
    const asked = this.#asked && {
      ...this.#asked,
      notify: fit.map(({ place }) => this.#asked?.notify[place] ?? ""),
      originalRecipients: fit.map(({ place }) => this.#asked?.originalRecipients[place] ?? ""),
    };
    const bodyType = bodyTypes[bodyKind] ?? "7BIT";
    const verdict = await attempt(
      {
        transaction: { reversePath, forwardPaths, octets, bodyType, ...(asked && { asked }) },
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
    this.begin();
    if (this.#connection) this.#connection.abort(why);
    else this.#end(this.#recipients, stopped);
  }

  #end(recipients: readonly Recipient[], verdict: Verdict): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#report(recipients, verdict);
    this.#send(ended.encode(this.#stream, { reached: verdict.reached }));
  }

  #report(recipients: readonly Recipient[], { fates, peer }: Verdict): void {
    for (const [place, { number }] of recipients.entries()) {
      const fate: Fate | undefined = fates.length === 1 ? fates[0] : fates[place];
      if (!fate) continue;
      const { letter, status } = fate;
      if (this.#asked && letter === "K" && peer) {
        const [takesDsn, isFinal] = [peer.takesDsn ? 1 : 0, peer.isFinal ? 1 : 0];
        this.#send(relayed.encode(this.#stream, { peer: peer.name, takesDsn, isFinal }));
      }
      this.#send(report.encode(this.#stream, { number, letter, status, text: fate.text.slice(0, maxReportOctets) }));
    }
  }
}

const canStand = (address: string): boolean => address.length <= maxAddressOctets && isPrintable(address);

const unfit = (status: "1.3" | "1.7", what: string): Verdict => ({
  fates: [failed(status, `${what} has control characters or is too long. (#5.${status})\n`)],
  reached: 0,
});
