import { randomUUID } from "node:crypto";
import { composeDsn } from "../../protocol/bounce/dsn.ts";
import type { Action, Notice, NoticeRecipient } from "../../protocol/bounce/notice.ts";
import { composeQsbmf } from "../../protocol/bounce/qsbmf.ts";
import type { Outcome } from "../../protocol/outcome.ts";
import { stripVerp } from "../../protocol/verp.ts";
import { flagRequireTls, flagUtf8, noOptions } from "../../protocol/wire/submission.ts";
import { chunkOctets, type NewMessage } from "../../services/storage/storage.ts";
import type { Admission, Admissions } from "./admission.ts";
import { pause } from "./clock.ts";
import type { Core } from "./core.ts";
import { receivedLine } from "./trace.ts";

/** What a notice says, and of whom. */
export interface Told {
  readonly action: Action;
  readonly recipients: readonly NoticeRecipient[];
  readonly omitted: number;
  /** What comes back with it: the header, or all. `over`: because the message has more octets. */
  readonly copy: "whole" | { readonly header: Uint8Array; readonly over?: number };
  readonly retryUntilMs?: number;
}

/** Nobody is told of what becomes of a notice of a notice. */
export const doubleBounceSender = "#@[]";
const maxHeaderOctets = 65_536;
const readAgainMs = 1_000;

/** Makes a notice about `message`: a new message, which shares its body if it can. */
export function planNotice(
  core: Core,
  admissions: Admissions,
  message: NewMessage,
  { copy, ...told }: Told,
): { readonly id: number; readonly admission: Admission } {
  const { settings, storage, clock } = core;
  const double = message.reversePath === "";
  const returned = stripVerp(message.reversePath);
  const nowMs = clock.wallMs();
  const { flags, envelopeId } = message.options ?? noOptions;
  const notice: Notice = {
    bounceFrom: settings.bouncefrom,
    bounceHost: settings.bouncehost,
    reportingHost: settings.me,
    to: double ? `${settings.doublebounceto}@${settings.doublebouncehost}` : returned,
    reversePath: returned,
    nowMs,
    arrivedMs: message.arrivedMs,
    headerOnlyOver: copy === "whole" ? undefined : (copy.over ?? 0),
    envelopeId,
    ...told,
  };
  const id = storage.nextId();
  const name = `${Math.floor(nowMs / 1_000)}.Q${storage.instance}I${id}`;
  const utf8 = (flags & flagUtf8) !== 0;
  const isBinary = message.bodyKind === 2; // of such a message only the header comes back
  const mime = {
    boundary: `=_${randomUUID()}`, // not from the name: who got a bounce before can tell the next one's
    messageId: `${name}@${settings.bouncehost}`,
    eightBit: message.bodyKind === 1,
    utf8,
  };
  // qmail has no form for what is no failure.
  const isQsbmf = settings.bounceformat === "qsbmf" && told.action === "failed";
  const { prefix, suffix } = isQsbmf ? composeQsbmf(notice) : composeDsn(notice, mime);
  const before = [receivedLine(id, "for bounce", nowMs), Buffer.from(prefix, "latin1")];
  const after = Buffer.from(suffix, "latin1");
  const content =
    copy === "whole"
      ? {
          prefix: Buffer.concat([...before, message.prefix]),
          body: message.body,
          bodyOctets: message.bodyOctets,
          suffix: Buffer.concat([message.suffix, after]),
        }
      : { prefix: Buffer.concat([...before, copy.header]), body: 0, bodyOctets: 0, suffix: after };
  const kept = flags & (flagUtf8 | flagRequireTls);
  const admission = admissions.plan({
    id,
    arrivedMs: nowMs,
    reversePath: double ? doubleBounceSender : "",
    bodyKind: utf8 ? 1 : isBinary ? 0 : message.bodyKind,
    uid: core.uid,
    ...content,
    forwardPaths: [notice.to],
    ...(kept !== 0 && { options: { ...noOptions, flags: kept } }),
  });
  return { id, admission };
}

/** The lines before the first empty one, as far as there is room for them. */
export async function readHeader(core: Core, message: NewMessage): Promise<Buffer> {
  const pieces: Uint8Array[] = [message.prefix];
  let octets = message.prefix.length;
  for (let number = 0; octets < maxHeaderOctets && number * chunkOctets < message.bodyOctets; number++) {
    const piece = (await persist(core, () => core.storage.chunk(message.body, number))) ?? new Uint8Array(0);
    pieces.push(piece);
    octets += piece.length;
  }
  return headerOf(pieces);
}

/** The same, of what is in memory. In text's form also that of a binary message, whose lines end as they came. */
export function headerOf(pieces: readonly Uint8Array[]): Buffer {
  const start = Buffer.concat([Buffer.from("\n"), ...pieces]).subarray(0, maxHeaderOctets + 1);
  const text = start
    .toString("latin1")
    .replaceAll("\r\n", "\n")
    .replace(/[\0\r]/g, "?");
  const end = text.indexOf("\n\n");
  return Buffer.from(text.slice(1, (end < 0 ? text.lastIndexOf("\n") : end) + 1), "latin1");
}

/** Reads until it works: the result is needed, and the store comes back. */
export async function persist<Value>(core: Core, read: () => Promise<Outcome<Value>>): Promise<Value> {
  for (;;) {
    const outcome = await read();
    if (outcome.kind === "done") return outcome.value;
    await pause(core.clock, readAgainMs);
  }
}
