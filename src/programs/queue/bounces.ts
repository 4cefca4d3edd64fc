import { randomUUID } from "node:crypto";
import { composeDsn } from "../../protocol/bounce/dsn.ts";
import type { Notice } from "../../protocol/bounce/notice.ts";
import { composeQsbmf } from "../../protocol/bounce/qsbmf.ts";
import type { Event } from "../../protocol/event/event.ts";
import type { Outcome, Status } from "../../protocol/outcome.ts";
import { stripVerp } from "../../protocol/verp.ts";
import { chunkOctets, type FailedRecipient, messageOctets, type NewMessage } from "../../services/storage/storage.ts";
import type { Active } from "./active.ts";
import type { Admission, Admissions } from "./admission.ts";
import { pause } from "./clock.ts";
import type { Core } from "./core.ts";
import { receivedLine } from "./trace.ts";

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
const maxHeaderOctets = 65_536;
const failuresAtOnce = 100;
const readAgainMs = 1_000;
const doubleBounceSender = "#@[]";

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

/** Makes the bounce of a message whose recipients are all finished: a new message, which shares its body if it can. */
export async function composeBounce(
  core: Core,
  admissions: Admissions,
  { message }: Active,
  { failures, omitted }: Failures,
): Promise<Composed> {
  if (message.reversePath === doubleBounceSender) return { event: { event: "triple bounce", message: message.id } };
  const { settings, storage, clock } = core;
  const double = message.reversePath === "";
  if (double && settings.doublebounceto === "") return {};
  const headerOnly = messageOctets(message) > settings.bouncemaxbytes;
  const returned = stripVerp(message.reversePath);
  const nowMs = clock.wallMs();
  const notice: Notice = {
    bounceFrom: settings.bouncefrom,
    bounceHost: settings.bouncehost,
    reportingHost: settings.me,
    to: double ? `${settings.doublebounceto}@${settings.doublebouncehost}` : returned,
    reversePath: returned,
    nowMs,
    arrivedMs: message.arrivedMs,
    recipients: failures.map(({ forwardPath, status, text }) => ({ forwardPath, status: status as Status, text })),
    omitted,
    headerOnlyOver: headerOnly ? settings.bouncemaxbytes : undefined,
  };
  const id = storage.nextId();
  const name = `${Math.floor(nowMs / 1_000)}.Q${storage.instance}I${id}`;
  const mime = {
    boundary: `=_${randomUUID()}`, // not from the name: who got a bounce before can tell the next one's
    messageId: `${name}@${settings.bouncehost}`,
    eightBit: message.bodyKind === 1,
  };
  const { prefix, suffix } = settings.bounceformat === "qsbmf" ? composeQsbmf(notice) : composeDsn(notice, mime);
  const before = [receivedLine(id, "for bounce", nowMs), Buffer.from(prefix, "latin1")];
  const after = Buffer.from(suffix, "latin1");
  const copy = headerOnly
    ? { prefix: Buffer.concat([...before, await readHeader(core, message)]), body: 0, bodyOctets: 0, suffix: after }
    : {
        prefix: Buffer.concat([...before, message.prefix]),
        body: message.body,
        bodyOctets: message.bodyOctets,
        suffix: Buffer.concat([message.suffix, after]),
      };
  const admission = admissions.plan({
    id,
    arrivedMs: nowMs,
    reversePath: double ? doubleBounceSender : "",
    bodyKind: message.bodyKind,
    uid: core.uid,
    ...copy,
    forwardPaths: [notice.to],
  });
  return { admission, event: { event: "bounce", message: message.id, bounce: id } };
}

/** The lines before the first empty one, as far as there is room for them. */
async function readHeader(core: Core, message: NewMessage): Promise<Buffer> {
  const pieces: Uint8Array[] = [message.prefix];
  let octets = message.prefix.length;
  for (let number = 0; octets < maxHeaderOctets && number * chunkOctets < message.bodyOctets; number++) {
    const piece = (await persist(core, () => core.storage.chunk(message.body, number))) ?? new Uint8Array(0);
    pieces.push(piece);
    octets += piece.length;
  }
  const start = Buffer.concat([Buffer.from("\n"), ...pieces]).subarray(0, maxHeaderOctets + 1);
  const end = start.indexOf("\n\n");
  return start.subarray(1, (end < 0 ? start.lastIndexOf("\n") : end) + 1);
}

/** Reads until it works: the result is needed, and the store comes back. */
async function persist<Value>(core: Core, read: () => Promise<Outcome<Value>>): Promise<Value> {
  for (;;) {
    const outcome = await read();
    if (outcome.kind === "done") return outcome.value;
    await pause(core.clock, readAgainMs);
  }
}
