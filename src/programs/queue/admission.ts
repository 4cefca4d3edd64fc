import type { ChannelName } from "../../protocol/schedule/scheduler.ts";
import type { Change, Dsn, NewMessage, NewRecipient } from "../../services/storage/storage.ts";
import { bornMs, firstDueMs, messageOctets } from "../../services/storage/storage.ts";
import { addEntry } from "./active.ts";
import type { Core } from "./core.ts";

export interface Chunk {
  readonly number: number;
  readonly octets: Buffer;
}

/** A message to be queued: who it goes to, before any routing. */
export interface Draft extends NewMessage {
  readonly forwardPaths: readonly string[];
  /** By place in `forwardPaths`, for those that something was asked for. */
  readonly dsns?: ReadonlyMap<number, Dsn>;
  /** The last chunks of the body: they are written with it. */
  readonly chunks?: readonly Chunk[];
}

/** A message on its way into the queue. Exactly one of the two calls must follow. */
export interface Admission {
  /** To be applied; together with others, if need be. */
  readonly changes: readonly Change[];
  /** They were applied: the message is announced, and delivered. */
  admit(): void;
  refuse(): void;
}

/** Takes new messages in, from wherever: networks, forwards, bounces. */
export class Admissions {
  readonly #core: Core;
  /** Recipients that will be in memory as soon as they are on disk. */
  readonly #reserved: Record<ChannelName, number> = { local: 0, remote: 0 };

  constructor(core: Core) {
    this.#core = core;
  }

  /** Routes a message. Recipients that fit stay in memory and are delivered at once; the others wait on disk. */
  plan(draft: Draft): Admission {
    const { forwardPaths, dsns, chunks = [], ...message } = draft;
    const recipients = this.#route(draft);
    const [first] = chunks;
    const chunk = chunks.at(-1);
    if (recipients.length === 0) return this.#trash(message, first !== undefined && first.number > 0);
    return {
      changes: [
        ...chunks.slice(0, -1).map((each) => ({ kind: "chunk", body: message.body, ...each }) as const),
        { kind: "message", message, recipients, ...(chunk && { chunk }) },
      ],
      admit: () => {
        this.#release(recipients);
        this.#announce(message);
        const body = first?.number === 0 ? chunks.map(({ octets }) => octets) : undefined;
        this.#deliver(message, recipients, body);
      },
      refuse: () => this.#release(recipients),
    };
  }

  /** Nobody is to get it. Accepted all the same, as qmail does. */
  #trash(message: NewMessage, streamed: boolean): Admission {
    return {
      changes: streamed ? [{ kind: "drop", body: message.body }] : [],
      admit: () => {
        this.#announce(message);
        this.#core.log({ event: "end", message: message.id });
      },
      refuse: () => {},
    };
  }

  #route(draft: Draft): readonly NewRecipient[] {
    const { router, scheduler, clock } = this.#core;
    const nowMs = clock.wallMs();
    const isDue = bornMs(draft) <= nowMs;
    const recipients: NewRecipient[] = [];
    for (const [place, forwardPath] of draft.forwardPaths.entries()) {
      const { channel, address, destination } = router.route(forwardPath);
      if (forwardPath.startsWith("@")) continue; // an empty local part is nobody
      const claimed = isDue && scheduler.accepts(channel, destination, this.#reserved[channel], nowMs);
      if (claimed) this.#reserved[channel]++;
      const dsn = draft.dsns?.get(place);
      const number = recipients.length;
      recipients.push({ number, forwardPath: address, channel, destination, claimed, ...(dsn && { dsn }) });
    }
    return recipients;
  }

  #release(recipients: readonly NewRecipient[]): void {
    for (const { claimed, channel } of recipients) if (claimed) this.#reserved[channel]--;
  }

  #announce(message: NewMessage): void {
    const { id, reversePath, uid } = message;
    this.#core.log({ event: "new", message: id });
    this.#core.log({ event: "info", message: id, octets: messageOctets(message), reversePath, uid });
  }

  #deliver(message: NewMessage, recipients: readonly NewRecipient[], body: readonly Buffer[] | undefined): void {
    const claimed = recipients.filter((recipient) => recipient.claimed);
    for (const { channel, claimed } of recipients) if (!claimed) this.#core.waits(channel, firstDueMs(message));
    if (claimed.length === 0) return;
    const active = this.#core.active.addFresh(message, recipients.length, body);
    const { id } = message;
    const arrivedMs = bornMs(message);
    const jobs = claimed.map((recipient) => addEntry(active, { ...recipient, message: id, arrivedMs, attempts: 0 }));
    this.#core.step({ kind: "claimed", jobs });
  }
}
