import type { Socket } from "node:net";
import { createLines, tooLong } from "../../protocol/lines.ts";
import {
  loginCapabilities,
  newAuthorization,
  stepAuthorization,
  type Terms,
} from "../../protocol/pop3/authorization.ts";
import { lineTooLong, maxCommandOctets, parseCommand } from "../../protocol/pop3/command.ts";
import { type LoginEnd, maxSaslOctets } from "../../protocol/wire/directory.ts";
import type { Client } from "../../services/client-service/clients.ts";
import type { DirectoryClient } from "../../services/directory-client/directory-client.ts";
import { LineConnection } from "../../services/line-connection/line-connection.ts";
import type { LineSurroundings, LineTerms, Phase, Speaker } from "../../services/line-connection/speaker.ts";
import { type Attempt, Login, type PopLine } from "./login.ts";
import type { MailboxLink } from "./mailbox-link.ts";
import { Session } from "./session.ts";

/** What all connections share. */
export interface Surroundings extends LineSurroundings {
  readonly directory: DirectoryClient;
  readonly mailboxes: MailboxLink;
}

/** Fixed while the connection lasts. */
export interface ConnectionTerms extends LineTerms {
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
const maxCommands = 100;
const maxFailures = 3;
const maxResponseOctets = Math.ceil(maxSaslOctets / 3) * 4 + 2;

const mechanisms = ["PLAIN", "SCRAM-SHA-256"] as const;

/** One POP3 client. Before its login it speaks with us, after it with its mailbox: we only pass on what both say. */
export class Connection implements Client, Speaker, Phase {
  messages = 0;
  readonly reads = "now";
  readonly #line: PopLine;
  readonly #around: Surroundings;
  readonly #terms: ConnectionTerms;
  readonly #onClose: () => void;
  readonly #loginDeadline: number;
  #state = newAuthorization;
  #session: Session | undefined;
  #commands = 0;
  #failures = 0;

  /** Takes over the socket and greets. `onClose` is called once, when it is gone. */
  constructor(socket: Socket, around: Surroundings, terms: ConnectionTerms, onClose: () => void) {
    this.#around = around;
    this.#terms = terms;
    this.#onClose = onClose;
    this.#loginDeadline = around.seconds + loginSeconds;
    this.#line = new LineConnection(socket, createLines(maxResponseOctets), around, terms, this);
    this.#line.begin();
  }

  onOpen(): void {
    const { me, stamp } = this.#terms;
    this.#line.enter(this, this.#clientSeconds());
    this.#line.reply(`+OK ${me} ready${stamp === undefined ? "" : ` ${stamp}`}`);
    this.#line.flush();
  }

  onSecure(): void {
    this.#line.enter(this, this.#clientSeconds());
  }

  onGone(): void {
    this.#onClose();
  }

  /** Called each second. */
  tick(): void {
    this.#line.tick();
  }

  /** The server stops: a mailbox would be held up by it for as long as its client likes. */
  stop(): void {
    this.takeLeave();
  }

  takeLeave(): void {
    this.#line.close(this.#session?.isOpened ? "" : "-ERR [SYS/TEMP] the server is being stopped", "stopped");
  }

  /** Before its login. */
  read(): boolean {
    const line = this.#line.lines.take();
    if (line === undefined) return false;
    this.#line.expect(this.#clientSeconds());
    if (line === tooLong) this.#line.reply(lineTooLong);
    else this.#obey(line);
    return true;
  }

  onLate(): void {
    this.#line.timeOut("-ERR timeout");
  }

  /** How long the client may take for what comes next, before its login. */
  readonly #clientSeconds = (): number =>
    Math.min(this.#terms.timeoutSeconds, this.#loginDeadline - this.#around.seconds);

  get #authorizationTerms(): Terms {
    const { stamp, mayLoginInClear } = this.#terms;
    const hasTls = this.#line.tls !== undefined;
    return {
      offersTls: this.#around.tls !== undefined && !hasTls,
      mechanisms: hasTls || mayLoginInClear ? mechanisms : [],
      stamp,
    };
  }

  #obey(line: string) {
    if (++this.#commands > maxCommands)
      return this.#line.close("-ERR too many commands without a login", "too many commands");
    if (line.length >= maxCommandOctets) return this.#line.reply(lineTooLong);
    const step = stepAuthorization(this.#state, parseCommand(line), this.#authorizationTerms);
    switch (step.kind) {
      case "reply":
        this.#state = step.next;
        return this.#line.reply(step.reply);
      case "login":
        return this.#login(step);
      case "tls":
        return this.#startTls(step.reply);
      case "quit":
        return this.#line.close(step.reply, "quit");
      default:
        step satisfies never;
    }
  }

  #login(attempt: Attempt): void {
    this.#state = newAuthorization;
    const login = new Login(this.#line, {
      directory: this.#around.directory,
      address: this.#terms.address,
      exporter: this.#line.tls?.exporter(),
      clientSeconds: this.#clientSeconds,
      onSuccess: (end) => this.#open(end),
      onFailure: (reply) => this.#fail(attempt, reply),
    });
    login.begin(attempt);
  }

  /** A wrong PASS or APOP ends the connection, as with qmail; of AUTH another mechanism may be tried. */
  #fail({ mechanism, once }: Attempt, reply: string) {
    const { number, address } = this.#terms;
    this.#around.log({ event: "refusal", connection: number, address, command: `AUTH ${mechanism}`, reply });
    if (once || ++this.#failures >= maxFailures) return this.#line.close(reply, "login failed");
    this.#line.enter(this, this.#clientSeconds());
    this.#line.reply(reply);
    this.#line.run();
  }

  #open({ ticket, account }: LoginEnd): void {
    this.#session = new Session(this.#line, {
      mailboxes: this.#around.mailboxes,
      ticket,
      logins: loginCapabilities(this.#authorizationTerms),
      timeoutSeconds: this.#terms.timeoutSeconds,
      onOpened: () => this.#around.log({ event: "mailbox", connection: this.#terms.number, account }),
      onEnd: (retrieved) => {
        this.messages = retrieved;
      },
    });
  }

  #startTls(reply: string) {
    const { tls } = this.#around;
    if (this.#line.hasMore) {
      return this.#line.close("-ERR nothing may follow STLS before its reply", "more behind STLS");
    }
    this.#state = newAuthorization;
    if (!tls) return this.#line.reply("-ERR [SYS/TEMP] TLS is not available at the moment");
    this.#line.reply(reply);
    this.#line.startTls(tls);
  }
}
