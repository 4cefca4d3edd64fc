import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { isEnvelopeAddress, maxAddressOctets } from "../../protocol/address.ts";
import { composeQsbmf } from "../../protocol/bounce/qsbmf.ts";
import { statusIn } from "../../protocol/bounce/report.ts";
import type { Settings } from "../../protocol/control/table.ts";
import { formatDate } from "../../protocol/date.ts";
import { done, type Failure, type Outcome, type Status, temporary } from "../../protocol/outcome.ts";
import type { BounceParagraph } from "../../protocol/qmail-queue/records.ts";
import { domainOf, type Router } from "../../protocol/routing/router.ts";
import { stripVerp } from "../../protocol/verp.ts";
import type { Channel, QueuedMessage } from "../qmail-queue/read-queue.ts";
import { type Change, type ChannelName, chunkOctets, type NewRecipient, type Storage } from "../storage/storage.ts";

export interface Importer {
  readonly storage: Storage;
  readonly router: Router;
  readonly settings: Settings;
  readonly nowMs: number;
}

/** `nothing`: it had nobody left to be told or delivered to. `already`: an earlier import brought it. */
export type Imported = "queued" | "bounced" | "nothing" | "already";

/** A recipient that goes on waiting, and until when. */
interface Waiting {
  readonly forwardPath: string;
  readonly channel: ChannelName;
  readonly destination: string;
  readonly nextAttemptMs: number;
}

/**
 * Takes one message over, once and for all: what comes of it is written in one transaction together with a mark, so
 * that whenever this is broken off, doing it again brings nothing twice and leaves nothing out.
 */
export async function importMessage(importer: Importer, message: QueuedMessage): Promise<Outcome<Imported>> {
  const { storage } = importer;
  try {
    const name = await markOf(message);
    const marked = await storage.isMarked(name);
    if (marked.kind !== "done") return marked;
    if (marked.value) return done("already");
    const planned = plan(importer, message);
    const changes = planned.kind === "nothing" ? [] : await withBody(storage, message, planned);
    if ("status" in changes) return changes;
    const applied = await storage.apply([...changes, { kind: "mark", name }]);
    return applied.kind === "done" ? done(planned.kind) : applied;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return temporary("3.0", `cannot read ${message.path}: ${code}`);
  }
}

/** The same message has the same mark, wherever its folder was moved to: its first line names a process and a time. */
async function markOf({ number, path }: QueuedMessage): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return `qmail message ${number} ${hash.digest("hex")}`;
}

type Planned =
  | { readonly kind: "nothing" }
  | {
      readonly kind: "queued" | "bounced";
      readonly id: number;
      readonly reversePath: string;
      readonly arrivedMs: number;
      readonly uid: number;
      readonly prefix: string;
      readonly waiting: readonly Waiting[];
      readonly failures: readonly BounceParagraph[];
    };

function plan(importer: Importer, message: QueuedMessage): Planned {
  const { router } = importer;
  const taken: Waiting[] = [];
  const failures = [...message.failures];
  for (const forwardPath of message.unrouted) {
    if (forwardPath.startsWith("@")) continue; // an empty local part is nobody, as when it comes in
    const { address, ...route } = router.route(forwardPath);
    taken.push({ forwardPath: address, ...route, nextAttemptMs: 0 });
  }
  taken.push(...openOf("local", message.local), ...openOf("remote", message.remote));
  const waiting = taken.filter(({ forwardPath }) => isEnvelopeAddress(forwardPath));
  for (const { forwardPath } of taken.filter((each) => !waiting.includes(each))) {
    const text = `This address has control characters or more than ${maxAddressOctets} octets.\n`;
    failures.push({ forwardPath: forwardPath.slice(0, maxAddressOctets), text });
  }
  const reversePath = isEnvelopeAddress(message.reversePath) ? message.reversePath : "";
  if (waiting.length === 0)
    return failures.length === 0 ? { kind: "nothing" } : bounceOf(importer, message, reversePath, failures);
  const { bornMs, uid } = message;
  const id = importer.storage.nextId();
  return { kind: "queued", id, reversePath, arrivedMs: bornMs, uid, prefix: "", waiting, failures };
}

function openOf(channel: ChannelName, { records, nextAttemptMs }: Channel): readonly Waiting[] {
  return records
    .filter((record) => !record.done)
    .map(({ address }) => ({
      forwardPath: address,
      channel,
      destination: channel === "local" ? address : domainOf(address),
      nextAttemptMs,
    }));
}

