import type { Socket } from "node:net";
import type { Event } from "../../protocol/event/event.ts";
import { enhancedCode, type Failure, type Outcome, permanent } from "../../protocol/outcome.ts";
import { type AccessSettings, accessFor } from "../../protocol/smtp/access.ts";
import { type Auth, maxAuthLineOctets, parseResponse, withoutSecret } from "../../protocol/smtp/auth.ts";
import { type ChunkDecoder, createTextDecoder, takeBinary } from "../../protocol/smtp/chunk.ts";
import { maxCommandOctets, parseCommand } from "../../protocol/smtp/command.ts";
import { createDataDecoder, type DataFault } from "../../protocol/smtp/data.ts";
import { asksUtf8, binaryMime } from "../../protocol/smtp/parameters.ts";
import {
  endOfChunk,
  endOfData,
  newSession,
  type Rules,
  recipientTaken,
  type Session,
  type Step,
  step,
  type Transaction,
  takeBack,
} from "../../protocol/smtp/session.ts";
import { receivedLine, type Trace } from "../../protocol/smtp/trace.ts";
import type { LoginEnd } from "../../protocol/wire/directory.ts";
import { cannotTell } from "../../protocol/wire/directory.ts";
import type { DirectoryClient, Login } from "../../services/directory-client/directory-client.ts";
import type { WayIn } from "../../services/submission/queue-link.ts";
import type { Contexts } from "../../services/tls/contexts.ts";
import { secureServer, type TlsSession } from "../../services/tls/server.ts";
import { cannotTellAuthors, createHeaderWork, type SubmissionTerms } from "./header-work.ts";
import { type HeaderWork, Intake, printable, replyTo } from "./intake.ts";
import type { Rates, Sender } from "./rates.ts";
import { type Recipients, replyFor, unknownRecipient } from "./recipients.ts";

/** What all connections share. */
export interface Surroundings {
  /** Ours: mail from the network is logged as from this user. */
  readonly uid: number;
  /** Seconds since the start, counted by a timer; never goes back. */
  readonly seconds: number;
  readonly isStopping: boolean;
  /** The certificates as they are now; `undefined` without any. */
  readonly tls: Contexts | undefined;
  readonly recipients: Recipients;
  readonly rates: Rates;
  readonly directory: DirectoryClient;
  /** Told of all octets read. */
  readonly reclaim: (octets: number) => void;
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number;
  log(event: Event): void;
}

/** Fixed while the connection lasts. */
export interface ConnectionTerms {
  readonly number: number;
  readonly address: string;
  readonly rules: Rules;
  /** Which listener it came by. */
  readonly service: string;
  readonly access: AccessSettings;
  /** TLS comes first, before the greeting (RFC 8314 §3). */
  readonly startsWithTls: boolean;
  /** To `queue`, or first to the program that is to see this client's messages. */
  readonly queue: WayIn;
  /** This server's name, for the Received line. */
  readonly me: string;
  /** What is done with mail of those who logged in. */
  readonly submission: SubmissionTerms;
  readonly maxHops: number;
  readonly maxHeaderOctets: number;
  /** Who speaks within that time is no mail server (RFC 5321 §4.3.1); 0 greets at once. */
  readonly greetingSeconds: number;
  /** Longest time from MAIL to the end of the message, however busy its client is. */
  readonly messageSeconds: number;
  /** Recipients without a mailbox it may ask for; 0 for any number. */
  readonly maxUnknownRecipients: number;
  /** Before the answer to each of those, from the fourth on. */
  readonly tarpitSeconds: number;
  /** Longest silence of the client; a command must be whole within it (RFC 5321 §4.5.3.2.7). */
  readonly timeoutSeconds: number;
}

const maxErrors = 20;
/** Commands that bring no mail forward, since the last message. */
const maxIdleCommands = 1_000;
/** A restart of `queue` is to be invisible. */
const queueReturnSeconds = 5;
/** Clients wait 10 minutes for the reply to the final dot (RFC 5321 §4.5.3.2.6). */
const verdictSeconds = 540;
/** For the client to read our last reply and close. */
const lingerSeconds = 5;
/** `directory` may be on its way back, and ask others in its turn. */
const questionSeconds = 20;
/** It holds back its answer to who guesses. */
const loginSeconds = 120;
const maxFailedLogins = 3;
/** So many unknown recipients may be typing errors. */
const errorsForgiven = 3;
/** For a client to show that it speaks TLS. */
const handshakeSeconds = 30;
const maxLoggedOctets = 512;
/** A smaller chunk counts as a command that brings no mail forward. */
const smallChunkOctets = 1_024;

