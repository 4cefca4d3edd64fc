import { encodeFrame, type Frame } from "../../src/protocol/wire/frame.ts";
import {
  abandon,
  bodyType,
  commit,
  dsnRecipients,
  type Options,
  open,
  options,
  recipients,
  refused,
  stored,
  submissionCredit,
  submissionWindowOctets,
} from "../../src/protocol/wire/submission.ts";
import type { Link, PeerEnd } from "./link.ts";
import type { Random } from "./random.ts";
import type { Life, Timeline } from "./timeline.ts";

/** A message as its sender has it. */
export interface Mail {
  readonly token: string;
  readonly body: string;
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
  /** What is to be reported of each, as the sum on the wire; absent when nothing was said. */
  readonly notify?: readonly number[];
  readonly options?: Options;
}

export interface Answers {
  stored(mail: Mail, queueId: number): void;
  refused(mail: Mail): void;
}

interface Stream {
  readonly mail: Mail;
  left: Buffer;
  credit: number;
}

const pieceOctets = 50_000;

/** A receiving program: hands in mail in pieces, among other things. */
export class Submitter implements PeerEnd {
  readonly link: Link;
  /** How often it changes its mind at the last moment: a probability. */
  abandons = 0.03;
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #answers: Answers;
  readonly #life: Life = { dead: false };
  readonly #streams = new Map<number, Stream>();
  #lastStream = 0;

  constructor(link: Link, timeline: Timeline, random: Random, answers: Answers) {
    this.link = link;
    this.#timeline = timeline;
    this.#random = random;
    this.#answers = answers;
    link.peer = this;
  }

  get isAlive(): boolean {
    return !this.#life.dead;
  }

  onClosed(): void {
    this.#life.dead = true;
  }

  die(): void {
    this.#life.dead = true;
    this.link.break();
  }

  submit(mail: Mail): void {
    const stream = ++this.#lastStream;
    const left = Buffer.from(mail.body, "latin1");
    this.#streams.set(stream, { mail, left, credit: submissionWindowOctets });
    this.link.send(open.encode(stream, {}));
    this.#pump(stream);
  }

  onFrame({ type, stream, payload }: Frame): void {
    const known = this.#streams.get(stream);
    if (!known || this.#life.dead) return;
    if (type === submissionCredit.type) {
      known.credit += submissionCredit.decode(payload)?.octets ?? 0;
      this.#pump(stream);
    } else if (type === stored.type) {
      this.#streams.delete(stream);
      this.#answers.stored(known.mail, stored.decode(payload)?.queueId ?? 0);
    } else if (type === refused.type) {
      this.#streams.delete(stream);
      this.#answers.refused(known.mail);
    }
  }

  #pump(stream: number): void {
    const known = this.#streams.get(stream);
    if (!known) return;
    while (known.left.length > 0 && known.credit > 0) {
      const piece = known.left.subarray(0, Math.min(known.credit, pieceOctets));
      known.left = known.left.subarray(piece.length);
      known.credit -= piece.length;
      this.link.send(encodeFrame(bodyType, stream, piece));
    }
    if (known.left.length === 0) this.#finish(stream, known);
  }

  #finish(stream: number, known: Stream): void {
    known.left = Buffer.from(" "); // once
    known.credit = -Infinity;
    const { reversePath, forwardPaths, notify, options: asked } = known.mail;
    const originalRecipients = forwardPaths.map(() => "");
    const call = () => {
      if (asked) this.link.send(options.encode(stream, asked));
      if (notify) this.link.send(dsnRecipients.encode(stream, { forwardPaths, notify, originalRecipients }));
      else this.link.send(recipients.encode(stream, { forwardPaths }));
      if (this.#random.chance(this.abandons)) {
        this.#streams.delete(stream);
        this.link.send(abandon.encode(stream, {}));
      } else {
        this.link.send(commit.encode(stream, { reversePath, bodyKind: 0, uid: 7 }));
      }
    };
    if (this.#random.chance(0.7)) call();
    else this.#timeline.after(this.#random.next() * 100, this.#life, call);
  }
}
