import { decodeBase64 } from "../../protocol/base64.ts";
import { tooLong } from "../../protocol/lines.ts";
import type { AuthorizationStep } from "../../protocol/pop3/authorization.ts";
import { lineTooLong } from "../../protocol/pop3/command.ts";
import { type LoginEnd, maxSaslOctets } from "../../protocol/wire/directory.ts";
import { awaySeconds, type DirectoryClient, nobodyKnows } from "../../services/directory-client/directory-client.ts";
import { LoginDialogue } from "../../services/directory-client/login-dialogue.ts";
import type { LineConnection } from "../../services/line-connection/line-connection.ts";
import type { Phase } from "../../services/line-connection/speaker.ts";

export type PopLine = LineConnection<string | typeof tooLong>;
export type Attempt = AuthorizationStep & { readonly kind: "login" };

export interface LoginTerms {
  readonly directory: DirectoryClient;
  readonly address: string;
  /** The channel binding tls-exporter, where there is one. */
  readonly exporter: Buffer | undefined;
  /** The client may take so long for a response. */
  readonly clientSeconds: () => number;
  readonly onSuccess: (end: LoginEnd) => void;
  readonly onFailure: (reply: string) => void;
}

/** Failed logins are held up by `directory`; it gives up before this. */
const directorySeconds = 120;

/** One login, from its command to its end (RFC 5034). */
export class Login implements Phase {
  readonly #line: PopLine;
  readonly #terms: LoginTerms;
  readonly #dialogue: LoginDialogue;

  constructor(line: PopLine, terms: LoginTerms) {
    this.#line = line;
    this.#terms = terms;
    this.#dialogue = new LoginDialogue({
      onChallenge: (octets) => {
        line.expect(terms.clientSeconds());
        line.reply(`+ ${octets.toString("base64")}`);
        line.run();
      },
      onEnd: (end) => this.#conclude(end),
    });
  }

  begin({ mechanism, initial }: Attempt): void {
    const { directory, address, exporter } = this.#terms;
    this.#line.enter(this, directory.isUp ? directorySeconds : awaySeconds);
    this.#dialogue.begin(directory, { service: "pop3", mechanism, address, initial, exporter });
  }

  get reads(): Phase["reads"] {
    return this.#dialogue.waitsForClient ? "now" : "soon";
  }

  read(): boolean {
    const line = this.#line.lines.take();
    if (line === undefined) return false;
    this.#line.expect(this.#terms.clientSeconds());
    if (line === tooLong) this.#line.reply(lineTooLong);
    else this.#respond(line);
    return true;
  }

  onLate(): void {
    if (!this.#dialogue.isAsked) this.#terms.onFailure(`-ERR [SYS/TEMP] ${nobodyKnows}`);
    else if (this.#dialogue.waitsForClient) this.#line.timeOut("-ERR timeout");
    else this.#line.close("-ERR [SYS/TEMP] this takes too long, try again later", "no answer");
  }

  onLeft(): void {
    this.#dialogue.cancel();
  }

  #respond(line: string) {
    const { proved } = this.#dialogue;
    if (proved) return this.#terms.onSuccess(proved);
    const octets = line === "*" ? undefined : decodeBase64(line);
    if (!octets || octets.length > maxSaslOctets) {
      return this.#terms.onFailure(line === "*" ? "-ERR authentication cancelled" : "-ERR this is no base64");
    }
    this.#line.expect(directorySeconds);
    this.#dialogue.respond(octets);
  }

  #conclude(end: LoginEnd) {
    if (end.letter === "K") return this.#terms.onSuccess(end);
    if (end.letter === "Z") return this.#terms.onFailure(`-ERR [SYS/TEMP] ${end.text || "try again later"}`);
    this.#terms.onFailure(`-ERR [AUTH] ${end.text || "authorization failed"}`);
  }
}
