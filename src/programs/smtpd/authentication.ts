import { strayEnd, tooLong } from "../../protocol/lines.ts";
import { type Auth, maxAuthLineOctets, parseResponse } from "../../protocol/smtp/auth.ts";
import { endOfData } from "../../protocol/smtp/session.ts";
import type { LoginEnd } from "../../protocol/wire/directory.ts";
import { awaySeconds, nobodyKnows } from "../../services/directory-client/directory-client.ts";
import { LoginDialogue } from "../../services/directory-client/login-dialogue.ts";
import type { Phase } from "../../services/line-connection/speaker.ts";
import type { Conversation } from "./conversation.ts";
import { printable } from "./intake.ts";
import { strayLine } from "./replies.ts";

/** It holds back its answer to who guesses. */
const loginSeconds = 120;
const maxFailedLogins = 3;
const cannotLogIn = `${nobodyKnows}, try again later`;

/** The logins of one connection, one at a time: between AUTH and its last reply (RFC 4954 §4). */
export class Authentication implements Phase {
  readonly #talk: Conversation;
  #mechanism = "";
  #dialogue: LoginDialogue;
  #failures = 0;

  constructor(talk: Conversation) {
    this.#talk = talk;
    this.#dialogue = this.#newDialogue();
  }

  begin({ mechanism, initial }: Auth): void {
    const { session, terms, tls, around } = this.#talk;
    this.#talk.session = endOfData(session);
    this.#mechanism = mechanism;
    this.#dialogue = this.#newDialogue();
    this.#talk.enter(this, around.directory.isUp ? loginSeconds : awaySeconds);
    const request = { mechanism, address: terms.address, initial, exporter: tls?.exporter() };
    this.#dialogue.begin(around.directory, { service: "smtp", ...request });
  }

  get reads(): Phase["reads"] {
    return this.#dialogue.waitsForClient ? "now" : "soon";
  }

  read(): boolean {
    const line = this.#talk.lines.take(maxAuthLineOctets);
    if (line === undefined) return false;
    const response = line === tooLong || line === strayEnd ? line : parseResponse(line);
    if (response === strayEnd) this.#talk.close(strayLine, "stray line end");
    else if (response === tooLong) this.#fail("500 5.5.6 line too long");
    else if ("reply" in response) this.#fail(response.reply);
    else this.#respond(response.octets);
    return true;
  }

  onLate(): void {
    if (this.#dialogue.waitsForClient) this.#talk.timeOut();
    else this.#fail(`454 4.7.0 ${cannotLogIn}`);
  }

  onLeft(): void {
    this.#dialogue.cancel();
  }

  #newDialogue(): LoginDialogue {
    return new LoginDialogue({
      onChallenge: (octets) => {
        this.#talk.expect(this.#talk.terms.timeoutSeconds);
        this.#talk.reply(`334 ${octets.toString("base64")}`);
        this.#talk.run();
      },
      onEnd: (end) => this.#takeEnd(end),
    });
  }

  #respond(octets: Buffer): void {
    const { proved } = this.#dialogue;
    if (!proved) {
      this.#talk.expect(loginSeconds);
      this.#dialogue.respond(octets);
    } else if (octets.length === 0) this.#admit(proved.account);
    else this.#fail("501 5.5.2 an empty response is expected");
  }

  #takeEnd({ letter, account, text }: LoginEnd) {
    switch (letter) {
      case "K":
        return this.#admit(account);
      case "D":
        return this.#fail(`535 5.7.8 ${printable(text)}`);
      case "Z":
        return this.#fail(`454 4.7.0 ${printable(text)}`);
      default:
        return letter satisfies never;
    }
  }

  #admit(account: string): void {
    const { around, terms, rules } = this.#talk;
    around.log({ event: "authenticated", connection: terms.number, account, mechanism: this.#mechanism });
    this.#talk.rules = { ...rules, mayRelay: true, access: { ...rules.access, mechanisms: [], account } };
    this.#talk.goOn("", "235 2.7.0 welcome");
  }

  /** The client is not who it said, or did not say it. */
  #fail(reply: string) {
    const command = `AUTH ${this.#mechanism}`;
    if (reply.startsWith("535") && ++this.#failures >= maxFailedLogins) {
      this.#talk.logRefusal(command, reply);
      this.#talk.reply(reply);
      return this.#talk.close("421 4.7.0 too many failed logins", "too many failed logins");
    }
    this.#talk.goOn(command, reply);
  }
}
