import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { type Files, nodeFiles } from "../../services/maildir/files.ts";

/** What deliveries stand on: files, a clock, and who we are. Simulations bring their own. */
export interface Ground {
  readonly files: Files;
  nowMs(): number;
  /** Throws AbortError when `signal` fires. */
  wait(ms: number, signal: AbortSignal): Promise<unknown>;
  readonly pid: number;
  readonly host: string;
}

export const realGround = (): Ground => ({
  files: nodeFiles,
  nowMs: Date.now,
  wait: (ms, signal) => delay(ms, undefined, { signal }),
  pid: process.pid,
  host: hostname(),
});
