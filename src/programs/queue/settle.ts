import { isDeepStrictEqual } from "node:util";
import type { Action, NoticeRecipient } from "../../protocol/bounce/notice.ts";
import { wroteFilesAlone } from "../../protocol/dot-qmail/report.ts";
import type { Event } from "../../protocol/event/event.ts";
import { isExpired, judge, type Report, type Verdict } from "../../protocol/schedule/retry.ts";
import type { ChannelName } from "../../protocol/schedule/scheduler.ts";
import { expandVerp } from "../../protocol/verp.ts";
import { noOptions, notifyFailure, type Options } from "../../protocol/wire/submission.ts";
import { bornMs, type Change, type Dsn, type FailedRecipient } from "../../services/storage/storage.ts";
import type { Active, Entry } from "./active.ts";
import type { Admission, Admissions } from "./admission.ts";
import { type Composed, composeBounce, readFailures } from "./bounces.ts";
import type { Core } from "./core.ts";
import { planNotice, readHeader, type Told } from "./notices.ts";
import { isLate, noticed, passOn, readWaiting, wantsSuccess } from "./reports.ts";
import { receivedLine } from "./trace.ts";

/** A message that a delivery wants queued. */
export interface Forward {
  readonly reversePath: string;
  readonly prefix: Uint8Array;
  readonly forwardPaths: string[];
}
/** The server that took the message. */
export interface NextHop {
  readonly peer: string;
  /** It reports itself what was asked for. */
  readonly takesDsn: boolean;
  /** It is where the mail is to stay. */
  readonly isFinal: boolean;
}
export interface Reported extends Report {
  readonly forwards: readonly Forward[];
  readonly nextHop?: NextHop;
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
  /** Who is to be reported as delivered. */
  readonly successes: NoticeRecipient[];
  success: Action;
  readonly events: Event[];
  /** When those are due again that were put off. */
  readonly due: { readonly channel: ChannelName; readonly nextAttemptMs: number }[];
  /** Some result is final: marks against a repetition may go once it is written. */
  final: boolean;
  /** Were it lost in a crash, nothing would be done twice: it may wait for company in a commit. */
  isRepeatable: boolean;
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

