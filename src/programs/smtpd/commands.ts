import { strayEnd, tooLong } from "../../protocol/lines.ts";
import { maxAuthLineOctets } from "../../protocol/smtp/auth.ts";
import { maxCommandOctets, parseCommand } from "../../protocol/smtp/command.ts";
import { endOfData, recipientTaken, type Step, step, takeBack } from "../../protocol/smtp/session.ts";
import type { Phase } from "../../services/line-connection/speaker.ts";
import { Authentication } from "./authentication.ts";
import type { Conversation } from "./conversation.ts";
import { Questions } from "./questions.ts";
import type { Reception } from "./reception.ts";
import { strayLine } from "./replies.ts";

/** Commands that bring no mail forward, since the last message. */
const maxIdleCommands = 1_000;
/** A smaller chunk counts as a command that brings no mail forward. */
const smallChunkOctets = 1_024;

/** Reads the commands of one client, and has each done by the part of the connection whose matter it is. */
export class Commands implements Phase {
  readonly reads = "now";
  readonly #talk: Conversation;
  readonly #reception: Reception;
  readonly #questions: Questions;
  #authentication: Authentication | undefined;
  #idle = 0;

  constructor(talk: Conversation, reception: Reception) {
    this.#talk = talk;
    this.#reception = reception;
    this.#questions = new Questions(talk);
  }

  /** A message was taken: the count of commands that bring none starts again. */
  countMessage(): void {
    this.#idle = 0;
  }

  read(): boolean {
    const { lines, terms } = this.#talk;
    const isAuth = lines.octets >= maxCommandOctets && /^auth /i.test(lines.peek(5));
    const line = lines.take(isAuth ? maxAuthLineOctets : maxCommandOctets);
    if (line === undefined) return false;
    this.#talk.expect(terms.timeoutSeconds);
    if (line === tooLong) this.#talk.refuse("", "500 5.5.2 line too long");
    else if (line === strayEnd) this.#talk.close(strayLine, "stray line end");
    else this.#obey(line);
    return true;
  }

  onLate(): void {
    this.#talk.timeOut();
  }

  #obey(line: string) {
    const talk = this.#talk;
    const stepped = step(talk.session, parseCommand(line), talk.rules, talk.around.nowMs());
    const { next, reply, chunk } = stepped;
    talk.session = next;
    switch (next.at) {
      case "data":
        return this.#reception.beginData(reply);
      case "starttls":
        return talk.startTls();
      case "auth":
        this.#authentication ??= new Authentication(talk);
        return this.#authentication.begin(next.auth);
      case "quit":
        return talk.sayGoodbye(reply);
      case "lost":
        talk.logRefusal(line, reply);
        return talk.close(reply, "nonsense for BDAT");
      case "ready":
      case "mail":
        this.#reception.drop(); // the client went on without ending it
        break;
      default: // within a message that comes in chunks
    }
    const bringsMail = chunk ? chunk.octets >= smallChunkOctets : reply === recipientTaken; // which maxRecipients bounds
    if (!bringsMail && ++this.#idle > maxIdleCommands) {
      return talk.close("421 4.7.0 too many commands without a message", "too many commands");
    }
    if (chunk) return this.#reception.beginChunk(stepped, chunk);
    this.#answer(line, stepped);
  }

  #answer(line: string, stepped: Step) {
    const talk = this.#talk;
    const { reply, recipient, sender } = stepped;
    const isVrfy = recipient !== undefined && reply !== recipientTaken;
    const excess = isVrfy ? "" : this.#excessOf(stepped);
    if (excess !== "") return talk.refuse(line, excess);
    if (recipient !== undefined && talk.around.recipients.isInDoubt(recipient)) {
      return this.#questions.askRecipient(line, recipient, reply);
    }
    if (stepped.isRelaying && this.#questions.mayAskRelay) {
      return this.#questions.askRelay(line, reply, () => this.#obey(line));
    }
    if (sender !== undefined) return this.#questions.askSender(line, sender, reply);
    talk.answer(line, reply);
  }

  /** The reply to MAIL or RCPT, which is undone, when there were too many within an hour; else "". */
  #excessOf({ next, recipient }: Step): string {
    if (next.at !== "mail") return "";
    const { rules, sender, around } = this.#talk;
    const recipients = next.transaction.forwardPaths.length;
    if (recipients === 0) this.#reception.startClock();
    if (rules.mayRelay && sender.account === undefined) return "";
    if (recipient !== undefined && around.rates.hasTooMany(sender, recipients)) {
      takeBack(next);
      return "452 4.7.1 too many recipients within an hour, try again later";
    }
    if (recipients > 0 || !around.rates.hasSentEnough(sender)) return "";
    this.#talk.session = endOfData(next);
    return "452 4.7.1 too many messages within an hour, try again later";
  }
}
