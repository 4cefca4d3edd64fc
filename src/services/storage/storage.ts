import type { Outcome } from "../../protocol/outcome.ts";
import { noOptions, type Options } from "../../protocol/wire/submission.ts";

/** Octets of each piece of a body but the last. */
export const chunkOctets = 65_536;
/** So a body is at most 4 GiB. */
export const maxChunks = 65_536;

export type ChannelName = "local" | "remote";

/** What it asked for one recipient (RFC 3461 §4.1, §4.2), as it came; fields as in `dsnRecipients` of wire/submission.ts. */
export interface Dsn {
  readonly notify: number;
  readonly originalRecipient: string;
}

/** A message as the queue keeps it. Its octets are `prefix`, then the body, then `suffix`; several may share a body. */
export interface NewMessage {
  readonly id: number;
  readonly arrivedMs: number;
  readonly reversePath: string;
  readonly bodyKind: number;
  readonly uid: number;
  readonly prefix: Uint8Array;
  /** The id of the message the body came with; 0 for none. */
  readonly body: number;
  readonly bodyOctets: number;
  readonly suffix: Uint8Array;
  /** Absent where nothing was asked for, as for most. */
  readonly options?: Options;
}

export interface StoredMessage extends NewMessage {
  readonly held: boolean;
  /** Recipients without a final result. */
  readonly remaining: number;
  /** Some recipient has failed for good. */
  readonly failed: boolean;
  /** Its delay was reported. */
  readonly warned: boolean;
}

/** How many octets of it are to be delivered. */
export const messageOctets = (message: NewMessage): number =>
  message.prefix.length + message.bodyOctets + message.suffix.length;

/** From when it ages: it is not delivered before (RFC 4865). */
export const bornMs = ({ arrivedMs, options }: NewMessage): number => Math.max(arrivedMs, options?.holdUntilMs ?? 0);

/** Each level above the normal one counts as so long a wait among what is due. So nothing waits for ever behind the important. */
const priorityMs = 300_000;

/** When its recipients are due for the first time. */
export function firstDueMs(message: NewMessage): number {
  const levels = (message.options?.priority ?? noOptions.priority) - noOptions.priority;
  const born = bornMs(message);
  return born > message.arrivedMs ? born : born - Math.max(0, levels) * priorityMs;
}

export interface NewRecipient {
  readonly number: number;
  readonly forwardPath: string;
  readonly channel: ChannelName;
  /** Names of the two channels may coincide: a destination is the pair of channel and name. */
  readonly destination: string;
  /** Ours from the start, in memory; else it waits to be claimed. */
  readonly claimed: boolean;
  readonly dsn?: Dsn;
}

/** A recipient the caller has claimed. */
export interface ClaimedRecipient {
  readonly message: number;
  readonly number: number;
  readonly forwardPath: string;
  readonly channel: ChannelName;
  readonly destination: string;
  /** From when it ages. */
  readonly arrivedMs: number;
  readonly attempts: number;
  readonly dsn?: Dsn;
}

/** One thing to write down. Applied twice it does no more than once; for what does not exist it does nothing. */
export type Change =
  /** A full piece of a body that is still coming in. Without its `message` it is gone after the next start. */
  | { readonly kind: "chunk"; readonly body: number; readonly number: number; readonly octets: Uint8Array }
  /** The body will not be completed. */
  | { readonly kind: "drop"; readonly body: number }
  /** `chunk` is the end of its body, which may be all of it. Absent when the body is another message's, or empty. */
  | {
      readonly kind: "message";
      readonly message: NewMessage;
      readonly recipients: readonly NewRecipient[];
      readonly chunk?: { readonly number: number; readonly octets: Uint8Array };
    }
  /** Done with, and nothing of it comes into the bounce. */
  | { readonly kind: "delivered"; readonly message: number; readonly number: number }
  | {
      readonly kind: "deferred";
      readonly message: number;
      readonly number: number;
      readonly attempts: number;
      readonly nextAttemptMs: number;
      readonly lastReply: string;
    }
  | {
      readonly kind: "failed";
      readonly message: number;
      readonly number: number;
      readonly forwardPath: string;
      readonly status: string;
      readonly text: string;
    }
  /** The message leaves with all that belongs to it; the body when nobody shares it any more. */
  | { readonly kind: "end"; readonly message: number }
  /** A claimed recipient goes back, untried. */
  | { readonly kind: "unclaim"; readonly message: number; readonly number: number }
  /** Nothing of it is claimed until released. */
  | { readonly kind: "hold"; readonly message: number }
  /** `claimed`: recipients the caller still has. Does nothing to a message that is not held. */
  | { readonly kind: "release"; readonly message: number; readonly claimed: readonly number[] }
  /** What waits of it is due now, but for what is not to be delivered before some time. */
  | { readonly kind: "retry"; readonly message: number; readonly nowMs: number }
  /** Nothing of that destination is claimed before `untilMs`, or before it is opened. */
  | {
      readonly kind: "block";
      readonly channel: ChannelName;
      readonly destination: string;
      readonly untilMs: number;
    }
  | { readonly kind: "open"; readonly channel: ChannelName; readonly destination: string; readonly nowMs: number }
  /**
   * The clock went back: nothing waits beyond `latestMs`. Goes through everything that waits. What is not to be delivered
   * before some time waits for that, but from now no longer than it was to wait when it came.
   */
  | { readonly kind: "clamp"; readonly nowMs: number; readonly latestMs: number }
  /** Its delay was reported, which happens once. */
  | { readonly kind: "warned"; readonly message: number }
  /** What the wall clock says, to recognise a jump across a restart. */
  | { readonly kind: "clock"; readonly nowMs: number }
  /** Something was done, for good: an import says so in the same batch as what it brings, and brings nothing twice. */
  | { readonly kind: "mark"; readonly name: string };

