import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { decodeBase64 } from "../../protocol/base64.ts";
import type { Event } from "../../protocol/event/event.ts";
import {
  type Authorization,
  type AuthorizationStep,
  loginCapabilities,
  newAuthorization,
  stepAuthorization,
  type Terms,
} from "../../protocol/pop3/authorization.ts";
import { lineTooLong, maxCommandOctets, parseCommand } from "../../protocol/pop3/command.ts";
import { createLines, tooLong } from "../../protocol/pop3/lines.ts";
import type { LoginEnd } from "../../protocol/wire/directory.ts";
import { maxSaslOctets } from "../../protocol/wire/directory.ts";
import type { DirectoryClient, Login } from "../../services/directory-client/directory-client.ts";
import type { Contexts } from "../../services/tls/contexts.ts";
import { secureServer, type TlsSession } from "../../services/tls/server.ts";
import type { MailboxLink, OpenMailbox } from "./mailbox-link.ts";

/** What all connections share. */
export interface Surroundings {
  /** Seconds since the start, counted by a timer; never goes back. */
  readonly seconds: number;
  /** The certificates as they are now; `undefined` without any. */
  readonly tls: Contexts | undefined;
  readonly directory: DirectoryClient;
  readonly mailboxes: MailboxLink;
  /** Told of all octets read. */
  readonly reclaim: (octets: number) => void;
  log(event: Event): void;
}

/** Fixed while the connection lasts. */
export interface ConnectionTerms {
  readonly number: number;
  readonly address: string;
  /** TLS comes first, before the greeting (RFC 8314 §3). */
  readonly startsWithTls: boolean;
  /** A password may be sent without TLS. */
  readonly mayLoginInClear: boolean;
  /** What the greeting names for APOP, `<...>`; none: APOP is off. */
  readonly stamp: string | undefined;
  readonly me: string;
  /** Longest silence of the client (RFC 1939 §3 asks for at least 600). */
  readonly timeoutSeconds: number;
}

/** For the whole way to a login: who does not want one is not kept. */
const loginSeconds = 180;
const handshakeSeconds = 30;
/** Failed logins are held up by `directory`; it gives up before this. */
const directorySeconds = 120;
const openingSeconds = 60;
/** For the client to read our last reply and close. */
const lingerSeconds = 5;
const maxCommands = 100;
const maxFailures = 3;
const maxResponseOctets = Math.ceil(maxSaslOctets / 3) * 4 + 2;

const mechanisms = ["PLAIN", "SCRAM-SHA-256"] as const;

/**
 * What we are doing. "handshake" leaves the client to TLS; "command" and "response" read the client; "login" waits for
 * `directory`, "opening" for `local`; "session" passes octets on; "closing" has said its last and drops what comes.
 */
type Phase =
  | { readonly at: "handshake" | "command" | "closing" }
  | { readonly at: "login" | "response"; readonly login: Login; readonly attempt: Attempt }
  /** Logged in; the client still has to acknowledge what came with that. */
  | { readonly at: "acknowledge"; readonly end: LoginEnd }
  | { readonly at: "opening" | "session"; readonly mailbox: OpenMailbox };

type Attempt = AuthorizationStep & { readonly kind: "login" };

/** One POP3 client. Before its login it speaks with us, after it with its mailbox: we only pass on what both say. */
export class Connection {
  #socket: Socket;
  readonly #around: Surroundings;
  readonly #terms: ConnectionTerms;
  readonly #onClose: (connection: Connection) => void;
  readonly #lines = createLines(maxResponseOctets);
  #phase: Phase = { at: "command" };
  #state: Authorization = newAuthorization;
  #tls: TlsSession | undefined;
  #deadline: number;
  readonly #loginDeadline: number;
  #commands = 0;
  #failures = 0;
  #retrieved = 0;
  #unreadOctets = 0;
  #paused = false;
  #why = "client closed";