  /**
   * `whenFinal` is called once a K or D is on disk. What began later than now began before the clock was set back.
   * `header` is the message's, where success may have to be reported.
   */
  settle(
    active: Active,
    beganMs: number,
    results: readonly Result[],
    whenFinal: () => void,
    header?: Uint8Array,
  ): void {
    if (results.length === 0) return;
    // Seen now, a jump is also seen when it goes back: no wait that is written down meanwhile outlasts it.
    if (!this.#core.trustsAges) this.#core.clockIsOff();
    const settlement = newSettlement();
    const startedMs = Math.min(beganMs, this.#core.clock.wallMs());
    const { queuelifetime } = this.#core.settings;
    const last = this.#core.trustsAges && isExpired(bornMs(active.message), startedMs, queuelifetime);
    let isDelayed = false;
    for (const { entry, logNumber, reported } of results) {
      const verdict = this.#verdict(active, reported, judge(reported, entry, startedMs, last));
      const queued = this.#take(active, entry, verdict, reported, settlement);
      settlement.isRepeatable &&= verdict.kind === "deferred" || isMarked(entry, verdict);
      if (verdict.kind === "deferred") isDelayed ||= isLate(this.#core, active, entry, startedMs);
      if (logNumber !== undefined) this.#log(logNumber, verdict, queued);
    }
    if (header && !active.deleted) this.#reportSuccess(active, settlement, header);
    this.#write(active, settlement, whenFinal);
    if (isDelayed) void this.#reportDelay(active);
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
  #take(active: Active, entry: Entry, verdict: Verdict, reported: Reported, to: Settlement): readonly number[] {
    const { message, number, channel } = entry;
    switch (verdict.kind) {
      case "delivered":
        active.remaining--;
        to.final = true;
        to.changes.push({ kind: "delivered", message, number });
        return this.#delivered(active, entry, reported, to);
      case "deferred": {
        const { attempts, nextAttemptMs, text } = verdict;
        to.changes.push({ kind: "deferred", message, number, attempts, nextAttemptMs, lastReply: text });
        to.due.push({ channel, nextAttemptMs });
        return [];
      }
      case "failed": {
        active.remaining--;
        to.final = true;
        const { status, text } = verdict;
        if (wantsFailure(entry.dsn)) {
          to.failures.push({ kind: "failed", message, number, forwardPath: this.#shownPath(entry), status, text });
        } else to.changes.push({ kind: "delivered", message, number });
        return [];
      }
      default:
        return verdict satisfies never;
    }
  }

  /** Takes note of a success that is to be reported, and queues what goes on from there. */
  #delivered(active: Active, entry: Entry, { forwards, nextHop, text }: Reported, to: Settlement): readonly number[] {
    const sender = expandVerp(active.message.reversePath, entry.forwardPath);
    const own = forwards.filter(({ reversePath }) => reversePath === sender);
    const copies = own.reduce((sum, { forwardPaths }) => sum + forwardPaths.length, 0);
    const { dsn, action } = passOn(entry.dsn, copies);
    if (action && wantsSuccess(active, entry) && !nextHop?.takesDsn) {
      const isRemote = entry.channel === "remote";
      to.success = isRemote && !nextHop?.isFinal ? "relayed" : action;
      // What a local delivery says is for the log.
      const { forwardPath, ...rest } = noticed(entry, isRemote ? text : "");
      const remoteHost = nextHop && { remoteHost: nextHop.peer };
      to.successes.push({ ...rest, forwardPath: this.#shownPath(entry), ...remoteHost });
    }
    return (active.deleted ? [] : forwards).map((forward) => {
      const id = this.#core.storage.nextId();
      to.admissions.push(this.#forward(active, id, forward, own.includes(forward) ? { dsn } : undefined));
      return id;
    });
  }

  #shownPath({ channel, forwardPath }: Entry): string {
    return channel === "local" ? this.#core.router.stripVirtualPrefix(forwardPath) : forwardPath;
  }

  /** In the transaction of the results it reports. */
  #reportSuccess({ message }: Active, settlement: Settlement, header: Uint8Array): void {
    const { successes: recipients, success: action, admissions, events } = settlement;
    if (recipients.length === 0) return;
    const told = { action, recipients, omitted: 0, copy: { header } };
    const { id, admission } = planNotice(this.#core, this.#admissions, message, told);
    admissions.push(admission);
    events.push({ event: "report", message: message.id, report: id, action });
  }

  /** Once a message, as soon as it is known who else waits. It is no result: a crash before leaves it to the next attempt. */
  async #reportDelay(active: Active): Promise<void> {
    const core = this.#core;
    const { message } = active;
    active.warned = true;
    active.unwritten++; // it must not be forgotten meanwhile
    const header = await readHeader(core, message);
    const waiting = await readWaiting(core, active);
    if (active.remaining > 0 && !active.deleted && waiting.recipients.length > 0) {
      const retryUntilMs = bornMs(message) + core.settings.queuelifetime * 1_000;
      const told: Told = { action: "delayed", ...waiting, copy: { header }, retryUntilMs };
      const { id, admission } = planNotice(core, this.#admissions, message, told);
      core.require(active, [{ kind: "warned", message: message.id }, ...admission.changes], () => {
        core.log({ event: "report", message: message.id, report: id, action: told.action });
        admission.admit();
      });
    } else active.warned = false;
    core.active.wrote(active);
  }

  /**
   * The message itself again, behind `prefix`: its body is shared, not copied. `asked`: it goes on in the name of its
   * sender, who may want to hear of it.
   */
  #forward(
    { message }: Active,
    id: number,
    { reversePath, prefix, forwardPaths }: Forward,
    asked: { readonly dsn: Dsn | undefined } | undefined,
  ): Admission {
    const arrivedMs = this.#core.clock.wallMs();
    const received = receivedLine(id, "by local", arrivedMs);
    const { bodyKind, uid, body, bodyOctets, suffix } = message;
    const added = Buffer.concat([received, prefix]);
    // A binary message goes on as it is stored (RFC 3030 §3), so its lines end in CR LF here too.
    const lines =
      bodyKind === binary ? Buffer.from(added.toString("latin1").replaceAll("\n", "\r\n"), "latin1") : added;
    const before = Buffer.concat([lines, message.prefix]);
    const content = { bodyKind, uid, prefix: before, body, bodyOctets, suffix };
    const options = forwardedOptions(message.options, asked !== undefined);
    const { dsn } = asked ?? {};
    const dsns = new Map(dsn ? forwardPaths.map((_, place) => [place, dsn] as const) : []);
    return this.#admissions.plan({
      id,
      arrivedMs,
      reversePath,
      forwardPaths,
      dsns,
      ...content,
      ...(options && { options }),
    });
  }

  #write(active: Active, settlement: Settlement, whenFinal: () => void): void {
    const { changes, failures, admissions, events, due, final } = settlement;
    const isRepeatable = settlement.isRepeatable && admissions.length === 0;
    if (failures.length > 0) active.failed = true;
    const written = (): void => {
      if (final) whenFinal();
      for (const event of events) this.#core.log(event);
      for (const admission of admissions) admission.admit();
      // Only now: who looks before finds nothing, and it may be due by the time it is written.
      for (const { channel, nextAttemptMs } of due) this.#core.waits(channel, nextAttemptMs);
    };
    const forwarded = admissions.flatMap((admission) => admission.changes);
    if (active.deleted) {
      this.#writeDeleted(active, [...changes, ...failures], written);
    } else if (active.remaining > 0) {
      this.#core.require(active, [...changes, ...failures, ...forwarded], written, isRepeatable);
    } else if (!active.failed) {
      this.#end(active, forwarded, written, { isRepeatable });
    } else {
      active.unwritten++; // it must not be forgotten while its bounce is being made
      void this.#bounce(active, failures, forwarded, written);
    }
  }

  /** It ends with its last delivery. Until then what is done is written down: after a crash it is only held. */
  #writeDeleted(active: Active, changes: readonly Change[], written: () => void): void {
    if (active.entries.values().some(({ running }) => running)) this.#core.require(active, changes, written);
    else this.#end(active, [], written, {});
  }

  #end(
    active: Active,
    before: readonly Change[],
    written: () => void,
    { composed, isRepeatable = false }: { readonly composed?: Composed; readonly isRepeatable?: boolean },
  ): void {
    const message = active.message.id;
    const changes = [...before, ...(composed?.admission?.changes ?? []), { kind: "end", message } as const];
    const ended = (): void => {
      written();
      if (composed?.event) this.#core.log(composed.event);
      this.#core.log({ event: "end", message });
      composed?.admission?.admit();
    };
    this.#core.require(active, changes, ended, isRepeatable);
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
    this.#end(active, forwarded, written, { composed });
    this.#core.active.wrote(active);
  }
}

const newSettlement = (): Settlement => ({
  changes: [],
  failures: [],
  admissions: [],
  successes: [],
  success: "delivered",
  events: [],
  due: [],
  final: false,
  isRepeatable: true,
});

/** A repetition would find that it was done. */
const isMarked = ({ channel }: Entry, { kind, text }: Verdict): boolean =>
  kind === "delivered" && channel === "local" && wroteFilesAlone(text);

const wantsFailure = (dsn: Dsn | undefined): boolean => !dsn || dsn.notify === 0 || (dsn.notify & notifyFailure) !== 0;

/** How it is to be handled goes with it; what was asked for reports only in the sender's name; it is held no more. */
function forwardedOptions(options: Options | undefined, isOwn: boolean): Options | undefined {
  if (!options) return undefined;
  const { flags, priority, envelopeId, ret } = options;
  const kept = { ...noOptions, flags, priority, ...(isOwn && { envelopeId, ret }) };
  return isDeepStrictEqual(kept, noOptions) ? undefined : kept;
}

const binary = 2;
