import type { Lines } from "../../protocol/lines.ts";
import type { AccessSettings } from "../../protocol/smtp/access.ts";
import type { Rules, Session } from "../../protocol/smtp/session.ts";
import type { DirectoryClient } from "../../services/directory-client/directory-client.ts";
import type { LineSurroundings, LineTerms, Phase } from "../../services/line-connection/speaker.ts";
import type { WayIn } from "../../services/submission/queue-link.ts";
import type { TlsSession } from "../../services/tls/server.ts";
import type { SubmissionTerms } from "./header-work.ts";
import type { Rates, Sender } from "./rates.ts";
import type { Recipients } from "./recipients.ts";

/** What all connections share. */
export interface Surroundings extends LineSurroundings {
  /** Ours: mail from the network is logged as from this user. */
  readonly uid: number;
  readonly isStopping: boolean;
  readonly recipients: Recipients;
  readonly rates: Rates;
  readonly directory: DirectoryClient;
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number;
}

/** Fixed while the connection lasts. */
export interface ConnectionTerms extends LineTerms {
  readonly rules: Rules;
  /** Which listener it came by. */
  readonly service: string;
  readonly access: AccessSettings;
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
  /** Who has read mail from its address may send to anywhere for a while (control/popbeforesmtp). */
  readonly relaysForReaders: boolean;
  /** Recipients without a mailbox it may ask for; 0 for any number. */
  readonly maxUnknownRecipients: number;
  /** Before the answer to each of those, from the fourth on. */
  readonly tarpitSeconds: number;
  /** Longest silence of the client; a command must be whole within it (RFC 5321 §4.5.3.2.7). */
  readonly timeoutSeconds: number;
}

/** A connection as its parts see it. */
export interface Conversation {
  readonly around: Surroundings;
  readonly terms: ConnectionTerms;
  readonly lines: Lines;
  readonly tls: TlsSession | undefined;
  readonly isClosing: boolean;
  /** The account the client has shown, else its address. */
  readonly sender: Sender;
  /** What the client may do. */
  rules: Rules;
  session: Session;
  /** Begins another phase; it may last so long, and again after each `expect`. */
  enter(phase: Phase, seconds: number): void;
  expect(seconds: number): void;
  /** The client was silent for too long. */
  timeOut(): void;
  reply(reply: string): void;
  /** A reply that is logged, with the command it refuses. */
  refuse(command: string, reply: string): void;
  /** The reply to a command; logged unless it is a good one. */
  answer(command: string, reply: string): void;
  logRefusal(command: string, reply: string): void;
  /** Reads commands next. */
  obey(): void;
  /** Says what was held back, and goes on with what the client said meanwhile. */
  goOn(command: string, reply: string): void;
  /** A message of the client's was taken. */
  countMessage(): void;
  /** Works on what came, as far as that can be done. */
  run(): void;
  /** Says a last word. */
  close(lastWord: string, why: string): void;
  sayGoodbye(lastWord: string): void;
  startTls(): void;
}
