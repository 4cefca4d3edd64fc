import type { Status } from "../outcome.ts";
import type { ChannelName, Job } from "./scheduler.ts";

const skips: Readonly<Record<ChannelName, number>> = { local: 10, remote: 20 };
const secondMs = 1_000;

/**
 * When to try again what was tried at `startedMs` and failed for now. qmail's rule: with n = floor(sqrt(age in seconds)),
 * at birth + (n + skip)^2 seconds, skip 10 for local and 20 for remote. A message from the future (the clock was set
 * back) counts as born now: else it would wait until the clock is where it was.
 */
export function nextAttemptMs(arrivedMs: number, startedMs: number, channel: ChannelName): number {
  const bornMs = Math.min(arrivedMs, startedMs);
  const ageSeconds = Math.floor((startedMs - bornMs) / secondMs);
  return bornMs + (Math.floor(Math.sqrt(ageSeconds)) + skips[channel]) ** 2 * secondMs;
}

/** The longest wait between two attempts while a message is not older than that. */
export const longestWaitMs = (ageSeconds: number): number =>
  nextAttemptMs(0, ageSeconds * secondMs, "remote") - ageSeconds * secondMs;

export const isExpired = (arrivedMs: number, nowMs: number, lifetimeSeconds: number): boolean =>
  nowMs - arrivedMs > lifetimeSeconds * secondMs;

export const tooLong = "I'm not going to try again; this message has been in the queue too long.";

/** What a delivery reported of one recipient. `status` is without its class, or empty. */
export interface Report {
  readonly letter: string;
  readonly status: string;
  readonly text: string;
}

export type Verdict =
  | { readonly kind: "delivered"; readonly text: string }
  | { readonly kind: "deferred"; readonly text: string; readonly attempts: number; readonly nextAttemptMs: number }
  | { readonly kind: "failed"; readonly text: string; readonly status: Status };

/** RFC 3463 §3.5: "delivery time expired". */
const expiredStatus: Status = "4.7";

/**
 * What becomes of a recipient tried at `startedMs`. `last`: the message was over its lifetime then, so that failing for
 * now is failing for good.
 */
export function judge(report: Report, job: Job, startedMs: number, last: boolean): Verdict {
  const { letter, text } = report;
  if (letter === "K") return { kind: "delivered", text };
  if (letter === "D") return { kind: "failed", text, status: asStatus(report.status) };
  if (last) return { kind: "failed", text: withLine(text, tooLong), status: expiredStatus };
  const known = letter === "Z" ? text : "report mangled, will defer";
  const { arrivedMs, channel } = job;
  return {
    kind: "deferred",
    text: known,
    attempts: job.attempts + 1,
    nextAttemptMs: nextAttemptMs(arrivedMs, startedMs, channel),
  };
}

export const withLine = (text: string, line: string): string =>
  text === "" || text.endsWith("\n") ? text + line : `${text}\n${line}`;

/** A status as a peer gave it, "0.0" for what is none. */
export const asStatus = (status: string): Status => (/^\d{1,3}\.\d{1,3}$/.test(status) ? (status as Status) : "0.0");
