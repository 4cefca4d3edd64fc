import { parseCommand } from "../../protocol/smtp/command.ts";
import { endOfData, recipientOf, recipientTaken, takeBack } from "../../protocol/smtp/session.ts";
import { cannotTell } from "../../protocol/wire/directory.ts";
import type { Forget } from "../../services/channel/streams.ts";
import { waiting } from "../../services/line-connection/speaker.ts";
import type { Conversation } from "./conversation.ts";
import { replyFor, tooManyUnknown, unknownRecipient } from "./recipients.ts";

/** `directory` may be on its way back, and ask others in its turn. */
const questionSeconds = 20;
/** So many unknown recipients may be typing errors. */
const errorsForgiven = 3;
/** Recipients that are asked about before their turn. */
const mostForeseen = 50;
const notYours = "553 5.7.1 you may not send as that address";
const cannotTellRelay = "451 4.3.0 cannot tell whether you may send there, try again later";
const cannotTellSender = "451 4.3.0 cannot tell whether that address is yours, try again later";

/** What is asked about the addresses that one client names, and what becomes of a client that guesses. */
export class Questions {
  readonly #talk: Conversation;
  #unknownRecipients = 0;
  /** How many in a row were there: who guesses is not helped along. */
  #knownInARow = 0;
  #hasAskedRelay = false;

  constructor(talk: Conversation) {
    this.#talk = talk;
  }

  /** Is there a mailbox? `taken` is the reply if so, to RCPT or to VRFY. */
  askRecipient(command: string, address: string, taken: string) {
    const { rules, around, terms } = this.#talk;
    if (!rules.mayRelay && around.recipients.isGuessing(terms.address)) return this.#stopGuessing(command);
    this.#ask(
      (answer) => around.recipients.ask(address, answer, () => this.#foreseen()),
      (value) => this.#answerRecipient(command, replyFor(value), taken),
    );
  }

  /** Whom a client that pipelines names next. */
  #foreseen(): readonly string[] {
    const { lines, rules } = this.#talk;
    const commands = lines.ahead(Math.min(this.#knownInARow, mostForeseen)).map(parseCommand);
    return commands.flatMap((command) => (command.verb === "RCPT" ? recipientOf(command, rules) : []));
  }

  /** May the account send as this reverse-path? `taken` is the reply if so. */
  askSender(command: string, reversePath: string, taken: string): void {
    const { around, rules } = this.#talk;
    const { account = "" } = rules.access;
    this.#ask(
      (answer) => around.directory.askSender(account, reversePath, answer),
      (value) => {
        if (value === 1) return this.#talk.goOn(command, taken);
        this.#talk.session = endOfData(this.#talk.session);
        this.#talk.goOn(command, value === 2 ? notYours : cannotTellSender);
      },
    );
  }

  /** Once a connection: what it is refused may be allowed after all. */
  get mayAskRelay(): boolean {
    return this.#talk.terms.relaysForReaders && !this.#hasAskedRelay;
  }

  /**
   * Has somebody read mail from the client's address? Then every domain is accepted from it, and `again` does the
   * command once more; all limits for strangers stay. `refused` is the reply if not.
   */
  askRelay(command: string, refused: string, again: () => void): void {
    this.#hasAskedRelay = true;
    const talk = this.#talk;
    const { address, number } = talk.terms;
    this.#ask(
      (answer) => talk.around.directory.askRelay(address, answer),
      (value) => {
        if (value !== 1) return talk.goOn(command, value === 2 ? refused : cannotTellRelay);
        talk.around.log({ event: "relaying", connection: number, address, why: "POP before SMTP" });
        talk.rules = { ...talk.rules, accepts: () => true };
        talk.obey();
        again();
        talk.run();
      },
    );
  }

  /** Nothing is read until the answer comes. */
  #ask(put: (answer: (value: number) => void) => Forget, take: (value: number) => void): void {
    let isAnswered = false;
    const forget = put((value) => {
      isAnswered = true;
      take(value);
    });
    if (!isAnswered)
      this.#talk.enter(
        waiting(() => take(cannotTell), forget),
        questionSeconds,
      );
  }

  /** `reply` is "" when the recipient may come. */
  #answerRecipient(command: string, reply: string, taken: string) {
    const { rules, around, terms } = this.#talk;
    this.#knownInARow = reply === "" ? this.#knownInARow + 1 : 0;
    if (reply === "") return this.#talk.goOn(command, taken);
    if (taken === recipientTaken) takeBack(this.#talk.session); // VRFY had none taken
    if (reply !== unknownRecipient || rules.mayRelay) return this.#talk.goOn(command, reply);
    around.recipients.countUnknown(terms.address);
    const isLast = ++this.#unknownRecipients === terms.maxUnknownRecipients;
    if (isLast || around.recipients.isGuessing(terms.address)) return this.#stopGuessing(command);
    const { tarpitSeconds } = terms;
    if (tarpitSeconds === 0 || this.#unknownRecipients <= errorsForgiven) return this.#talk.goOn(command, reply);
    this.#talk.enter(
      waiting(() => this.#talk.goOn(command, reply)),
      tarpitSeconds,
    );
  }

  #stopGuessing(command: string): void {
    this.#talk.logRefusal(command, tooManyUnknown);
    this.#talk.close(tooManyUnknown, "too many unknown recipients");
  }
}