const LF = 10;
const CR = 13;
const nothing = Buffer.alloc(0);
export const tooManyUnknown = "421 4.7.1 too many recipients that are not here, try again later";
const earlyTalker = "554 5.5.1 you spoke before the greeting";
const notYours = "553 5.7.1 you may not send as that address";
const cannotLogIn = "nobody can look up passwords at the moment, try again later";
const notBehindStartTls = "554 5.5.1 nothing may follow STARTTLS before its reply";
const wrongLineEnd = permanent("6.11", "lines end in CR LF and in nothing else");
const strayLineEnd = `550 5.6.11 ${wrongLineEnd.text}`;
const faults: Readonly<Record<DataFault, Failure>> = {
  "bare CR": wrongLineEnd,
  "bare LF": wrongLineEnd,
  NUL: permanent("6.0", "NUL in the message"),
};

/**
 * What we are doing. "greeting" lets the client wait for it; "handshake" leaves the client to TLS; "command", "body" and "chunk" read the client; "queue" waits
 * for `queue` to come back, "verdict" for its answer; "question" and "login" wait for `directory`, the latter for the client
 * in its turn, "tarpit" keeps a client from
 * asking again at once; "closing" has said its last and drops what comes.
 */
type Phase =
  | { readonly at: "command" | "verdict" | "closing" | "handshake" | "greeting" }
  | { readonly at: "body"; readonly decode: ReturnType<typeof createDataDecoder> }
  /** `left` octets of it are still to be read. Without `decode` it belongs to no message. */
  | {
      readonly at: "chunk";
      readonly left: number;
      readonly last: boolean;
      readonly reply: string;
      readonly decode: ChunkDecoder | undefined;
    }
  /** `unanswered` is what to do when nothing comes. */
  | { readonly at: "question"; readonly forget: () => void; readonly unanswered: () => void }
  /** `end` has come, and what it adds for the client was said: an empty response is all that is missing. */
  | {
      readonly at: "login";
      readonly mechanism: string;
      readonly login: Login | undefined;
      readonly waitsFor: "directory" | "client";
      readonly end: LoginEnd | undefined;
    }
  | { readonly at: "tarpit"; readonly line: string; readonly reply: string }
  /** `then` is the body that was announced before `queue` went, or "354" when that is still to be said. */
  | { readonly at: "queue"; readonly then: Phase | "354"; readonly forget: () => void };

const command: Phase = { at: "command" };
const verdict: Phase = { at: "verdict" };
const handshake: Phase = { at: "handshake" };
const greeting: Phase = { at: "greeting" };
const closing: Phase = { at: "closing" };

type LoginPhase = Phase & { readonly at: "login" };
type ChunkPhase = Phase & { readonly at: "chunk" };

/** One SMTP client. Holds one chunk of input, one turn of replies and what `queue` has no room for; no more. */
export class Connection {
  #socket: Socket;
  readonly #around: Surroundings;
  readonly #terms: ConnectionTerms;
  #rules: Rules;
  #tls: TlsSession | undefined;
  #session: Session = newSession;
  #phase: Phase = command;
  #intake: Intake | undefined;
  /** Of the message that comes in chunks. */
  #decodeChunk: ChunkDecoder | undefined;
  #input: Buffer = nothing;
  #replies = "";
  #deadline: number;
  #errors = 0;
  #idleCommands = 0;
  #unknownRecipients = 0;
  #failedLogins = 0;
  /** By when the message under way must be here. */
  #messageDeadline = 0;
  #messages = 0;
  #why = "client closed";
  #skippingLine = false;
  #inputEnded = false;
  #running = false;
  readonly #onClose: (connection: Connection) => void;
  #replyUnread = false;
  #paused = false;

