import type { Outcome } from "../../protocol/outcome.ts";
import { done } from "../../protocol/outcome.ts";
import type { Leftover, QmailQueue, QueuedMessage } from "../qmail-queue/read-queue.ts";
import { type Imported, type Importer, importMessage } from "./import-message.ts";

/** What a queue holds, counted. */
export interface QueueSummary {
  /** To be delivered, and of these not preprocessed. */
  messages: number;
  unrouted: number;
  recipients: number;
  /** Recipients done already. */
  done: number;
  /** Bounce paragraphs so far, and messages of which only the bounce is left. */
  failures: number;
  onlyBounce: number;
  octets: number;
  oldestMs: number;
  readonly leftovers: Record<Leftover["kind"], number>;
  /** The first few that are damaged, one sentence each. */
  readonly damage: string[];
}

/** So many damaged messages are named. */
const maxNamed = 20;

/** Reads all envelopes of a queue. */
export function summarise(queue: QmailQueue): Outcome<QueueSummary> {
  const summary: QueueSummary = {
    messages: 0,
    unrouted: 0,
    recipients: 0,
    done: 0,
    failures: 0,
    onlyBounce: 0,
    octets: 0,
    oldestMs: Number.POSITIVE_INFINITY,
    leftovers: { unfinished: 0, finished: 0, damaged: 0 },
    damage: [],
  };
  for (const number of queue.scan.numbers) {
    const read = queue.read(number);
    if (read.kind !== "done") return read;
    const found = read.value;
    if ("kind" in found) {
      summary.leftovers[found.kind]++;
      if (found.kind === "damaged" && summary.damage.length < maxNamed)
        summary.damage.push(`message ${number}: ${found.why}`);
    } else countMessage(summary, found);
  }
  return done(summary);
}

function countMessage(summary: QueueSummary, message: QueuedMessage): void {
  const records = [...message.local.records, ...message.remote.records];
  const open = records.filter((record) => !record.done).length + message.unrouted.length;
  summary.messages++;
  if (message.unrouted.length > 0) summary.unrouted++;
  summary.recipients += open;
  summary.done += records.length - (open - message.unrouted.length);
  summary.failures += message.failures.length;
  if (open === 0) summary.onlyBounce++;
  summary.octets += message.octets;
  summary.oldestMs = Math.min(summary.oldestMs, message.bornMs);
}

export type ImportCounts = Record<Imported | "damaged", number>;

/** Takes all messages over that can be. Stops at the first that cannot be read or written: to be done again, then. */
export async function importQueue(importer: Importer, queue: QmailQueue): Promise<Outcome<ImportCounts>> {
  const counts: ImportCounts = { queued: 0, bounced: 0, nothing: 0, already: 0, damaged: 0 };
  for (const number of queue.scan.numbers) {
    const read = queue.read(number);
    if (read.kind !== "done") return read;
    if ("kind" in read.value) {
      if (read.value.kind === "damaged") counts.damaged++;
      continue;
    }
    const imported = await importMessage(importer, read.value);
    if (imported.kind !== "done") return imported;
    counts[imported.value]++;
  }
  return done(counts);
}
