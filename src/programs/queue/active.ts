import type { Job } from "../../protocol/schedule/scheduler.ts";
import { isVerp, xverpOf } from "../../protocol/verp.ts";
import { noOptions } from "../../protocol/wire/submission.ts";
import { free } from "../../services/memory/free.ts";
import type { ClaimedRecipient, Dsn, NewMessage, StoredMessage } from "../../services/storage/storage.ts";

/** A recipient in memory. */
export interface Entry extends Job {
  /** What the client asked for it. */
  readonly dsn: Dsn | undefined;
  /** Being delivered. */
  running: boolean;
  /** How often the delivering program died over it. */
  breaks: number;
}

/** A message with recipients in memory. */
export interface Active {
  readonly message: NewMessage;
  readonly entries: Map<number, Entry>;
  /** Groups of changes about it that are not on disk yet: until then only we know how many recipients remain. */
  unwritten: number;
  /** Recipients without a final result, in memory or not. */
  remaining: number;
  /** Some failed for good. */
  failed: boolean;
  /** Its delay was reported. */
  warned: boolean;
  held: boolean;
  /** The operator deleted it while it was being delivered. */
  deleted: boolean;
  /** The body in chunks, while there is room for it. */
  body: readonly Buffer[] | undefined;
}

export interface Read {
  readonly id: number;
  stale: boolean;
}

/** All bodies kept in memory together. */
const maxCachedOctets = 33_554_432;

/** The messages that have recipients in memory: as many as the scheduler's windows hold at most. */
export class ActiveMessages {
  readonly #messages = new Map<number, Active>();
  readonly #reads = new Set<Read>();
  readonly #barred = new Set<number>();
  #cachedOctets = 0;

  get size(): number {
    return this.#messages.size;
  }
  get cachedOctets(): number {
    return this.#cachedOctets;
  }

  get(id: number): Active | undefined {
    return this.#messages.get(id);
  }

  /** Begins to read a message from disk. What comes is worth nothing when `read.stale` is set in the meantime. */
  beginRead(id: number): Read {
    const read = { id, stale: false };
    this.#reads.add(read);
    return read;
  }

  endRead(read: Read): void {
    this.#reads.delete(read);
  }

  /** The message on disk has changed. */
  touch(id: number): void {
    for (const read of this.#reads) if (read.id === id) read.stale = true;
  }

  /** The message is about to be gone from disk: until `unbar` it is not read. */
  bar(id: number): void {
    this.#barred.add(id);
    this.touch(id);
  }

  unbar(id: number): void {
    this.#barred.delete(id);
    this.touch(id);
  }

  isBarred(id: number): boolean {
    return this.#barred.has(id);
  }

  /** A message that was just stored; `body` is kept if there is room, and freed when nobody needs it any more. */
  addFresh(message: NewMessage, remaining: number, body: readonly Buffer[] | undefined): Active {
    const keep = body !== undefined && this.#cachedOctets + message.bodyOctets <= maxCachedOctets;
    if (keep) this.#cachedOctets += message.bodyOctets;
    const flags = { failed: false, warned: false, held: false, deleted: false, body: keep ? body : undefined };
    return this.#add({ message, entries: new Map(), unwritten: 0, remaining, ...flags });
  }

  addStored(message: StoredMessage): Active {
    const { remaining, held, failed, warned } = message;
    const flags = { failed, warned, held, deleted: false, body: undefined };
    return this.#add({ message, entries: new Map(), unwritten: 0, remaining, ...flags });
  }

  #add(active: Active): Active {
    this.#messages.set(active.message.id, active);
    return active;
  }

  /** The recipient is no longer in memory. */
  remove(active: Active, number: number): void {
    active.entries.delete(number);
    this.#forgetIfDone(active);
  }

  /** The last of the changes counted in `unwritten` may have been written. */
  wrote(active: Active): void {
    active.unwritten--;
    this.#forgetIfDone(active);
  }

  #forgetIfDone(active: Active): void {
    if (active.entries.size > 0 || active.unwritten > 0) return;
    if (active.body) this.#cachedOctets -= active.message.bodyOctets;
    for (const chunk of active.body ?? []) free(chunk);
    active.body = undefined;
    this.#messages.delete(active.message.id);
    this.touch(active.message.id);
  }
}

export function addEntry(active: Active, recipient: ClaimedRecipient): Entry {
  const { message, number, forwardPath, channel, destination, arrivedMs, attempts } = recipient;
  const entry: Entry = {
    message,
    number,
    forwardPath,
    channel,
    destination,
    arrivedMs,
    attempts,
    shares: sharing(active.message.reversePath),
    dsn: recipient.dsn,
    priority: (active.message.options ?? noOptions).priority - noOptions.priority,
    askedOctets: recipient.dsn?.originalRecipient.length ?? 0,
    running: false,
    breaks: 0,
  };
  active.entries.set(number, entry);
  return entry;
}

const sharing = (reversePath: string): Entry["shares"] =>
  isVerp(reversePath) ? (xverpOf(reversePath) ? "XVERP" : "never") : "always";
