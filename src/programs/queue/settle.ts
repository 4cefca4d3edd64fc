import { isExpired, judge, type Report, type Verdict } from "../../protocol/schedule/retry.ts";
import type { ChannelName } from "../../protocol/schedule/scheduler.ts";
import { bornMs, type Change, type FailedRecipient } from "../../services/storage/storage.ts";
import type { Active, Entry } from "./active.ts";
import type { Admission, Admissions } from "./admission.ts";
import { type Composed, composeBounce, readFailures } from "./bounces.ts";
import type { Core } from "./core.ts";
import { receivedLine } from "./trace.ts";

/** A message that a delivery wants queued. */
export interface Forward {
  readonly reversePath: string;
  readonly prefix: Uint8Array;
  readonly forwardPaths: string[];
}
export interface Reported extends Report {
  readonly forwards: readonly Forward[];
}
export interface Result {
  readonly entry: Entry;
  /** Absent when there was no delivery. */
  readonly logNumber?: number;
  readonly reported: Reported;
}

/** What one end of a delivery does to the queue. */
interface Settlement {
  readonly changes: Change[];
  readonly failures: (Change & { kind: "failed" })[];
  readonly admissions: Admission[];
  /** When those are due again that were put off. */
  readonly due: { readonly channel: ChannelName; readonly nextAttemptMs: number }[];
  /** Some result is final: marks against a repetition may go once it is written. */
  final: boolean;
}

/** A forwarded message may have so much before its body: each hop within this server adds to it. */
const maxPrefixOctets = 262_144;

/** Turns what deliveries report into changes: all that follows from one report is written at once, or not at all. */
export class Settler {
  readonly #core: Core;
  readonly #admissions: Admissions;

  constructor(core: Core, admissions: Admissions) {
    this.#core = core;
    this.#admissions = admissions;
  }

  /** `whenFinal` is called once a K or D is on disk. What began later than now began before the clock was set back. */
  settle(active: Active, beganMs: number, results: readonly Result[], whenFinal: () => void): void {
    if (results.length === 0) return;
    const settlement: Settlement = { changes: [], failures: [], admissions: [], due: [], final: false };
    const startedMs = Math.min(beganMs, this.#core.clock.wallMs());
    const { queuelifetime } = this.#core.settings;
    const last = this.#core.trustsAges && isExpired(bornMs(active.message), startedMs, queuelifetime);
    for (const { entry, logNumber, reported } of results) {
      const verdict = this.#verdict(active, reported, judge(reported, entry, startedMs, last));
      const queued = this.#take(active, entry, verdict, reported, settlement);
      if (logNumber !== undefined) this.#log(logNumber, verdict, queued);
    }
    this.#write(active, settlement, whenFinal);
    for (const { entry } of results) this.#core.active.remove(active, entry.number);
  }

  /** A forward that cannot be queued is a delivery that failed. */
  #verdict(active: Active, { forwards }: Reported, verdict: Verdict): Verdict {
    const has = active.message.prefix.length;
    if (verdict.kind !== "delivered" || forwards.every(({ prefix }) => has + prefix.length < maxPrefixOctets)) {
      return verdict;
    }
    return { kind: "failed", status: "4.6", text: "This message was forwarded too often within this server." };
  }

