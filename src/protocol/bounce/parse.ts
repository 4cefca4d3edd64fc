import { asciiLowerCase, splitAddress } from "../address.ts";
import { createLines, readFields } from "./lines.ts";
import { parseDsn } from "./parse-dsn.ts";
import { parseQsbmf } from "./parse-qsbmf.ts";
import type { ReportedRecipient } from "./report.ts";

/** Where the answer came from: the address the bounce was sent to, or its text. */
export type BounceForm = "verp" | "dsn" | "qsbmf" | "none";

export interface ParsedBounce {
  readonly form: BounceForm;
  readonly recipients: readonly ReportedRecipient[];
}

export interface BounceEnvelope {
  /** Where the bounce was sent to. */
  readonly recipient: string;
  /** What the reverse-path of the bounced message was made from: `list-@host` of `list-user=domain@host`. */
  readonly verpBase?: string;
  /** What stood for the `@` of the recipient. */
  readonly verpDelimiter?: string;
}

/** Of a bounce no more is read; the message that comes back in it may be longer. */
export const maxBounceOctets = 2_097_152;

/**
 * Says which recipients a bounce is about, and what became of them: from a multipart/report (RFC 3464) or qmail's form.
 * When it was sent to a VERP address that address says who, whatever the text says, and the text only what happened.
 * Text from strangers: nothing in it is proof but a VERP address nobody else knew. Never fails; work grows with the
 * octets read, and a message in which nothing is recognised is "none".
 */
export function parseBounce(message: Uint8Array, envelope: BounceEnvelope): ParsedBounce {
  const read = readText(message);
  const { verpBase, verpDelimiter } = envelope;
  const named = verpBase === undefined ? undefined : verpRecipient(envelope.recipient, verpBase, verpDelimiter);
  if (named === undefined) return read;
  const { recipients } = read;
  const folded = asciiLowerCase(named);
  const matching = recipients.find(({ recipient }) => asciiLowerCase(recipient) === folded) ?? recipients[0];
  const unexplained: ReportedRecipient = { recipient: named, action: "failed", status: "", text: "" };
  return { form: "verp", recipients: [{ ...unexplained, ...matching, recipient: named }] };
}

function readText(message: Uint8Array): ParsedBounce {
  const { buffer, byteOffset, length } = message;
  const text = Buffer.from(buffer, byteOffset, Math.min(length, maxBounceOctets)).toString("latin1");
  const lines = createLines(text);
  const fields = readFields(lines, () => false);
  const contentType = fields.get("content-type") ?? "";
  if (contentType.toLowerCase().startsWith("multipart/")) {
    const recipients = parseDsn(lines, contentType);
    return recipients ? { form: "dsn", recipients } : none;
  }
  const recipients = parseQsbmf(lines);
  return recipients ? { form: "qsbmf", recipients } : none;
}

const none: ParsedBounce = { form: "none", recipients: [] };

/**
 * The recipient in a VERP address: `user@domain` of `list-user=domain@host` when `base` is `list-@host`. `undefined` when
 * the address was not made from that base. The part before the domain may hold the delimiter, a domain never `=`.
 */
export function verpRecipient(address: string, base: string, delimiter = "="): string | undefined {
  const whole = splitAddress(address);
  const plain = splitAddress(base);
  if (asciiLowerCase(whole.domain) !== asciiLowerCase(plain.domain)) return undefined;
  const prefix = whole.localPart.slice(0, plain.localPart.length);
  if (asciiLowerCase(prefix) !== asciiLowerCase(plain.localPart)) return undefined;
  const carried = whole.localPart.slice(plain.localPart.length);
  const at = carried.lastIndexOf(delimiter);
  if (at <= 0 || at + delimiter.length >= carried.length) return undefined;
  return `${carried.slice(0, at)}@${carried.slice(at + delimiter.length)}`;
}