const doubleBounceSender = "#@[]";

/** All its recipients are done, and its bounce was not sent: the bounce qmail-send would have sent next. */
function bounceOf(
  { router, settings, storage, nowMs }: Importer,
  { bornMs }: QueuedMessage,
  reversePath: string,
  failures: readonly BounceParagraph[],
): Planned {
  const isDouble = reversePath === "";
  if (reversePath === doubleBounceSender || (isDouble && settings.doublebounceto === "")) return { kind: "nothing" };
  const to = isDouble ? `${settings.doublebounceto}@${settings.doublebouncehost}` : stripVerp(reversePath);
  const id = storage.nextId();
  const { prefix } = composeQsbmf({
    bounceFrom: settings.bouncefrom,
    bounceHost: settings.bouncehost,
    reportingHost: settings.me,
    to,
    reversePath: stripVerp(reversePath),
    nowMs,
    arrivedMs: bornMs,
    recipients: failures.map((failure) => ({ ...failure, status: "0.0" })),
    omitted: 0,
    headerOnlyOver: undefined,
  });
  const received = `Received: (postern ${id} invoked for bounce); ${formatDate(nowMs)}\n`;
  const { address, ...route } = router.route(to);
  return {
    kind: "bounced",
    id,
    reversePath: isDouble ? doubleBounceSender : "",
    arrivedMs: nowMs,
    uid: 0,
    prefix: received + prefix,
    waiting: [{ forwardPath: address, ...route, nextAttemptMs: 0 }],
    failures: [],
  };
}

type Brought = Planned & { readonly kind: "queued" | "bounced" };

/** Writes all of the body but its last piece, and returns the changes that make it a message. */
async function withBody(
  storage: Storage,
  { path }: QueuedMessage,
  planned: Brought,
): Promise<readonly Change[] | Failure> {
  const { id } = planned;
  let number = 0;
  let octets = 0;
  let last: Buffer | undefined;
  await using file = await open(path);
  for (;;) {
    const piece = Buffer.alloc(chunkOctets);
    const length = await fill(file, piece);
    if (length === 0) break;
    if (last) {
      const written = await storage.apply([{ kind: "chunk", body: id, number: number++, octets: last }]);
      if (written.kind !== "done") return written;
    }
    last = piece.subarray(0, length);
    octets += length;
  }
  return messageChanges(planned, octets, last && { number, octets: last });
}

/** Reads until the piece is full or the file ends; pieces of a body are all of one size. */
async function fill(file: FileHandle, piece: Buffer): Promise<number> {
  let length = 0;
  while (length < piece.length) {
    const { bytesRead } = await file.read(piece, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}

function messageChanges(
  { id, arrivedMs, reversePath, uid, prefix, waiting, failures }: Brought,
  bodyOctets: number,
  chunk: { readonly number: number; readonly octets: Buffer } | undefined,
): readonly Change[] {
  const recipients: NewRecipient[] = waiting.map((each, number) => ({ ...each, number, claimed: false }));
  const failed = failures.map(({ forwardPath, text }, at) => ({ forwardPath, text, number: waiting.length + at }));
  for (const { forwardPath, number } of failed) {
    // Only ever there within this transaction: what has failed is a recipient that came, and failed.
    recipients.push({ number, forwardPath, channel: "remote", destination: "", claimed: true });
  }
  const message = {
    id,
    arrivedMs,
    reversePath,
    bodyKind: 0,
    uid,
    prefix: Buffer.from(prefix, "latin1"),
    body: chunk ? id : 0,
    bodyOctets,
    suffix: Buffer.alloc(0),
  };
  return [
    { kind: "message", message, recipients, ...(chunk && { chunk }) },
    ...failed.map((failure): Change => ({ kind: "failed", message: id, status: statusOf(failure.text), ...failure })),
    ...waiting.flatMap(({ nextAttemptMs }, number): Change[] =>
      nextAttemptMs > arrivedMs
        ? [{ kind: "deferred", message: id, number, attempts: 1, nextAttemptMs, lastReply: "" }]
        : [],
    ),
  ];
}

/** Without its class. */
const statusOf = (text: string): Status => {
  const status = statusIn(text);
  return (status === "" ? "0.0" : status.slice(2)) as Status;
};