  /** Takes over the socket and greets. `onClose` is called once, when it is gone. */
  constructor(socket: Socket, around: Surroundings, terms: ConnectionTerms, onClose: (connection: Connection) => void) {
    this.#socket = socket;
    this.#around = around;
    this.#terms = terms;
    this.#onClose = onClose;
    this.#deadline = around.seconds + terms.timeoutSeconds;
    const { tls } = around;
    this.#rules = this.#rulesWith(tls && !terms.startsWithTls ? "offered" : "none");
    if (tls && terms.startsWithTls) {
      socket.on("error", this.#onError);
      this.#shakeHands(tls);
    } else {
      socket.on("close", this.#onGone);
      this.#listen();
      this.#greet();
    }
  }

  /** What the client may do, as long as it has not shown who it is. */
  #rulesWith(tls: Rules["tls"]): Rules {
    const { rules, service, address, access } = this.#terms;
    const way = { service, address, tls, hasExporter: this.#tls?.exporter !== undefined };
    return { ...rules, tls, access: accessFor(way, access) };
  }

  #greet(): void {
    const { greetingSeconds } = this.#terms;
    if (greetingSeconds > 0 && this.#phase !== greeting) {
      this.#phase = greeting;
      this.#deadline = this.#around.seconds + greetingSeconds;
      return;
    }
    this.#phase = command;
    this.#deadline = this.#around.seconds + this.#terms.timeoutSeconds;
    this.#reply(`220 ${this.#rules.greeting} ${this.#rules.isLmtp ? "LMTP" : "ESMTP"}`);
    this.#flush();
  }

  #listen(): void {
    this.#socket.on("data", this.#onData);
    this.#socket.on("end", this.#onEnd);
    this.#socket.on("drain", this.#onDrain);
    this.#socket.on("error", this.#onError);
  }

