import type { LoginEnd } from "../../protocol/wire/directory.ts";
import type { DirectoryClient, Login, LoginEvents, LoginRequest } from "./directory-client.ts";

/**
 * A login as its client lives it. SMTP and POP3 have no success with data: what success brings goes as one more
 * challenge, and the client answers it with nothing (RFC 4954 §4, RFC 5034 §4).
 */
export class LoginDialogue {
  readonly #events: LoginEvents;
  #login: Login | undefined;
  #proved: LoginEnd | undefined;
  #waitsForClient = false;
  #isAsked = false;

  constructor(events: LoginEvents) {
    this.#events = events;
  }

  /** It is the client's turn; else `directory`'s. */
  get waitsForClient(): boolean {
    return this.#waitsForClient;
  }

  /** The login has succeeded, and only the answer to the last challenge is missing. */
  get proved(): LoginEnd | undefined {
    return this.#proved;
  }

  /** `directory` is there, and was asked. */
  get isAsked(): boolean {
    return this.#isAsked;
  }

  /**
   * Events may come before it returns. While `directory` is away, as at a start and when it is started again, it waits:
   * a mail program would tell its user of a failure.
   */
  begin(directory: DirectoryClient, request: LoginRequest): void {
    if (directory.isUp) {
      this.#ask(directory, request);
      return;
    }
    const forget = directory.whenUp(() => this.#ask(directory, request));
    this.#login = { respond() {}, cancel: forget };
  }

  #ask(directory: DirectoryClient, request: LoginRequest): void {
    this.#isAsked = true;
    this.#login = directory.login(request, {
      onChallenge: (octets) => this.#challenge(octets),
      onEnd: (end) => {
        if (end.letter !== "K" || end.additional.length === 0) return this.#events.onEnd(end);
        this.#proved = end;
        this.#challenge(end.additional);
      },
    });
  }

  /** At most `maxSaslOctets`, once after each challenge. */
  respond(octets: Buffer): void {
    this.#waitsForClient = false;
    this.#login?.respond(octets);
  }

  cancel(): void {
    this.#login?.cancel();
  }

  #challenge(octets: Buffer): void {
    this.#waitsForClient = true;
    this.#events.onChallenge(octets);
  }
}
