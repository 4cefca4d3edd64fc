import type { Action, NoticeRecipient } from "../../protocol/bounce/notice.ts";
import { notifyDelay, notifyNever, notifySuccess } from "../../protocol/wire/submission.ts";
import { bornMs, type Dsn, type ListedRecipient } from "../../services/storage/storage.ts";
import type { Active, Entry } from "./active.ts";
import type { Core } from "./core.ts";
import { doubleBounceSender, headerOf, persist, readHeader } from "./notices.ts";
import type { Result } from "./settle.ts";

/** What reports of delivery and delay are made from beside the results. */
export interface Material {
  readonly header: Uint8Array;
  /** Others of the message that are not delivered yet. */
  readonly waiting: readonly ListedRecipient[];
  /** How many more there may be. */
  readonly omitted: number;
}

/** After so long who asked is told of a delay, unless the administrator wants that earlier or later. */
const delaySeconds = 14_400;
/** A report of delay names no more. */
const maxWaiting = 1_000;

/** Reports go to who sent the message: never in answer to a report (RFC 3461 §6.2). */
const isTold = ({ message: { reversePath } }: Active): boolean =>
  reversePath !== "" && reversePath !== doubleBounceSender;

/** The sender wants to hear of success. */
export const wantsSuccess = (active: Active, { dsn }: Entry): boolean =>
  isTold(active) && ((dsn?.notify ?? 0) & notifySuccess) !== 0;

/** Whether the sender is to hear, now, that this one waits: once a message. */
export function isLate(core: Core, active: Active, entry: Entry, nowMs: number): boolean {
  if (active.warned || active.deleted || !isTold(active) || !core.trustsAges) return false;
  const afterSeconds = delayOf(core, entry.dsn);
  return afterSeconds > 0 && nowMs - bornMs(active.message) >= afterSeconds * 1_000;
}

/** After how long of a delay, 0 for never. Where nothing was asked it is the administrator's to say. */
function delayOf({ settings: { delaywarning } }: Core, dsn: Dsn | undefined): number {
  if (!dsn || dsn.notify === 0) return delaywarning;
  return dsn.notify & notifyDelay ? delaywarning || delaySeconds : 0;
}

/** Whether these results may have to be reported; if so `gather` comes first. */
export const mayBeReported = (core: Core, active: Active, results: readonly Result[]): boolean =>
  results.some(({ entry, reported: { letter } }) =>
    letter === "K" ? wantsSuccess(active, entry) : isLate(core, active, entry, core.clock.wallMs()),
  );

/** Collects what reports need. Only a delay takes longer than reading the header. */
export async function gather(core: Core, active: Active, results: readonly Result[]): Promise<Material> {
  const { message, body } = active;
  const header = body ? headerOf([message.prefix, body]) : await readHeader(core, message);
  if (results.every(({ reported: { letter } }) => letter === "K")) return { header, waiting: [], omitted: 0 };
  await core.committer.flushed(); // what was delivered meanwhile is not delayed
  const all = await persist(core, () => core.storage.recipients(message.id, -1, maxWaiting));
  const numbers = new Set(results.map(({ entry }) => entry.number));
  const waiting = all.filter(({ number, dsn }) => !numbers.has(number) && delayOf(core, dsn) > 0);
  return { header, waiting, omitted: all.length < maxWaiting ? 0 : active.remaining - all.length };
}

/** Of what a delivery said there is so much in a report. */
const maxTextOctets = 1_000;

export const noticed = (
  { forwardPath, dsn }: { readonly forwardPath: string; readonly dsn?: Dsn | undefined },
  text: string,
): NoticeRecipient => {
  const originalRecipient = dsn?.originalRecipient ?? "";
  return { forwardPath, status: "0.0", text: text.slice(0, maxTextOctets), originalRecipient };
};

/** What a forward takes over of what was asked for the recipient, and what its sender hears of it (RFC 3461 §5.2.7). */
export interface PassedOn {
  readonly dsn: Dsn | undefined;
  readonly action: Action | undefined;
}

/**
 * `copies`: to how many addresses it goes on under the sender's own reverse-path. One takes everything over; of several
 * nobody reports success, because the sender wrote to one. Those of a mailing list are none of the sender's business.
 */
export function passOn(dsn: Dsn | undefined, copies: number): PassedOn {
  const wanted = ((dsn?.notify ?? 0) & notifySuccess) !== 0;
  if (copies === 0) return { dsn: undefined, action: wanted ? "delivered" : undefined };
  if (copies === 1 || !dsn || !wanted) return { dsn, action: undefined };
  return { dsn: { ...dsn, notify: dsn.notify & ~notifySuccess || notifyNever }, action: "expanded" };
}