  readonly #onData = (chunk: Buffer): void => this.#read(chunk);
  readonly #onEnd = (): void => this.#endInput();
  readonly #onDrain = (): void => {
    this.#replyUnread = false;
    this.#run();
  };
  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#why = error.code ?? error.message;
  };
  readonly #onGone = (): void => {
    this.#phase = this.#leave(closing);
    this.#onClose(this);
    const { number } = this.#terms;
    this.#around.log({ event: "disconnection", connection: number, why: this.#why, messages: this.#messages });
  };

  /** Nothing of what was said before counts after it (RFC 3207 §4.2). */
  #startTls() {
    const { tls } = this.#around;
    if (this.#input.length > 0 || this.#socket.readableLength > 0) {
      this.#logRefusal("STARTTLS", notBehindStartTls);
      return this.#close(notBehindStartTls, "more behind STARTTLS");
    }
    this.#session = newSession;
    if (!tls) return this.#refuse("STARTTLS", "454 4.7.0 TLS is not available at the moment");
    this.#reply("220 2.0.0 go ahead");
    this.#flush();
    this.#socket.removeListener("data", this.#onData);
    this.#socket.removeListener("end", this.#onEnd);
    this.#socket.removeListener("drain", this.#onDrain);
    this.#socket.removeListener("close", this.#onGone);
    this.#shakeHands(tls);
  }

  /** From here on the socket is TLS's; it comes back as another. */
  #shakeHands(tls: Contexts): void {
    this.#phase = handshake;
    this.#deadline = this.#around.seconds + handshakeSeconds;
    const { number: connection, address, startsWithTls } = this.#terms;
    this.#socket = secureServer(this.#socket, tls, {
      onSecure: (session) => {
        this.#tls = session;
        const { protocol, cipher } = session;
        this.#around.log({ event: "tls", connection, protocol, cipher });
        this.#rules = this.#rulesWith("on");
        this.#phase = command;
        this.#deadline = this.#around.seconds + this.#terms.timeoutSeconds;
        this.#listen();
        if (startsWithTls) this.#greet();
      },
      onFailure: (why) => {
        this.#around.log({ event: "tls failure", connection, address, why });
        this.#why = "TLS failed";
      },
    });
    this.#socket.on("close", this.#onGone);
  }

  /** Called each second. */
  tick() {
    const readsMessage = this.#phase.at === "body" || this.#phase.at === "chunk";
    if (readsMessage && this.#around.seconds >= this.#messageDeadline) {
      return this.#close("421 4.4.2 the message takes too long", "slow message");
    }
    if (this.#around.seconds < this.#deadline) return;
    switch (this.#phase.at) {
      case "command":
      case "body":
      case "chunk":
        if (this.#replyUnread) return this.destroy("timeout");
        return this.#close("421 4.4.2 timeout", "timeout");
      case "handshake":
        return this.destroy("TLS timeout");
      case "greeting":
        return this.#greet();
      case "queue":
        return this.#queueStaysAway(this.#phase.then);
      case "question":
        return this.#phase.unanswered();
      case "login":
        if (this.#phase.waitsFor === "client") return this.#close("421 4.4.2 timeout", "timeout");
        return this.#endLogin(this.#phase, `454 4.7.0 ${cannotLogIn}`);
      case "tarpit":
        return this.#goOn(this.#phase.line, this.#phase.reply);
      case "verdict":
        if (this.#intake?.giveUpAsking(cannotTellAuthors)) return;
        return this.#close("451 4.3.0 the queue does not answer, try again later", "queue timeout");
      case "closing":
        return this.destroy(this.#why);
      default:
        this.#phase satisfies never;
    }
  }

  /** The server stops: between messages we take leave, within one we go on. */
  stop(): void {
    if (this.#phase.at === "command" && this.#session.at === "ready") this.takeLeave();
  }

  takeLeave(): void {
    if (this.#phase.at === "handshake") this.destroy("stopped");
    else if (this.#phase.at !== "closing") this.#close("421 4.3.2 the server is being stopped", "stopped");
  }

  destroy(why: string): void {
    this.#why = why;
    this.#socket.destroy();
  }

  #read(chunk: Buffer) {
    this.#around.reclaim(chunk.length);
    if (this.#phase.at === "closing") return;
    if (this.#phase.at === "greeting") {
      this.#logRefusal("", earlyTalker);
      return this.#close(earlyTalker, "spoke before the greeting");
    }
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    if (this.#canRead()) this.#run();
    else this.#pause();
  }

  #canRead(): boolean {
    if (this.#replyUnread) return false;
    const { at } = this.#phase;
    if (at === "login") return this.#phase.waitsFor === "client";
    return at === "command" || ((at === "body" || at === "chunk") && !this.#intake?.isFull);
  }

  #hasWork(): boolean {
    return this.#input.length > 0 || (this.#phase.at === "chunk" && this.#phase.left === 0);
  }

  /** Works on what came, as far as it can; then sends the replies of this turn together. */
  #run() {
    if (this.#running) return;
    this.#running = true;
    let advanced = true;
    while (advanced && this.#hasWork() && this.#canRead()) {
      if (this.#phase.at === "login") advanced = this.#readResponse(this.#phase);
      else if (this.#phase.at === "body") advanced = this.#readBody(this.#phase.decode);
      else advanced = this.#phase.at === "chunk" ? this.#readChunk(this.#phase) : this.#readCommand();
    }
    this.#running = false;
    const idle = this.#phase.at === "command" && this.#session.at === "ready";
    if (idle && this.#around.isStopping) return this.takeLeave();
    this.#flush();
    if (!this.#canRead()) {
      // A verdict comes soon and mostly nothing comes before it: not worth two system calls.
      if (this.#phase.at === "body" || this.#phase.at === "chunk" || this.#replyUnread) this.#pause();
      return;
    }
    if (this.#inputEnded) return this.#close("", this.#why);
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  #endInput(): void {
    this.#inputEnded = true;
    if (this.#canRead()) this.#close("", this.#why);
  }

  /** False when there is no whole line yet. */
  #readCommand(): boolean {
    const isAuth = this.#input.length > maxCommandOctets && /^auth /i.test(this.#input.toString("latin1", 0, 5));
    const line = this.#takeLine(isAuth ? maxAuthLineOctets : maxCommandOctets);
    if (line === "none") return false;
    if (line === "long") this.#refuse("", "500 5.5.2 line too long");
    else if (line !== "stray") this.#obey(line.text);
    return true;
  }

  /** The next line without its end. After "stray" the connection is closing. */
  #takeLine(maxOctets: number): { readonly text: string } | "none" | "long" | "stray" {
    const input = this.#input;
    const lineFeed = input.indexOf(LF);
    if (lineFeed < 0) {
      if (input.length <= maxOctets) return "none";
      this.#skippingLine = true;
      this.#input = nothing;
      return "none";
    }
    this.#input = lineFeed + 1 < input.length ? input.subarray(lineFeed + 1) : nothing;
    this.#deadline = this.#around.seconds + this.#terms.timeoutSeconds;
    if (this.#skippingLine || lineFeed >= maxOctets) {
      this.#skippingLine = false;
      return "long";
    }
    if (lineFeed > 0 && input.indexOf(CR) === lineFeed - 1) return { text: input.toString("latin1", 0, lineFeed - 1) };
    this.#close(strayLineEnd, "stray line end");
    return "stray";
  }

  #beginLogin({ mechanism, initial }: Auth): void {
    this.#session = endOfData(this.#session);
    const { address } = this.#terms;
    const exporter = this.#tls?.exporter;
    const begin: LoginPhase = { at: "login", mechanism, login: undefined, waitsFor: "directory", end: undefined };
    this.#phase = begin;
    this.#deadline = this.#around.seconds + loginSeconds;
    const login = this.#around.directory.login(
      { service: "smtp", mechanism, address, initial, exporter },
      {
        onChallenge: (octets) => this.#challenge({ ...begin, login, waitsFor: "client" }, octets),
        onEnd: (end) => this.#takeLoginEnd(mechanism, end),
      },
    );
    if (this.#phase === begin) this.#phase = { ...begin, login };
  }

  #challenge(phase: LoginPhase, octets: Buffer): void {
    this.#phase = phase;
    this.#deadline = this.#around.seconds + this.#terms.timeoutSeconds;
    this.#reply(`334 ${octets.toString("base64")}`);
    this.#run();
  }

  /** False when there is no whole line yet. */
  #readResponse(phase: LoginPhase): boolean {
    const line = this.#takeLine(maxAuthLineOctets);
    if (line === "none" || line === "stray") return line === "stray";
    const response = line === "long" ? { reply: "500 5.5.6 line too long" } : parseResponse(line.text);
    if ("reply" in response) this.#endLogin(phase, response.reply);
    else if (phase.end) {
      if (response.octets.length === 0) this.#admit(phase.mechanism, phase.end.account);
      else this.#endLogin(phase, "501 5.5.2 an empty response is expected");
    } else {
      this.#phase = { ...phase, waitsFor: "directory" };
      this.#deadline = this.#around.seconds + loginSeconds;
      phase.login?.respond(response.octets);
    }
    return true;
  }

  #takeLoginEnd(mechanism: string, end: LoginEnd) {
    const over: LoginPhase = { at: "login", mechanism, login: undefined, waitsFor: "client", end };
    switch (end.letter) {
      case "K":
        // What success brings with it goes as a challenge, which has an empty answer (RFC 4954 §4).
        return end.additional.length > 0 ? this.#challenge(over, end.additional) : this.#admit(mechanism, end.account);
      case "D":
        return this.#endLogin(over, `535 5.7.8 ${printable(end.text)}`);
      case "Z":
        return this.#endLogin(over, `454 4.7.0 ${printable(end.text)}`);
      default:
        return end.letter satisfies never;
    }
  }

  #admit(mechanism: string, account: string): void {
    const { number: connection } = this.#terms;
    this.#around.log({ event: "authenticated", connection, account, mechanism });
    this.#rules = { ...this.#rules, mayRelay: true, access: { ...this.#rules.access, mechanisms: [], account } };
    this.#phase = command;
    this.#goOn("", "235 2.7.0 welcome");
  }

  /** The client is not who it said, or did not say it. */
  #endLogin({ mechanism }: LoginPhase, reply: string) {
    if (reply.startsWith("535") && ++this.#failedLogins >= maxFailedLogins) {
      this.#logRefusal(`AUTH ${mechanism}`, reply);
      this.#reply(reply);
      return this.#close("421 4.7.0 too many failed logins", "too many failed logins");
    }
    this.#goOn(`AUTH ${mechanism}`, reply);
  }

  #obey(line: string) {
    const stepped = step(this.#session, parseCommand(line), this.#rules, this.#around.nowMs());
    const { next, reply, chunk } = stepped;
    this.#session = next;
    if (next.at === "data") return this.#beginData(reply);
    if (next.at === "starttls") return this.#startTls();
    if (next.at === "auth") return this.#beginLogin(next.auth);
    if (next.at === "quit") return this.#close(reply, "quit");
    if (next.at === "lost") {
      this.#logRefusal(line, reply);
      return this.#close(reply, "nonsense for BDAT");
    }
    if (this.#intake && next.at !== "chunk" && next.at !== "chunks") this.#dropMessage();
    const bringsMail = chunk ? chunk.octets >= smallChunkOctets : reply === recipientTaken; // which maxRecipients bounds
    if (!bringsMail && ++this.#idleCommands > maxIdleCommands) {
      return this.#close("421 4.7.0 too many commands without a message", "too many commands");
    }
    if (chunk) return this.#beginChunk(stepped, chunk);
    const isVrfy = stepped.recipient !== undefined && reply !== recipientTaken;
    const excess = isVrfy ? "" : this.#excessOf(stepped);
    if (excess !== "") return this.#refuse(line, excess);
    if (stepped.recipient !== undefined && this.#around.recipients.isInDoubt(stepped.recipient)) {
      return this.#askRecipient(line, stepped.recipient, reply);
    }
    if (stepped.sender !== undefined) return this.#askSender(line, stepped.sender, reply);
    if (reply.startsWith("2")) this.#reply(reply);
    else this.#refuse(line, reply);
  }

  get #sender(): Sender {
    return { account: this.#rules.access.account, address: this.#terms.address };
  }

  /** The reply to MAIL or RCPT, which is undone, when there were too many within an hour; else "". */
  #excessOf({ next, recipient }: Step): string {
    if (next.at !== "mail") return "";
    const recipients = next.transaction.forwardPaths.length;
    if (recipients === 0) this.#messageDeadline = this.#around.seconds + this.#terms.messageSeconds;
    if (this.#rules.mayRelay && this.#sender.account === undefined) return "";
    if (recipient !== undefined && this.#around.rates.hasTooMany(this.#sender, recipients)) {
      takeBack(next);
      return "452 4.7.1 too many recipients within an hour, try again later";
    }
    if (recipients > 0 || !this.#around.rates.hasSentEnough(this.#sender)) return "";
    this.#session = endOfData(next);
    return "452 4.7.1 too many messages within an hour, try again later";
  }

  #askRecipient(line: string, address: string, taken: string) {
    if (!this.#rules.mayRelay && this.#around.recipients.isGuessing(this.#terms.address))
      return this.#stopGuessing(line);
    let answered = false;
    const forget = this.#around.recipients.ask(address, (answer) => {
      answered = true;
      this.#answerRecipient(line, replyFor(answer), taken);
    });
    if (answered) return;
    this.#await(forget, () => this.#answerRecipient(line, replyFor(cannotTell), taken));
  }

  /** Nothing is read until the answer comes. */
  #await(forget: () => void, unanswered: () => void): void {
    this.#phase = { at: "question", forget, unanswered };
    this.#deadline = this.#around.seconds + questionSeconds;
  }

  /** May the account send as this reverse-path? `taken` is the reply if so. */
  #askSender(line: string, reversePath: string, taken: string): void {
    const { account = "" } = this.#rules.access;
    let answered = false;
    const answer = (value: number) => {
      answered = true;
      if (value === 1) return this.#goOn(line, taken);
      this.#session = endOfData(this.#session);
      this.#goOn(line, value === 2 ? notYours : "451 4.3.0 cannot tell whether that address is yours, try again later");
    };
    const forget = this.#around.directory.askSender(account, reversePath, answer);
    if (!answered) this.#await(forget, () => answer(cannotTell));
  }

  /** `reply` is "" when the recipient may come. */
  #answerRecipient(line: string, reply: string, taken: string) {
    if (reply === "") return this.#goOn(line, taken);
    if (taken === recipientTaken) takeBack(this.#session); // VRFY had none taken
    if (reply !== unknownRecipient || this.#rules.mayRelay) return this.#goOn(line, reply);
    this.#around.recipients.countUnknown(this.#terms.address);
    const { maxUnknownRecipients, tarpitSeconds } = this.#terms;
    const isLast = ++this.#unknownRecipients === maxUnknownRecipients;
    if (isLast || this.#around.recipients.isGuessing(this.#terms.address)) return this.#stopGuessing(line);
    if (tarpitSeconds === 0 || this.#unknownRecipients <= errorsForgiven) return this.#goOn(line, reply);
    this.#phase = this.#leave({ at: "tarpit", line, reply });
    this.#deadline = this.#around.seconds + tarpitSeconds;
  }

  #stopGuessing(line: string): void {
    this.#logRefusal(line, tooManyUnknown);
    this.#close(tooManyUnknown, "too many unknown recipients");
  }

  /** Says what was held back, and goes on with what the client said meanwhile. */
  #goOn(line: string, reply: string): void {
    this.#phase = this.#leave(command);
    this.#deadline = this.#around.seconds + this.#terms.timeoutSeconds;
    if (reply.startsWith("2")) this.#reply(reply);
    else this.#refuse(line, reply);
    this.#run();
  }

  #refuse(line: string, reply: string): void {
    this.#reply(reply);
    this.#logRefusal(line, reply);
    // Refused recipients do not count: honest lists have many.
    if ((reply.startsWith("50") || reply.startsWith("555")) && ++this.#errors >= maxErrors) {
      this.#close("421 4.7.0 too many errors", "too many errors");
    }
  }

  #beginData(reply: string) {
    if (!this.#terms.queue.isUp) return this.#awaitQueue("354");
    this.#reply(reply);
    this.#phase = { at: "body", decode: createDataDecoder() };
  }

  #beginChunk({ next, reply }: Step, { octets, last }: { readonly octets: number; readonly last: boolean }): void {
    if (next.at === "chunk") {
      this.#decodeChunk ??= next.transaction.bodyKind === binaryMime ? takeBinary : createTextDecoder();
    }
    const decode = next.at === "chunk" ? this.#decodeChunk : undefined;
    this.#phase = { at: "chunk", left: octets, last, reply, decode };
  }

  #readChunk(chunk: ChunkPhase): boolean {
    if (chunk.decode && !this.#intake) {
      if (!this.#terms.queue.isUp) {
        this.#awaitQueue(chunk);
        return false;
      }
      this.#intake = this.#newIntake();
    }
    const octets = this.#input.subarray(0, chunk.left);
    this.#input = octets.length < this.#input.length ? this.#input.subarray(octets.length) : nothing;
    this.#deadline = this.#around.seconds + this.#terms.timeoutSeconds;
    const left = chunk.left - octets.length;
    if (chunk.decode && this.#intake && !this.#intake.failure) {
      const body = chunk.decode(octets, chunk.last && left === 0);
      if (typeof body === "string") this.#intake.refuse(faults[body]);
      else this.#intake.take(body);
    }
    if (left > 0) this.#phase = { ...chunk, left };
    else this.#endChunk(chunk);
    return true;
  }

  #endChunk({ last, reply, decode }: ChunkPhase) {
    const intake = this.#intake;
    const session = this.#session;
    if (!decode || !intake || session.at !== "chunk") {
      this.#phase = command;
      return this.#refuse("BDAT", reply);
    }
    if (last) return this.#askVerdict(intake, session.transaction);
    if (intake.failure) {
      this.#phase = verdict;
      return this.#conclude(intake.failure, session.transaction, 1);
    }
    this.#session = endOfChunk(session);
    this.#phase = command;
    this.#reply(reply);
  }

  /** A client went on without ending its message. */
  #dropMessage(): void {
    this.#intake?.abandon();
    this.#intake = undefined;
    this.#decodeChunk = undefined;
  }

  #askVerdict(intake: Intake, transaction: Transaction): void {
    this.#phase = verdict;
    this.#deadline = this.#around.seconds + verdictSeconds;
    intake.finish({ ...transaction, uid: this.#around.uid });
  }

  #readBody(decode: ReturnType<typeof createDataDecoder>): boolean {
    if (!this.#intake) {
      if (!this.#terms.queue.isUp) {
        this.#awaitQueue(this.#phase);
        return false;
      }
      this.#intake = this.#newIntake();
    }
    const progress = decode(this.#input);
    this.#input = nothing;
    this.#deadline = this.#around.seconds + this.#terms.timeoutSeconds;
    if (progress.kind === "broken") {
      const fault = faults[progress.why];
      const reply = `550 ${enhancedCode(fault)} ${fault.text}`;
      this.#logRefusal("DATA", reply);
      this.#close(reply, progress.why);
      return false;
    }
    this.#intake.take(progress.body);
    if (progress.kind === "more") return true;
    this.#input = progress.rest;
    if (this.#session.at === "data") this.#askVerdict(this.#intake, this.#session.transaction);
    return true;
  }

  #newIntake(): Intake {
    const { me, maxHops, submission } = this.#terms;
    const { account } = this.#rules.access;
    const isSecret = account !== undefined && submission.hidesClient;
    const [helo, address] = isSecret ? ["", ""] : [this.#session.client.name, this.#terms.address];
    const tls = this.#tls && { tls: this.#tls };
    const nowMs = this.#around.nowMs();
    const trace = receivedLine({ helo, protocol: this.#protocol, address, by: me, nowMs, ...tls });
    const session = this.#session;
    const isBinary = "transaction" in session && session.transaction.bodyKind === binaryMime;
    const maxHeaderOctets = isBinary ? 0 : this.#terms.maxHeaderOctets; // measured by LF line ends
    return new Intake(
      this.#terms.queue,
      isBinary ? trace.replaceAll("\n", "\r\n") : trace, // it goes on as it is stored
      { maxMessageOctets: this.#rules.maxMessageOctets, maxHops, maxHeaderOctets, mayBeUtf8: this.#isUtf8 },
      {
        onRoom: () => this.#run(),
        onVerdict: (outcome) =>
          "transaction" in session &&
          this.#conclude(
            outcome,
            session.transaction,
            this.#rules.isLmtp ? session.transaction.forwardPaths.length : 1,
          ),
      },
      account === undefined || !("transaction" in session) ? undefined : this.#headerWork(account, session.transaction),
    );
  }

  /** What the header of a message from an account needs. */
  #headerWork(account: string, { bodyKind, reversePath }: Transaction): HeaderWork | undefined {
    const lineEnd = bodyKind === binaryMime ? "\r\n" : "\n";
    return createHeaderWork(this.#terms.submission, {
      ...{ account, reversePath, lineEnd, me: this.#terms.me },
      directory: this.#around.directory,
      nowMs: this.#around.nowMs(),
    });
  }

  get #isUtf8(): boolean {
    return "transaction" in this.#session && asksUtf8(this.#session.transaction.options);
  }

  /** As RFC 3848 names it. */
  get #protocol(): Trace["protocol"] {
    if (!this.#session.client.extended) return "SMTP";
    const isUtf8 = this.#isUtf8;
    const protocol = this.#rules.isLmtp ? (isUtf8 ? "UTF8LMTP" : "LMTP") : isUtf8 ? "UTF8SMTP" : "ESMTP";
    return `${protocol}${this.#tls ? "S" : ""}${this.#rules.access.account === undefined ? "" : "A"}`;
  }

  /**
   * Also when the client is gone: the log tells what became of the message. LMTP has a reply for each recipient (RFC 2033
   * §4.2). All are the same: the queue took the message for all of them or for none.
   */
  #conclude(outcome: Outcome<number>, { forwardPaths }: Transaction, replies: number): void {
    const said = this.#decodeChunk ? "BDAT" : "DATA";
    this.#intake = undefined;
    this.#decodeChunk = undefined;
    this.#session = endOfData(this.#session);
    const reply = replyTo(outcome, this.#around.nowMs());
    if (outcome.kind === "done") {
      this.#messages++;
      this.#idleCommands = 0;
      const recipients = forwardPaths.length;
      this.#around.rates.count(this.#sender, recipients);
      this.#around.log({ event: "accepted", connection: this.#terms.number, message: outcome.value, recipients });
    } else this.#logRefusal(said, reply);
    if (this.#phase.at !== "verdict") return;
    this.#deadline = this.#around.seconds + this.#terms.timeoutSeconds;
    this.#phase = command;
    for (let n = 0; n < replies; n++) this.#reply(reply);
    this.#run();
  }

  #awaitQueue(then: Phase | "354"): void {
    const forget = this.#terms.queue.whenUp(() => {
      this.#phase = this.#leave(then === "354" ? command : then);
      this.#deadline = this.#around.seconds + this.#terms.timeoutSeconds;
      if (then === "354") this.#beginData("354 go ahead");
      this.#run();
    });
    this.#phase = { at: "queue", then, forget };
    this.#deadline = this.#around.seconds + queueReturnSeconds;
  }

  /** Before 354 we can say so and go on; after it only an end of the connection stops the client from sending. */
  #queueStaysAway(then: Phase | "354") {
    const reply = "the queue is not running, try again later";
    if (then !== "354") return this.#close(`421 4.3.0 ${reply}`, "queue away");
    this.#phase = this.#leave(command);
    this.#session = endOfData(this.#session);
    this.#deadline = this.#around.seconds + this.#terms.timeoutSeconds;
    this.#refuse("DATA", `451 4.3.0 ${reply}`);
    this.#run();
  }

  /** Goes to another phase; what only the old one needed is let go. */
  #leave(next: Phase): Phase {
    if (this.#phase.at === "queue" || this.#phase.at === "question") this.#phase.forget();
    if (this.#phase.at === "login" && next.at !== "login") this.#phase.login?.cancel();
    // Not while its verdict is due: it may be on disk already, and the log is to say so.
    if (next.at === "closing" && this.#phase.at !== "verdict" && this.#phase.at !== "closing") this.#intake?.abandon();
    return next;
  }

  #logRefusal(line: string, reply: string): void {
    const { number, address } = this.#terms;
    this.#around.log({
      event: "refusal",
      connection: number,
      address,
      command: withoutSecret(line).slice(0, maxLoggedOctets),
      reply,
    });
  }

  #reply(reply: string): void {
    this.#replies += `${reply}\r\n`;
  }

  #flush(): void {
    if (this.#replies === "" || this.#phase.at === "closing") return;
    const replies = this.#replies;
    this.#replies = "";
    // While replies wait to be read we read no commands: they would only make more replies.
    if (!this.#socket.write(replies, "latin1")) this.#replyUnread = true;
  }

  /** Says a last word, stops sending, and for a while reads and drops what is on its way: a reset would lose the word. */
  #close(reply: string, why: string): void {
    if (this.#phase.at === "closing") return;
    if (reply !== "") this.#reply(reply);
    const isFarewell = why === "quit" && this.#input.length === 0;
    this.#why = why;
    this.#phase = this.#leave(closing);
    this.#input = nothing;
    this.#deadline = this.#around.seconds + lingerSeconds;
    // A client that says QUIT sends nothing after it: one close does, and costs half of an end and its waiting.
    if (isFarewell) this.#socket.write(this.#replies, "latin1", () => this.#socket.destroy());
    else if (this.#replies === "") this.#socket.end();
    else this.#socket.end(this.#replies, "latin1");
    this.#replies = "";
    if (this.#paused) this.#socket.resume();
  }
}
