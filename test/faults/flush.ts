import { inject } from "./inject.ts";
import type { Stage } from "./stage.ts";

/** Makes two flushes of the queue's log fail, and returns what of the log was trusted afterwards. */
export async function failFlushes(stage: Stage): Promise<string[]> {
  const fault = { calls: ["fsync"], error: "EIO", when: "1..2" };
  const injection = await inject(stage.pids("queue"), [fault], ["pwrite64", "ftruncate", "unlink"]);
  await stage.serving();
  const trusted = trustedAfterFailure(injection.lines());
  await injection.end();
  return [...trusted, ...(await stage.count())];
}

/**
 * Flushes of a log that went well after one that failed, with more in the log meanwhile: what the failed one was to
 * write may be nowhere but in memory, and what follows it in the log is lost with it.
 */
function trustedAfterFailure(lines: readonly string[]): string[] {
  const trusted: string[] = [];
  let state: "sound" | "doubtful" | "added to" = "sound";
  for (const line of lines.filter((each) => each.includes("queue.sqlite-wal"))) {
    if (line.startsWith("unlink") || /^ftruncate\(.*, 0\) += 0/.test(line)) state = "sound";
    else if (line.includes("INJECTED")) state = "doubtful";
    else if (line.startsWith("pwrite64") && state === "doubtful") state = "added to";
    else if (line.startsWith("fsync") && state === "added to") trusted.push(line);
  }
  return trusted;
}
