import type { Event } from "../../protocol/event/event.ts";
import type { Status } from "../../protocol/outcome.ts";
import { flagRequireTls, noOptions } from "../../protocol/wire/submission.ts";
import { type FailedRecipient, messageOctets, type NewMessage } from "../../services/storage/storage.ts";
import type { Active } from "./active.ts";
import type { Admission, Admissions } from "./admission.ts";
import type { Core } from "./core.ts";
import { doubleBounceSender, persist, planNotice, readHeader, type Told } from "./notices.ts";

export interface Composed {
  /** Absent when nobody is told. */
  readonly admission?: Admission;
  readonly event?: Event;
}

export interface Failures {
  readonly failures: readonly FailedRecipient[];
  /** How many more there are. */
  readonly omitted: number;
}

/** All recipients' paragraphs of one bounce. */
const maxNoticeOctets = 1_048_576;
const failuresAtOnce = 100;

/** The failures of a message in order, those that just happened last. Never more in memory than a bounce may hold. */
export async function readFailures(core: Core, message: number, now: readonly FailedRecipient[]): Promise<Failures> {
  const failures: FailedRecipient[] = [];
  let octets = 0;
  let omitted = 0;
  const take = (failure: FailedRecipient): void => {
    octets += failure.text.length + failure.forwardPath.length;
    if (octets <= maxNoticeOctets) failures.push(failure);
    else omitted++;
  };
  let sequence = 0;
  for (;;) {
    const after = sequence;
    const page = await persist(core, () => core.storage.failures(message, after, failuresAtOnce));
    for (const failure of page) take(failure);
    const last = page.at(-1);
    if (!last) break;
    sequence = last.sequence;
  }
  for (const failure of now) take(failure);
  return { failures, omitted };
}

/** Makes the bounce of a message whose recipients are all finished. */
export async function composeBounce(
  core: Core,
  admissions: Admissions,
  { message }: Active,
  { failures, omitted }: Failures,
): Promise<Composed> {
  if (message.reversePath === doubleBounceSender) return { event: { event: "triple bounce", message: message.id } };
  if (message.reversePath === "" && core.settings.doublebounceto === "") return {};
  const recipients = failures.map(({ forwardPath, status, text, dsn }) => {
    return { forwardPath, status: status as Status, text, originalRecipient: dsn?.originalRecipient ?? "" };
  });
  const copy = await copyOf(core, message);
  const { id, admission } = planNotice(core, admissions, message, { action: "failed", recipients, omitted, copy });
  return { admission, event: { event: "bounce", message: message.id, bounce: id } };
}

/** RET of RFC 3461 §4.3; RFC 8689 §5 has only the header come back, and what is binary would not stand in a report. */
async function copyOf(core: Core, message: NewMessage): Promise<Told["copy"]> {
  const { ret, flags } = message.options ?? noOptions;
  const { bouncemaxbytes } = core.settings;
  const headerOnly = ret === retHeader || (flags & flagRequireTls) !== 0 || message.bodyKind === binary;
  if (headerOnly) return { header: await readHeader(core, message) };
  if (messageOctets(message) <= bouncemaxbytes) return "whole";
  return { header: await readHeader(core, message), over: bouncemaxbytes };
}

const retHeader = 2;
const binary = 2;