  /** Takes over the socket and greets. `onClose` is called once, when it is gone. */
  constructor(socket: Socket, around: Surroundings, terms: ConnectionTerms, onClose: (connection: Connection) => void) {
    this.#socket = socket;
    this.#around = around;
    this.#terms = terms;
    this.#onClose = onClose;
    this.#loginDeadline = around.seconds + loginSeconds;
    this.#deadline = around.seconds + terms.timeoutSeconds;
    const { tls } = around;
    if (tls && terms.startsWithTls) {
      socket.on("error", this.#onError);
      this.#shakeHands(tls);
    } else {
      socket.on("close", this.#onGone);
      this.#listen();
      this.#greet();
    }
  }

  #greet(): void {
    const { me, stamp } = this.#terms;
    this.#reply(`+OK ${me} ready${stamp === undefined ? "" : ` ${stamp}`}`);
  }

  #listen(): void {
    this.#socket.on("data", this.#onData);
    this.#socket.on("end", this.#onEnd);
    this.#socket.on("drain", this.#onDrain);
    this.#socket.on("error", this.#onError);
  }

  readonly #onData = (chunk: Buffer): void => this.#read(chunk);
  readonly #onEnd = (): void => {
    if (this.#phase.at !== "closing") this.#close("", this.#why);
  };
  readonly #onDrain = (): void => {
    const octets = this.#unreadOctets;
    this.#unreadOctets = 0;
    if (this.#phase.at === "session") {
      this.#touch();
      this.#phase.mailbox.credit(octets);
    } else this.#run();
  };
  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#why = error.code ?? error.message;
  };
  readonly #onGone = (): void => {
    this.#leave();
    this.#onClose(this);
    const { number } = this.#terms;
    this.#around.log({ event: "disconnection", connection: number, why: this.#why, messages: this.#retrieved });
  };

  /** Called each second. */
  tick() {
    const { seconds } = this.#around;
    const isBefore = this.#phase.at === "command" || this.#phase.at === "response" || this.#phase.at === "acknowledge";
    if (seconds < this.#deadline && !(isBefore && seconds >= this.#loginDeadline)) return;
    switch (this.#phase.at) {
      case "handshake":
        return this.destroy("TLS timeout");
      case "closing":
        return this.destroy(this.#why);
      case "login":
      case "opening":
        return this.#close("-ERR [SYS/TEMP] this takes too long, try again later", "no answer");
      case "command":
      case "response":
      case "acknowledge":
      case "session":
        // Within a session the client may be in the middle of a reply: it is told nothing (RFC 1939 §3).
        return this.#close(this.#phase.at === "session" ? "" : "-ERR timeout", "timeout");
      default:
        this.#phase satisfies never;
    }
  }

  takeLeave(): void {
    if (this.#phase.at === "handshake") this.destroy("stopped");
    else if (this.#phase.at !== "closing") {
      this.#close(this.#phase.at === "session" ? "" : "-ERR [SYS/TEMP] the server is being stopped", "stopped");
    }
  }

  destroy(why: string): void {
    this.#why = why;
    this.#socket.destroy();
  }

  #touch(): void {
    this.#deadline = this.#around.seconds + this.#terms.timeoutSeconds;
  }

  #read(chunk: Buffer): void {
    this.#around.reclaim(chunk.length);
    if (this.#phase.at === "closing") return;
    this.#lines.put(chunk);
    this.#run();
  }

  /** Works on what came as far as it can, and reads more only when nothing is left over. */
  #run() {
    while (this.#unreadOctets === 0 || this.#phase.at === "session") {
      if (this.#phase.at === "session") {
        if (this.#passOn(this.#phase.mailbox)) break;
        return this.#pause();
      }
      const reads = this.#phase.at === "command" || this.#phase.at === "response" || this.#phase.at === "acknowledge";
      if (!reads) return this.#phase.at === "login" || this.#phase.at === "opening" ? this.#pause() : undefined;
      const line = this.#lines.take();
      if (line === undefined) break;
      this.#touch();
      this.#takeLine(line);
    }
    if (this.#unreadOctets > 0 && this.#phase.at !== "session") return this.#pause();
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  #takeLine(line: string | typeof tooLong) {
    if (line === tooLong) return this.#reply(lineTooLong);
    switch (this.#phase.at) {
      case "response":
        return this.#respond(line, this.#phase);
      case "acknowledge":
        return this.#open(this.#phase.end);
      default:
        this.#obey(line);
    }
  }

  get #authorizationTerms(): Terms {
    const { stamp, mayLoginInClear } = this.#terms;
    const mayLogin = this.#tls !== undefined || mayLoginInClear;
    return {
      offersTls: this.#around.tls !== undefined && this.#tls === undefined,
      mechanisms: mayLogin ? mechanisms : [],
      stamp,
    };
  }

  #obey(line: string) {
    if (++this.#commands > maxCommands)
      return this.#close("-ERR too many commands without a login", "too many commands");
    if (line.length >= maxCommandOctets) return this.#reply(lineTooLong);
    const step = stepAuthorization(this.#state, parseCommand(line), this.#authorizationTerms);
    switch (step.kind) {
      case "reply":
        this.#state = step.next;
        return this.#reply(step.reply);
      case "login":
        return this.#login(step);
      case "tls":
        return this.#startTls(step.reply);
      case "quit":
        return this.#close(step.reply, "quit");
      default:
        step satisfies never;
    }
  }

  #login(attempt: Attempt): void {
    const { mechanism, initial } = attempt;
    const { address } = this.#terms;
    this.#state = newAuthorization;
    let login: Login | undefined;
    let early: (() => void) | undefined;
    const now = (call: (login: Login) => void): void => {
      if (login) call(login);
      else early = () => login && call(login);
    };
    const isOurs = (): boolean =>
      (this.#phase.at === "login" || this.#phase.at === "response") && this.#phase.login === login;
    login = this.#around.directory.login(
      { service: "pop3", mechanism, address, initial, exporter: this.#tls?.exporter },
      {
        onChallenge: (octets) =>
          now((ours) => {
            if (!isOurs()) return;
            this.#phase = { at: "response", login: ours, attempt };
            this.#touch();
            this.#reply(`+ ${octets.toString("base64")}`);
            this.#run();
          }),
        onEnd: (end) =>
          now(() => {
            if (isOurs()) this.#conclude(end, attempt);
          }),
      },
    );
    this.#phase = { at: "login", login, attempt };
    this.#deadline = this.#around.seconds + directorySeconds;
    early?.();
  }

  #respond(line: string, { login, attempt }: { readonly login: Login; readonly attempt: Attempt }) {
    const octets = line === "*" ? undefined : decodeBase64(line);
    if (!octets || octets.length > maxSaslOctets) {
      login.cancel();
      return this.#fail(attempt, line === "*" ? "-ERR authentication cancelled" : "-ERR this is no base64");
    }
    this.#phase = { at: "login", login, attempt };
    this.#deadline = this.#around.seconds + directorySeconds;
    login.respond(octets);
  }

  #conclude(end: LoginEnd, attempt: Attempt) {
    this.#touch();
    if (end.letter === "Z") return this.#fail(attempt, `-ERR [SYS/TEMP] ${end.text || "try again later"}`);
    if (end.letter === "D") return this.#fail(attempt, `-ERR [AUTH] ${end.text || "authorization failed"}`);
    if (end.additional.length === 0) return this.#open(end);
    // POP3 has no success with data: it goes as a challenge, and the client answers with nothing (RFC 5034 §4).
    this.#phase = { at: "acknowledge", end };
    this.#reply(`+ ${end.additional.toString("base64")}`);
    this.#run();
  }

  /** A wrong PASS or APOP ends the connection, as with qmail; of AUTH another mechanism may be tried. */
  #fail({ mechanism, once }: Attempt, reply: string) {
    const { number, address } = this.#terms;
    this.#around.log({ event: "refusal", connection: number, address, command: `AUTH ${mechanism}`, reply });
    if (once || ++this.#failures >= maxFailures) return this.#close(reply, "login failed");
    this.#phase = { at: "command" };
    this.#reply(reply);
    this.#run();
  }

  #open({ ticket, account }: LoginEnd): void {
    const mailbox = this.#around.mailboxes.open(ticket, loginCapabilities(this.#authorizationTerms), {
      onOpened: () => {
        this.#phase = { at: "session", mailbox };
        this.#touch();
        this.#around.log({ event: "mailbox", connection: this.#terms.number, account });
        this.#reply("+OK ");
        this.#run();
      },
      onOutput: (octets) => this.#sendOutput(octets, mailbox),
      onRoom: () => this.#run(),
      onEnd: (retrieved) => {
        this.#retrieved = retrieved;
        this.#close("", "quit");
      },
      onLost: (why) => this.#close(this.#phase.at === "session" ? "" : `-ERR [SYS/TEMP] ${why}`, why),
    });
    this.#phase = { at: "opening", mailbox };
    this.#deadline = this.#around.seconds + openingSeconds;
  }

  /** True when nothing is left that has no room. */
  #passOn(mailbox: OpenMailbox): boolean {
    const octets = this.#lines.rest();
    if (octets.length === 0) return true;
    this.#touch();
    const now = octets.subarray(0, mailbox.room);
    if (now.length > 0) mailbox.input(now);
    if (now.length === octets.length) return true;
    this.#lines.put(octets.subarray(now.length));
    return false;
  }

  #sendOutput(octets: Buffer, mailbox: OpenMailbox): void {
    if (this.#socket.write(octets)) {
      this.#touch();
      mailbox.credit(octets.length);
    } else this.#unreadOctets += octets.length;
  }

  #startTls(reply: string) {
    const { tls } = this.#around;
    if (this.#lines.rest().length > 0 || this.#socket.readableLength > 0) {
      return this.#close("-ERR nothing may follow STLS before its reply", "more behind STLS");
    }
    this.#state = newAuthorization;
    if (!tls) return this.#reply("-ERR [SYS/TEMP] TLS is not available at the moment");
    this.#reply(reply);
    this.#socket.removeListener("data", this.#onData);
    this.#socket.removeListener("end", this.#onEnd);
    this.#socket.removeListener("drain", this.#onDrain);
    this.#socket.removeListener("close", this.#onGone);
    this.#unreadOctets = 0;
    this.#shakeHands(tls);
  }

  /** From here on the socket is TLS's; it comes back as another. */
  #shakeHands(tls: Contexts): void {
    this.#phase = { at: "handshake" };
    this.#deadline = this.#around.seconds + handshakeSeconds;
    const { number: connection, address, startsWithTls } = this.#terms;
    this.#socket = secureServer(this.#socket, tls, {
      onSecure: (session) => {
        this.#tls = session;
        const { protocol, cipher } = session;
        this.#around.log({ event: "tls", connection, protocol, cipher });
        this.#phase = { at: "command" };
        this.#touch();
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

  /** Lets go of what only this phase needed. */
  #leave(): void {
    if (this.#phase.at === "login" || this.#phase.at === "response") this.#phase.login.cancel();
    if (this.#phase.at === "opening" || this.#phase.at === "session") this.#phase.mailbox.close();
    this.#phase = { at: "closing" };
  }

  #reply(reply: string): void {
    if (!this.#socket.write(`${reply}\r\n`, "latin1")) this.#unreadOctets += reply.length + 2;
  }

  /** Says a last word, stops sending, and for a while reads and drops what is on its way: a reset would lose the word. */
  #close(reply: string, why: string): void {
    if (this.#phase.at === "closing") return;
    this.#leave();
    this.#why = why;
    this.#lines.rest();
    this.#deadline = this.#around.seconds + lingerSeconds;
    this.#socket.end(reply === "" ? "" : `${reply}\r\n`, "latin1");
    if (this.#paused) this.#socket.resume();
  }
}
