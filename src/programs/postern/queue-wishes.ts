import {
  flagRequireTls,
  flagTlsOptional,
  flagUtf8,
  noOptions,
  notifyDelay,
  notifyFailure,
  notifyNever,
  notifySuccess,
} from "../../protocol/wire/submission.ts";
import type { QueueDsn, QueueOptions } from "../../services/operator-client/queue-row.ts";

const reports = [
  { notify: notifyNever, word: "never" },
  { notify: notifySuccess, word: "success" },
  { notify: notifyFailure, word: "failure" },
  { notify: notifyDelay, word: "delay" },
] as const;

/** What the sender wants to hear of a recipient, as words. */
export function dsnWords({ notify, originalRecipient }: QueueDsn): string {
  const wanted = reports.filter((report) => (notify & report.notify) !== 0).map(({ word }) => word);
  const words = wanted.length > 0 ? [`report ${wanted.join(", ")}`] : [];
  if (originalRecipient !== "") words.push(`originally to ${originalRecipient}`);
  return words.join("; ");
}

/** What was asked for the message, as words. */
export function optionWords({ envelopeId, ret, flags, priority, holdUntilMs }: QueueOptions, nowMs: number): string {
  const words: string[] = [];
  if (holdUntilMs > nowMs) words.push(`not before ${new Date(holdUntilMs).toISOString()}`);
  if (priority !== noOptions.priority) words.push(`priority ${priority - noOptions.priority}`);
  if (flags & flagRequireTls) words.push("TLS required");
  if (flags & flagTlsOptional) words.push("TLS optional");
  if (flags & flagUtf8) words.push("SMTPUTF8");
  if (ret !== noOptions.ret) words.push(`reports return ${ret === 1 ? "all of it" : "the header"}`);
  if (envelopeId !== "") words.push(`envelope id ${envelopeId}`);
  return words.join("; ");
}
