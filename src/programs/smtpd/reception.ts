import type { Failure, Outcome } from "../../protocol/outcome.ts";
import { type ChunkDecoder, createTextDecoder, takeBinary } from "../../protocol/smtp/chunk.ts";
import { asksUtf8, binaryMime } from "../../protocol/smtp/parameters.ts";
import { endOfData, type Step, type Transaction } from "../../protocol/smtp/session.ts";
import { type Phase, waiting } from "../../services/line-connection/speaker.ts";
import { Chunk, DataBody } from "./bodies.ts";
import type { Conversation } from "./conversation.ts";
import { cannotTellAuthors, createHeaderWork } from "./header-work.ts";
import { type HeaderWork, Intake, replyTo } from "./intake.ts";
import { traceOf } from "./trace.ts";

/** A restart of `queue` is to be invisible. */
const queueReturnSeconds = 5;
/** Clients wait 10 minutes for the reply to the final dot (RFC 5321 §4.5.3.2.6). */
const verdictSeconds = 540;
const queueAway = "the queue is not running, try again later";

/** The message that is under way on one connection, from DATA or its first BDAT to its verdict. */
export class Reception {
  readonly #talk: Conversation;
  #intake: Intake | undefined;
  #decodeChunk: ChunkDecoder | undefined;
  /** By when the message must be here. */
  #deadline = 0;
  #isFinished = false;

  constructor(talk: Conversation) {
    this.#talk = talk;
  }

  /** From MAIL on a message may take so long, however busy its client is. */
  startClock(): void {
    const { around, terms } = this.#talk;
    this.#deadline = around.seconds + terms.messageSeconds;
  }

  beginData(reply: string) {
    const { queue } = this.#talk.terms;
    if (!queue.isUp) {
      return this.#awaitQueue(
        () => this.beginData(reply),
        () => this.#endWithoutQueue(),
      );
    }
    this.#talk.reply(reply);
    this.read(new DataBody(this.#talk, this));
  }

  beginChunk({ next, reply }: Step, { octets, last }: { readonly octets: number; readonly last: boolean }): void {
    if (next.at === "chunk") {
      this.#decodeChunk ??= next.transaction.bodyKind === binaryMime ? takeBinary : createTextDecoder();
    }
    const decode = next.at === "chunk" ? this.#decodeChunk : undefined;
    this.read(new Chunk(this.#talk, this, { left: octets, last, reply, decode }));
  }

  /** Reads a body, in the time that is left for it. */
  read(body: Phase): void {
    this.#talk.enter(body, this.#secondsLeft);
  }

  /** Some of the body came. */
  expectMore(): void {
    this.#talk.expect(this.#secondsLeft);
  }

  get #secondsLeft(): number {
    const { around, terms } = this.#talk;
    return Math.min(terms.timeoutSeconds, this.#deadline - around.seconds);
  }

  /** Nothing more came of the body, or not fast enough. */
  endLate() {
    if (this.#talk.around.seconds < this.#deadline) return this.#talk.timeOut();
    this.#talk.close("421 4.4.2 the message takes too long", "slow message");
  }

  get isFull(): boolean {
    return this.#intake?.isFull ?? false;
  }

  /** Where the octets go that `body` reads. `undefined` while `queue` is away: `body` is entered again when it is back. */
  open(body: Phase): Intake | undefined {
    if (this.#intake) return this.#intake;
    if (this.#talk.terms.queue.isUp) {
      this.#intake = this.#newIntake();
      return this.#intake;
    }
    this.#awaitQueue(
      () => this.read(body),
      () => this.#talk.close(`421 4.3.0 ${queueAway}`, "queue away"),
    );
    return undefined;
  }

  #awaitQueue(goOn: () => void, giveUp: () => void): void {
    const forget = this.#talk.terms.queue.whenUp(() => {
      goOn();
      this.#talk.run();
    });
    this.#talk.enter(waiting(giveUp, forget), queueReturnSeconds);
  }

  /** Before 354 we can say so and go on; after it only an end of the connection stops the client from sending. */
  #endWithoutQueue(): void {
    this.#talk.session = endOfData(this.#talk.session);
    this.#talk.goOn("DATA", `451 4.3.0 ${queueAway}`);
  }

  /** The body has come to its end. */
  finish(intake: Intake, transaction: Transaction): void {
    this.#isFinished = true;
    const late = (): void => {
      if (intake.giveUpAsking(cannotTellAuthors)) return;
      this.#talk.close("451 4.3.0 the queue does not answer, try again later", "queue timeout");
    };
    this.#talk.enter(waiting(late), verdictSeconds);
    intake.finish({ ...transaction, uid: this.#talk.around.uid });
  }

  /** The rest of a message that failed in the middle would be chunks nobody wants. */
  fail(failure: Failure, transaction: Transaction): void {
    this.#conclude(failure, transaction, 1);
  }

  /** The client will not end it. Not once it was asked to be committed: it may be on disk, and the log is to say so. */
  drop(): void {
    if (this.#isFinished) return;
    this.#intake?.abandon();
    this.#forget();
  }

  #forget(): void {
    this.#intake = undefined;
    this.#decodeChunk = undefined;
    this.#isFinished = false;
  }

  #newIntake(): Intake {
    const { session, terms, rules } = this.#talk;
    const transaction = "transaction" in session ? session.transaction : undefined;
    const isBinary = transaction?.bodyKind === binaryMime;
    const recipients = transaction?.forwardPaths.length ?? 0;
    return new Intake(
      terms.queue,
      traceOf(this.#talk),
      {
        maxMessageOctets: rules.maxMessageOctets,
        maxHops: terms.maxHops,
        maxHeaderOctets: isBinary ? 0 : terms.maxHeaderOctets, // measured by LF line ends
        mayBeUtf8: transaction !== undefined && asksUtf8(transaction.options),
      },
      {
        onRoom: () => this.#talk.run(),
        onVerdict: (verdict) => transaction && this.#conclude(verdict, transaction, rules.isLmtp ? recipients : 1),
      },
      transaction && this.#headerWork(transaction),
    );
  }

  /** What the header of a message from an account needs. */
  #headerWork({ bodyKind, reversePath }: Transaction): HeaderWork | undefined {
    const { rules, terms, around } = this.#talk;
    const { account } = rules.access;
    if (account === undefined) return undefined;
    const lineEnd = bodyKind === binaryMime ? "\r\n" : "\n";
    const { directory } = around;
    const message = { account, reversePath, lineEnd, me: terms.me, directory, nowMs: around.nowMs() } as const;
    return createHeaderWork(terms.submission, message);
  }

  /**
   * Also when the client is gone: the log tells what became of the message. LMTP has a reply for each recipient (RFC 2033
   * §4.2). All are the same: the queue took the message for all of them or for none.
   */
  #conclude(verdict: Outcome<number>, { forwardPaths }: Transaction, replies: number): void {
    const talk = this.#talk;
    const { around, terms } = talk;
    const command = this.#decodeChunk ? "BDAT" : "DATA";
    this.#forget();
    talk.session = endOfData(talk.session);
    const reply = replyTo(verdict, around.nowMs());
    if (verdict.kind === "done") {
      const recipients = forwardPaths.length;
      talk.countMessage();
      around.rates.count(talk.sender, recipients);
      around.log({ event: "accepted", connection: terms.number, message: verdict.value, recipients });
    } else talk.logRefusal(command, reply);
    if (talk.isClosing) return;
    talk.obey();
    for (let n = 0; n < replies; n++) talk.reply(reply);
    talk.run();
  }
}
