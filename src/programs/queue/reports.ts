import type { Action, NoticeRecipient } from "../../protocol/bounce/notice.ts";
import { statusIn } from "../../protocol/bounce/report.ts";
import { asStatus } from "../../protocol/schedule/retry.ts";
import { notifyDelay, notifyNever, notifySuccess } from "../../protocol/wire/submission.ts";
import { bornMs, type Dsn } from "../../services/storage/storage.ts";
import type { Active, Entry } from "./active.ts";
import type { Core } from "./core.ts";
import { doubleBounceSender, persist } from "./notices.ts";

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

/** Those of a message that wait, as far as its sender is to hear of them, and how many more there may be. */
export async function readWaiting(
  core: Core,
  { message }: Active,
): Promise<{ readonly recipients: readonly NoticeRecipient[]; readonly omitted: number }> {
  await core.committer.flushed(); // what was delivered meanwhile is not late
  const all = await persist(core, () => core.storage.recipients(message.id, -1, maxWaiting));
  const stored = all.length < maxWaiting ? undefined : await persist(core, () => core.storage.message(message.id));
  const late = all.filter(({ dsn }) => delayOf(core, dsn) > 0);
  const recipients = late.map((recipient) => {
    const { lastReply } = recipient;
    return { ...noticed(recipient, lastReply), status: asStatus(statusIn(lastReply).replace(/^\d\./, "")) };
  });
  return { recipients, omitted: stored ? stored.remaining - all.length : 0 };
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
