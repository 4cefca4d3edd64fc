import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { Reserve } from "./reserve.ts";
import { applyChange, channelName, channelNumber, chunkId, markKey } from "./sqlite-apply.ts";
import { claimDue, claimOverdue } from "./sqlite-claim.ts";
import { isDamage, isFull, isPassing } from "./sqlite-errors.ts";
import {
  checkpointPages,
  forgetClaims,
  prepareSchema,
  prepareStatements,
  rowOf,
  rowsOf,
  type Statements,
} from "./sqlite-schema.ts";
import { searchNext } from "./sqlite-search.ts";
import { type DsnRow, dsnOf, type OptionsRow, optionsOf } from "./sqlite-wishes.ts";
import type {
  BlockedDestination,
  Change,
  ChannelName,
  Claim,
  ClaimedRecipient,
  Counts,
  FailedRecipient,
  Found,
  ListedMessage,
  ListedRecipient,
  Overdue,
  Storage,
  StoredMessage,
  Wanted,
} from "./storage.ts";

/** Ids are reserved so many at a time; a crash leaves a gap of no more. */
const idBlock = 1_000;

/** How large the log grows on a full disk, and how many free pages in the file do for room on the disk. */
const fullCheckpointPages = 256;
const roomPages = 4_096;

export const databaseFile = (folder: string): string => join(folder, "queue.sqlite");

/** Opens the store in `folder`, makes it if there is none, and undoes what a crash left half done. Throws SQLite's error. */
export function openDatabase(folder: string, maxPages: number): Storage {
  const storage = new SqliteStorage(folder, maxPages);
  storage.begin();
  return storage;
}

interface Opened {
  readonly database: DatabaseSync;
  readonly s: Statements;
}
type Numbers<Names extends string> = { readonly [Name in Names]: number };
export type MessageRow = Omit<StoredMessage, "held" | "failed" | "warned" | "options"> &
  Numbers<"held" | "failed" | "warned"> &
  OptionsRow;
type ListRow = [
  id: number,
  arrivedMs: number,
  octets: number,
  reversePath: string,
  uid: number,
  held: number,
  recipientCount: number,
  envelopeId: string,
  ret: number | null,
  flags: number,
  priority: number,
  holdUntilMs: number,
  number: number | null,
  forwardPath: string,
  channel: number,
  destination: string,
  attempts: number,
  nextAttemptMs: number,
  lastReply: string,
  notify: number | null,
  originalRecipient: string,
];
type BlockedRow = Omit<BlockedDestination, "channel"> & Numbers<"channel">;
export type ListedRecipientRow = Omit<ListedRecipient, "channel" | "dsn"> & Numbers<"channel"> & DsnRow;

class SqliteStorage implements Storage {
  readonly #file: string;
  readonly #maxPages: number;
  readonly #reserve: Reserve;
  /** Whether the log is kept small. */
  #isSparing = false;
  #opened: Opened | undefined;
  /** Whether commits wait for the disk now. */
  #synchronous = true;
  #lastId = 0;
  #reservedId = 0;
  #instance = "";
  #lastClockMs = 0;
  /** Whether what the log holds may be in memory only: a flush failed, or nobody knows how the last process ended. */
  #distrustsLog = true;
  /** Messages of transactions whose flush failed: refused, and yet perhaps in the file when it is opened again. */
  #doubtful = new Set<number>();

  constructor(folder: string, maxPages: number) {
    this.#file = databaseFile(folder);
    this.#maxPages = maxPages;
    this.#reserve = new Reserve(folder);
  }

  get instance(): string {
    return this.#instance;
  }
  get lastClockMs(): number {
    return this.#lastClockMs;
  }

  get isShort(): boolean {
    return this.#reserve.isOut;
  }