  /** As which messages its forwards were queued is known only here. */
  #log(delivery: number, { kind, text }: Verdict, queued: readonly number[]): void {
    const result = kind === "delivered" ? "success" : kind === "deferred" ? "deferral" : "failure";
    const forwarded = queued.map((id) => `qp ${id}\n`).join("");
    this.#core.log({ event: "delivery", delivery, result, text: text + forwarded });
  }

  /** The ids of the messages that are to be queued with it. */
  #take(active: Active, entry: Entry, verdict: Verdict, { forwards }: Reported, to: Settlement): readonly number[] {
    const { message, number, channel } = entry;
    switch (verdict.kind) {
      case "delivered":
        active.remaining--;
        to.final = true;
        to.changes.push({ kind: "delivered", message, number });
        return (active.deleted ? [] : forwards).map((forward) => {
          const id = this.#core.storage.nextId();
          to.admissions.push(this.#forward(active, id, forward));
          return id;
        });
      case "deferred": {
        const { attempts, nextAttemptMs, text } = verdict;
        to.changes.push({ kind: "deferred", message, number, attempts, nextAttemptMs, lastReply: text });
        to.due.push({ channel, nextAttemptMs });
        return [];
      }
      case "failed": {
        active.remaining--;
        to.final = true;
        const forwardPath =
          channel === "local" ? this.#core.router.stripVirtualPrefix(entry.forwardPath) : entry.forwardPath;
        const { status, text } = verdict;
        to.failures.push({ kind: "failed", message, number, forwardPath, status, text });
        return [];
      }
      default:
        return verdict satisfies never;
    }
  }

  /** The message itself again, behind `prefix`: its body is shared, not copied. */
  #forward({ message }: Active, id: number, { reversePath, prefix, forwardPaths }: Forward): Admission {
    const arrivedMs = this.#core.clock.wallMs();
    const received = receivedLine(id, "by local", arrivedMs);
    const { bodyKind, uid, body, bodyOctets, suffix } = message;
    const before = Buffer.concat([received, prefix, message.prefix]);
    const content = { bodyKind, uid, prefix: before, body, bodyOctets, suffix };
    return this.#admissions.plan({ id, arrivedMs, reversePath, forwardPaths, ...content });
  }

  #write(active: Active, settlement: Settlement, whenFinal: () => void): void {
    const { changes, failures, admissions, due, final } = settlement;
    if (failures.length > 0) active.failed = true;
    const written = (): void => {
      if (final) whenFinal();
      for (const admission of admissions) admission.admit();
      // Only now: who looks before finds nothing, and it may be due by the time it is written.
      for (const { channel, nextAttemptMs } of due) this.#core.waits(channel, nextAttemptMs);
    };
    const forwarded = admissions.flatMap((admission) => admission.changes);
    if (active.deleted) {
      this.#writeDeleted(active, [...changes, ...failures], written);
    } else if (active.remaining > 0) {
      this.#core.require(active, [...changes, ...failures, ...forwarded], written);
    } else if (!active.failed) {
      this.#end(active, forwarded, written);
    } else {
      active.unwritten++; // it must not be forgotten while its bounce is being made
      void this.#bounce(active, failures, forwarded, written);
    }
  }

  /** It ends with its last delivery. Until then what is done is written down: after a crash it is only held. */
  #writeDeleted(active: Active, changes: readonly Change[], written: () => void): void {
    if (active.entries.values().some(({ running }) => running)) this.#core.require(active, changes, written);
    else this.#end(active, [], written);
  }

  #end(active: Active, before: readonly Change[], written: () => void, composed?: Composed): void {
    const message = active.message.id;
    const changes = [...before, ...(composed?.admission?.changes ?? []), { kind: "end", message } as const];
    this.#core.require(active, changes, () => {
      written();
      if (composed?.event) this.#core.log(composed.event);
      this.#core.log({ event: "end", message });
      composed?.admission?.admit();
    });
  }

  /** All recipients are finished and some failed: the bounce and the end of the message are one change. */
  async #bounce(
    active: Active,
    failures: readonly (Change & { kind: "failed" })[],
    forwarded: readonly Change[],
    written: () => void,
  ): Promise<void> {
    await this.#core.committer.flushed(); // what failed before is on disk now
    const now: FailedRecipient[] = failures.map((failure) => ({ ...failure, sequence: 0 }));
    const all = await readFailures(this.#core, active.message.id, now);
    const composed = await composeBounce(this.#core, this.#admissions, active, all);
    this.#end(active, forwarded, written, composed);
    this.#core.active.wrote(active);
  }
}
