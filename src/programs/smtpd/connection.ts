import type { Socket } from "node:net";
import { createLines, type Lines } from "../../protocol/lines.ts";
import { accessFor } from "../../protocol/smtp/access.ts";
import { withoutSecret } from "../../protocol/smtp/auth.ts";
import { maxCommandOctets } from "../../protocol/smtp/command.ts";
import { newSession, type Rules, type Session } from "../../protocol/smtp/session.ts";
import type { Client } from "../../services/client-service/clients.ts";
import { LineConnection } from "../../services/line-connection/line-connection.ts";
import type { Phase, Speaker } from "../../services/line-connection/speaker.ts";
import type { TlsSession } from "../../services/tls/server.ts";
import { Commands } from "./commands.ts";
import type { ConnectionTerms, Conversation, Surroundings } from "./conversation.ts";
import type { Sender } from "./rates.ts";
import { Reception } from "./reception.ts";

const maxErrors = 20;
const maxLoggedOctets = 512;
const earlyTalker = "554 5.5.1 you spoke before the greeting";
const notBehindStartTls = "554 5.5.1 nothing may follow STARTTLS before its reply";

/** One SMTP client. Holds one chunk of input, one turn of replies and what `queue` has no room for; no more. */
export class Connection implements Client, Conversation, Speaker {
  readonly around: Surroundings;
  readonly terms: ConnectionTerms;
  rules: Rules;
  session: Session = newSession;
  messages = 0;
  readonly #line: LineConnection;
  readonly #onClose: () => void;
  readonly #reception: Reception;
  readonly #commands: Commands;
  #errors = 0;

  /** Takes over the socket and greets. `onClose` is called once, when it is gone. */
  constructor(socket: Socket, around: Surroundings, terms: ConnectionTerms, onClose: () => void) {
    this.around = around;
    this.terms = terms;
    this.#onClose = onClose;
    this.#line = new LineConnection(socket, createLines(maxCommandOctets, "CR LF"), around, terms, this);
    this.rules = this.#rulesWith(around.tls && !terms.startsWithTls ? "offered" : "none");
    this.#reception = new Reception(this);
    this.#commands = new Commands(this, this.#reception);
    this.#line.begin();
  }

  get lines(): Lines {
    return this.#line.lines;
  }

  get tls(): TlsSession | undefined {
    return this.#line.tls;
  }

  get isClosing(): boolean {
    return this.#line.isClosing;
  }

  get sender(): Sender {
    return { account: this.rules.access.account, address: this.terms.address };
  }

  /** What the client may do, as long as it has not shown who it is. */
  #rulesWith(tls: Rules["tls"]): Rules {
    const { rules, service, address, access } = this.terms;
    const way = { service, address, tls, hasExporter: this.tls?.hasExporter ?? false };
    return { ...rules, tls, access: accessFor(way, access) };
  }

  onOpen() {
    const { greetingSeconds } = this.terms;
    if (greetingSeconds === 0) return this.#greet();
    this.enter({ reads: "now", read: () => this.#refuseEarlyTalker(), onLate: () => this.#greet() }, greetingSeconds);
  }

  #refuseEarlyTalker(): boolean {
    if (this.lines.octets === 0) return false;
    this.logRefusal("", earlyTalker);
    this.close(earlyTalker, "spoke before the greeting");
    return true;
  }

  #greet(): void {
    this.obey();
    this.reply(`220 ${this.rules.greeting} ${this.rules.isLmtp ? "LMTP" : "ESMTP"}`);
    this.#line.flush();
  }

  /** Nothing of what was said before counts after it (RFC 3207 §4.2). */
  startTls() {
    const { tls } = this.around;
    if (this.#line.hasMore) {
      this.logRefusal("STARTTLS", notBehindStartTls);
      return this.close(notBehindStartTls, "more behind STARTTLS");
    }
    this.session = newSession;
    if (!tls) return this.refuse("STARTTLS", "454 4.7.0 TLS is not available at the moment");
    this.reply("220 2.0.0 go ahead");
    this.#line.startTls(tls);
  }

  onSecure(): void {
    this.rules = this.#rulesWith("on");
    this.obey();
  }

  onTurn(): void {
    if (this.#isIdle && this.around.isStopping) this.takeLeave();
  }

  onOver(): void {
    this.#reception.drop();
  }

  onGone(): void {
    this.#onClose();
  }

  /** Called each second. */
  tick(): void {
    this.#line.tick();
  }

  /** The server stops: between messages we take leave, within one we go on. */
  stop(): void {
    if (this.#isIdle && this.#line.isOpen) this.takeLeave();
  }

  takeLeave(): void {
    this.close("421 4.3.2 the server is being stopped", "stopped");
  }

  get #isIdle(): boolean {
    return this.#line.isIn(this.#commands) && this.session.at === "ready";
  }

  run(): void {
    this.#line.run();
  }

  enter(phase: Phase, seconds: number): void {
    this.#line.enter(phase, seconds);
  }

  expect(seconds: number): void {
    this.#line.expect(seconds);
  }

  obey(): void {
    this.enter(this.#commands, this.terms.timeoutSeconds);
  }

  goOn(command: string, reply: string): void {
    this.obey();
    this.answer(command, reply);
    this.run();
  }

  reply(reply: string): void {
    this.#line.reply(reply);
  }

  answer(command: string, reply: string): void {
    if (reply.startsWith("2")) this.reply(reply);
    else this.refuse(command, reply);
  }

  refuse(command: string, reply: string): void {
    this.reply(reply);
    this.logRefusal(command, reply);
    // Refused recipients do not count: honest lists have many.
    if ((reply.startsWith("50") || reply.startsWith("555")) && ++this.#errors >= maxErrors) {
      this.close("421 4.7.0 too many errors", "too many errors");
    }
  }

  logRefusal(command: string, reply: string): void {
    const { number: connection, address } = this.terms;
    const shown = withoutSecret(command).slice(0, maxLoggedOctets);
    this.around.log({ event: "refusal", connection, address, command: shown, reply });
  }

  countMessage(): void {
    this.messages++;
    this.#commands.countMessage();
  }

  timeOut(): void {
    this.#line.timeOut("421 4.4.2 timeout");
  }

  sayGoodbye(lastWord: string): void {
    this.#line.sayGoodbye(lastWord);
  }

  close(lastWord: string, why: string): void {
    this.#line.close(lastWord, why);
  }
}