export interface Claim {
  readonly channel: ChannelName;
  readonly nowMs: number;
  /** At most so many recipients in all, and of one destination. */
  readonly limit: number;
  readonly perDestination: number;
  /** Destinations to leave alone for `skipMs`. */
  readonly skip: readonly string[];
}
/** A destination full of recipients is looked at again after so long. */
export const skipMs = 100;

export interface Overdue {
  readonly channel: ChannelName;
  readonly destination: string;
  readonly nowMs: number;
  readonly arrivedBeforeMs: number;
  readonly limit: number;
}

export interface FailedRecipient {
  readonly sequence: number;
  readonly number: number;
  readonly forwardPath: string;
  readonly status: string;
  readonly text: string;
  readonly dsn?: Dsn;
}

export interface ListedRecipient {
  readonly number: number;
  readonly forwardPath: string;
  readonly channel: ChannelName;
  readonly destination: string;
  readonly attempts: number;
  readonly nextAttemptMs: number;
  readonly lastReply: string;
  readonly dsn?: Dsn;
}

export interface ListedMessage {
  readonly id: number;
  readonly arrivedMs: number;
  readonly octets: number;
  readonly reversePath: string;
  readonly uid: number;
  readonly held: boolean;
  readonly options?: Options;
  readonly recipientCount: number;
  /** The first few, by number. */
  readonly recipients: readonly ListedRecipient[];
}

/** All that is there must fit. Texts in lower case; of an address the whole, or its end from the @ on. */
export interface Wanted {
  readonly sender: string | undefined;
  readonly recipient: string | undefined;
  readonly destination: string | undefined;
  readonly arrivedByMs: number | undefined;
}

export interface Found {
  /** Messages that may fit, in order. */
  readonly ids: readonly number[];
  /** Where to look next; absent at the end of the queue. */
  readonly last: number | undefined;
}

/** Nothing of it is tried before `untilMs`. */
export interface BlockedDestination {
  readonly channel: ChannelName;
  readonly destination: string;
  readonly untilMs: number;
}

export interface Counts {
  readonly messages: number;
  readonly recipients: number;
  readonly held: number;
}

/**
 * Where the queue is kept. One user at a time. `temporary` means that nothing was done and that it may be asked again;
 * what is beyond repair is thrown, and the next start sets the damaged part aside.
 */
export interface Storage {
  /** Names this store among all stores there ever were: 12 hexadecimal digits. */
  readonly instance: string;
  /** The last `clock` written down before this start; 0 when there is none. */
  readonly lastClockMs: number;
  /** A number no message and no body had before, nor has after any crash. Reserved in blocks by `apply`. */
  nextId(): number;
  /**
   * All changes or none, in order; "done" once they survive power loss (bodies on their way, claims: not promised). Keeps no
   * view of their octets.
   * `refusable`: that includes new mail, which is not worth the last space.
   */
  apply(changes: readonly Change[], refusable?: boolean): Promise<Outcome<undefined>>;
  /** Whether the disk is full, and what is not `refusable` is written into space that was kept for it. */
  readonly isShort?: boolean;

  /** Takes recipients that are due, of many destinations in turn. After a start everything is unclaimed. */
  claim(claim: Claim): Promise<Outcome<readonly ClaimedRecipient[]>>;
  /** Takes recipients that are due and whose message is older, also of a blocked destination. */
  claimOverdue(overdue: Overdue): Promise<Outcome<readonly ClaimedRecipient[]>>;
  /** When the next claim is worthwhile. */
  nextDueMs(channel: ChannelName): Promise<Outcome<number | undefined>>;

  message(id: number): Promise<Outcome<StoredMessage | undefined>>;
  /** In memory that is the caller's now; `undefined` when it is not there, or damaged. */
  chunk(body: number, number: number): Promise<Outcome<Uint8Array | undefined>>;
  /** In order of failure, after `sequence` (0 for the first). */
  failures(message: number, sequence: number, limit: number): Promise<Outcome<readonly FailedRecipient[]>>;

  /** By id, above `after`, with at most `recipients` of each. */
  list(after: number, limit: number, recipients: number): Promise<Outcome<readonly ListedMessage[]>>;
  /** Looks among the next messages above `after`, so few that others need not wait for it. */
  search(after: number, wanted: Wanted): Promise<Outcome<Found>>;
  /** Those still to be delivered, above `after`. */
  recipients(message: number, after: number, limit: number): Promise<Outcome<readonly ListedRecipient[]>>;
  /** Destinations that are left alone at `nowMs`, those first that are so for longest. */
  blocked(nowMs: number, limit: number): Promise<Outcome<readonly BlockedDestination[]>>;
  counts(): Promise<Outcome<Counts>>;
  isMarked(name: string): Promise<Outcome<boolean>>;
  close(): Promise<void>;
}