  begin(): void {
    try {
      this.#begin();
    } catch (error) {
      if (!isFull(error) || !this.#reserve.release()) throw error;
      this.#undo(error, []);
      this.#begin();
    }
  }

  #begin(): void {
    const { database, s } = this.#open();
    this.#spare(database);
    for (const { body } of rowsOf<{ body: number }>(s.incoming)) applyChange(s, { kind: "drop", body });
    database.exec(forgetClaims);
    const meta = (name: string) => rowOf<{ value: string | number }>(s.meta, name)?.value;
    this.#lastId = this.#reservedId = Number(meta("id") ?? 0);
    this.#lastClockMs = Number(meta("clock") ?? 0);
    this.#instance = String(meta("instance") ?? randomBytes(6).toString("hex"));
    s.setMeta.run("instance", this.#instance);
  }

  nextId(): number {
    return ++this.#lastId;
  }

  async apply(changes: readonly Change[], refusable = false): Promise<Outcome<undefined>> {
    if (refusable && this.#reserve.isOut && !(await this.#hasRoomAgain())) return diskFull;
    const durable = changes.some(({ kind }) => kind !== "chunk" && kind !== "unclaim" && kind !== "clock");
    return this.#transaction(
      durable,
      changes,
      (s) => {
        if (this.#doubtful.size > 0) this.#undoDoubtful(s, changes);
        for (const change of changes) applyChange(s, change);
        return undefined;
      },
      refusable,
    );
  }

  claim(claim: Claim): Promise<Outcome<readonly ClaimedRecipient[]>> {
    return this.#transaction(false, [], (s) => claimDue(s, claim));
  }
  claimOverdue(overdue: Overdue): Promise<Outcome<readonly ClaimedRecipient[]>> {
    return this.#transaction(false, [], (s) => claimOverdue(s, overdue));
  }

  nextDueMs(channel: ChannelName): Promise<Outcome<number | undefined>> {
    return this.#read((s) => rowOf<{ due: number | null }>(s.nextDue, channelNumber(channel))?.due ?? undefined);
  }
  message(id: number): Promise<Outcome<StoredMessage | undefined>> {
    return this.#read((s) => {
      const row = rowOf<MessageRow>(s.message, id);
      return row && stored(row);
    });
  }
  chunk(body: number, number: number): Promise<Outcome<Uint8Array | undefined>> {
    return this.#read((s) => {
      try {
        return rowOf<{ octets: Uint8Array }>(s.chunk, chunkId(body, number))?.octets;
      } catch (error) {
        if (isDamage(error)) return undefined; // the one message suffers, not the start of the whole queue
        throw error;
      }
    });
  }
  failures(message: number, sequence: number, limit: number): Promise<Outcome<readonly FailedRecipient[]>> {
    return this.#read((s) =>
      rowsOf<Omit<FailedRecipient, "dsn"> & DsnRow>(s.failures, message, sequence, limit).map((row) => {
        const { sequence, number, forwardPath, status, text } = row;
        return { sequence, number, forwardPath, status, text, ...dsnOf(row) };
      }),
    );
  }
  list(after: number, limit: number, recipients: number): Promise<Outcome<readonly ListedMessage[]>> {
    return this.#read((s) => gather(rowsOf<ListRow>(s.list, after, limit, recipients)));
  }
  search(after: number, wanted: Wanted): Promise<Outcome<Found>> {
    return this.#read((s) => searchNext(s, after, wanted));
  }
  recipients(message: number, after: number, limit: number): Promise<Outcome<readonly ListedRecipient[]>> {
    return this.#read((s) => rowsOf<ListedRecipientRow>(s.recipients, message, after, limit).map(listed));
  }
  blocked(nowMs: number, limit: number): Promise<Outcome<readonly BlockedDestination[]>> {
    return this.#read((s) =>
      rowsOf<BlockedRow>(s.blocked, nowMs, limit).map(({ channel, ...row }) => ({
        channel: channelName(channel),
        ...row,
      })),
    );
  }
  counts(): Promise<Outcome<Counts>> {
    return this.#read((s) => ({ ...(rowOf<Counts>(s.counts) ?? { messages: 0, recipients: 0, held: 0 }) }));
  }
  isMarked(name: string): Promise<Outcome<boolean>> {
    return this.#read((s) => rowOf(s.meta, markKey(name)) !== undefined);
  }

  async close(): Promise<void> {
    try {
      this.#opened?.s.setMeta.run("id", this.#lastId);
    } finally {
      this.#forsake();
    }
  }

  #open(): Opened {
    if (this.#opened) return this.#opened;
    const database = new DatabaseSync(this.#file);
    try {
      prepareSchema(database);
      database.exec(`PRAGMA max_page_count = ${this.#maxPages}`);
      if (this.#distrustsLog) emptyLog(database);
      this.#distrustsLog = false;
      this.#isSparing = false;
      this.#synchronous = true;
      this.#opened = { database, s: prepareStatements(database) };
    } catch (error) {
      database.close();
      throw error;
    }
    return this.#opened;
  }

  /** After a failed flush nobody knows what the kernel kept: these descriptors are not used again. */
  #forsake(): void {
    const opened = this.#opened;
    this.#opened = undefined;
    opened?.database.close();
  }

  async #read<Value>(read: (s: Statements) => Value): Promise<Outcome<Value>> {
    try {
      return done(read(this.#open().s));
    } catch (error) {
      return failed("read", error);
    }
  }

  async #transaction<Value>(
    durable: boolean,
    changes: readonly Change[],
    work: (s: Statements) => Value,
    refusable = false,
  ): Promise<Outcome<Value>> {
    try {
      const { database, s } = this.#open();
      this.#spare(database);
      if (this.#synchronous !== durable) {
        database.exec(`PRAGMA synchronous = ${durable ? "FULL" : "NORMAL"}`);
        this.#synchronous = durable;
      }
      s.begin.run();
      const value = work(s);
      if (this.#lastId > this.#reservedId) s.setMeta.run("id", this.#lastId + idBlock);
      s.commit.run();
      if (this.#lastId > this.#reservedId) this.#reservedId = this.#lastId + idBlock;
      if (durable) this.#doubtful.clear();
      return done(value);
    } catch (error) {
      this.#undo(error, changes);
      if (isFull(error) && this.#reserve.release() && !refusable) return this.#transaction(durable, changes, work);
      const failure = failed("write", error);
      // The honest word when a flush failed: if a crash comes now, nobody can take back what did reach the disk.
      return this.#doubtful.size > 0 ? temporary("3.1", `${failure.text}; it may have the message`) : failure;
    }
  }

  /** On a full disk what the log takes up is used over and over, and the rest stays for the file. */
  #spare(database: DatabaseSync): void {
    if (this.#isSparing === this.#reserve.isOut) return;
    this.#isSparing = this.#reserve.isOut;
    database.exec(`PRAGMA wal_autocheckpoint = ${this.#isSparing ? fullCheckpointPages : checkpointPages}`);
    if (this.#isSparing) emptyLog(database);
  }

  /** The file does not shrink: what it has free is as good as room on the disk. */
  async #hasRoomAgain(): Promise<boolean> {
    this.#reserve.retake();
    if (!this.#reserve.isOut) return true;
    const free = await this.#read((s) => rowOf<{ pages: number }>(s.freePages)?.pages ?? 0);
    return free.kind === "done" && free.value >= roomPages;
  }

  #undo(error: unknown, changes: readonly Change[]): void {
    try {
      if (this.#opened?.database.isTransaction) this.#opened.s.rollback.run();
      if (isFull(error)) return;
      for (const change of changes) if (change.kind === "message") this.#doubtful.add(change.message.id);
      this.#distrustsLog = true;
      this.#forsake();
    } catch {
      this.#opened = undefined; // it could not even be closed: the next use opens the file afresh
    }
  }

  #undoDoubtful(s: Statements, changes: readonly Change[]): void {
    const coming = new Set(changes.map((change) => (change.kind === "message" ? change.message.id : 0)));
    for (const message of this.#doubtful) if (!coming.has(message)) applyChange(s, { kind: "end", message });
  }
}

/**
 * Takes the log over into the file, flushed, and cuts it to nothing. After a failed flush the kernel calls pages clean
 * that the disk never got: a log with such a hole ends there after a power cut, and all that was added later is lost.
 * A full disk may have no room for it, and must not keep the queue from starting.
 */
function emptyLog(database: DatabaseSync): void {
  try {
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (error) {
    if (!isFull(error)) throw error;
  }
}

const diskFull = temporary("3.1", "cannot write the queue: its disk is full");

function failed(what: string, error: unknown) {
  if (!isPassing(error)) throw error;
  const why = error instanceof Error ? error.message : String(error);
  return temporary("3.1", `cannot ${what} the queue: ${why}`);
}

/** What is stored of a message, of a row as its statement gives it. */
export function stored(row: MessageRow): StoredMessage {
  const { envelopeId: _1, ret: _2, flags: _3, priority: _4, holdUntilMs: _5, held, failed, warned, ...rest } = row;
  return { ...rest, held: held === 1, failed: failed === 1, warned: warned === 1, ...optionsOf(row) };
}

const listed = (row: ListedRecipientRow): ListedRecipient => {
  const { number, forwardPath, channel, destination, attempts, nextAttemptMs, lastReply } = row;
  const name = channelName(channel);
  return { number, forwardPath, channel: name, destination, attempts, nextAttemptMs, lastReply, ...dsnOf(row) };
};

/** Rows come as tuples, and little is spread: a listing goes through the whole queue. */
function gather(rows: readonly ListRow[]): readonly ListedMessage[] {
  const messages: (ListedMessage & { recipients: ListedRecipient[] })[] = [];
  for (const row of rows) {
    const [id, arrivedMs, octets, reversePath, uid, held, recipientCount, ...more] = row;
    const [envelopeId, ret, flags, priority, holdUntilMs, number, ...recipient] = more;
    let message = messages.at(-1);
    if (message?.id !== id) {
      const asked = optionsOf({ envelopeId, ret, flags, priority, holdUntilMs });
      message = { id, arrivedMs, octets, reversePath, uid, held: held === 1, ...asked, recipientCount, recipients: [] };
      messages.push(message);
    }
    if (number === null) continue;
    const [forwardPath, channel, destination, attempts, nextAttemptMs, lastReply, notify, originalRecipient] =
      recipient;
    const columns = { number, forwardPath, channel, destination, attempts, nextAttemptMs, lastReply };
    message.recipients.push(listed({ ...columns, notify, originalRecipient }));
  }
  return messages;
}
