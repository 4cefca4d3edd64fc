import { join } from "node:path";
import { runChild } from "./child.ts";
import { type Call, misused } from "./tool.ts";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;
const two = (value: number): string => String(value).padStart(2, "0");

/** predate PROGRAM...: the program reads a Date field in local time, then our standard input. */
export async function predate(call: Call): Promise<number> {
  if (call.args.length === 0) return misused(call, "PROGRAM ...");
  return await runChild(call, call.args, withDate(new Date()));
}

/** datemail: sendmail, after a Date field in local time. */
export async function datemail(call: Call): Promise<number> {
  const sendmail = join(import.meta.dirname, "../../../bin/qmail/sendmail");
  return await predate({ ...call, args: [sendmail, ...call.args] });
}

async function* withDate(now: Date): AsyncGenerator<Uint8Array> {
  yield Buffer.from(localDateField(now, -now.getTimezoneOffset()));
  yield* process.stdin as AsyncIterable<Uint8Array>;
}

/** `Date: 6 Sep 1995 04:46:54 +0200`; the zone is `aheadMinutes` before UTC. */
export function localDateField(now: Date, aheadMinutes: number): string {
  const local = new Date(now.getTime() + aheadMinutes * 60_000);
  const day = `${local.getUTCDate()} ${months[local.getUTCMonth()]} ${local.getUTCFullYear()}`;
  const time = `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())}`;
  const ahead = Math.abs(aheadMinutes);
  const zone = `${aheadMinutes < 0 ? "-" : "+"}${two(Math.floor(ahead / 60))}${two(ahead % 60)}`;
  return `Date: ${day} ${time} ${zone}\n`;
}
