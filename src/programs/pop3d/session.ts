import type { Phase } from "../../services/line-connection/speaker.ts";
import type { PopLine } from "./login.ts";
import type { MailboxLink, OpenMailbox } from "./mailbox-link.ts";

export interface SessionTerms {
  readonly mailboxes: MailboxLink;
  readonly ticket: Buffer;
  /** Capabilities of the login, for CAPA after it. */
  readonly logins: readonly string[];
  readonly timeoutSeconds: number;
  readonly onOpened: () => void;
  /** It ended as it should; so many messages were retrieved. */
  readonly onEnd: (retrieved: number) => void;
}

const openingSeconds = 60;

/** A mailbox and its client: what one says is passed on to the other, no faster than it is read. */
export class Session implements Phase {
  readonly #line: PopLine;
  readonly #terms: SessionTerms;
  readonly #mailbox: OpenMailbox;
  #isOpened = false;
  /** Output that the client has not read. */
  #unreadOctets = 0;

  constructor(line: PopLine, terms: SessionTerms) {
    this.#line = line;
    this.#terms = terms;
    this.#mailbox = terms.mailboxes.open(terms.ticket, terms.logins, {
      onOpened: () => this.#begin(),
      onOutput: (octets) => this.#send(octets),
      onRoom: () => line.run(),
      onEnd: (retrieved) => {
        terms.onEnd(retrieved);
        line.close("", "quit");
      },
      onLost: (why) => line.close(this.#isOpened ? "" : `-ERR [SYS/TEMP] ${why}`, why),
    });
    line.enter(this, openingSeconds);
  }

  /** The client may be in the middle of a reply: whatever happens, it is told nothing (RFC 1939 §3). */
  get isOpened(): boolean {
    return this.#isOpened;
  }

  get reads(): Phase["reads"] {
    if (!this.#isOpened) return "soon";
    return this.#mailbox.room > 0 ? "now" : "later";
  }

  read(): boolean {
    const { lines } = this.#line;
    if (lines.octets === 0) return false;
    this.#touch();
    this.#mailbox.input(lines.takeOctets(this.#mailbox.room));
    return true;
  }

  onRoom(): void {
    const octets = this.#unreadOctets;
    this.#unreadOctets = 0;
    this.#touch();
    this.#mailbox.credit(octets);
  }

  onLate(): void {
    if (this.#isOpened) this.#line.close("", "timeout");
    else this.#line.close("-ERR [SYS/TEMP] this takes too long, try again later", "no answer");
  }

  onLeft(): void {
    this.#mailbox.close();
  }

  #touch(): void {
    this.#line.expect(this.#terms.timeoutSeconds);
  }

  #begin(): void {
    this.#isOpened = true;
    this.#touch();
    this.#terms.onOpened();
    this.#line.reply("+OK ");
    this.#line.run();
  }

  #send(octets: Buffer): void {
    if (this.#line.write(octets)) {
      this.#touch();
      this.#mailbox.credit(octets.length);
    } else this.#unreadOctets += octets.length;
  }
}
