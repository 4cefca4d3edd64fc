import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder, until } from "../support/server.ts";

/** System calls that fail, or at which the program is killed. */
export interface SystemFault {
  readonly calls: readonly string[];
  /** An error's name, or KILL. */
  readonly error: string;
  /** As strace has it: "3" the third, "1+" all, "2+3" every third from the second, "1..2" the first two. */
  readonly when: string;
}

export interface Injection {
  /** How many calls have failed so far. */
  failed(): number;
  /** The calls so far, failed ones and others, one a line, descriptors with their paths. */
  lines(): readonly string[];
  /** From here on calls do what they should. */
  end(): Promise<void>;
}

/** Options for strace: which calls it sees and what becomes of them. */
export function faultOptions(faults: readonly SystemFault[], alsoSeen: readonly string[] = []): string[] {
  const calls = [...faults.flatMap((fault) => fault.calls), ...alsoSeen];
  const rules = faults.flatMap(({ calls, error, when }) => {
    const what = error === "KILL" ? "signal=KILL" : `error=${error}`;
    return ["-e", `inject=${calls.join(",")}:${what}:when=${when}`];
  });
  return ["-y", "-e", `trace=${calls.join(",")}`, ...rules];
}

/**
 * Makes system calls of running processes fail, of the thread that does a program's work. Without faults only looks.
 * Resolves when it is so.
 */
export async function inject(
  pids: readonly number[],
  faults: readonly SystemFault[],
  alsoSeen: readonly string[] = [],
): Promise<Injection> {
  if (pids.length === 0) throw new Error("no process to inject faults into");
  const folder = temporaryFolder();
  const trace = join(folder, "trace");
  const attach = pids.flatMap((pid) => ["-p", String(pid)]);
  const strace = spawn("strace", ["-o", trace, ...faultOptions(faults, alsoSeen), ...attach], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(strace, "exit");
  let said = "";
  strace.stderr.on("data", (chunk) => (said += chunk));
  await until(
    `strace to attach to ${pids}`,
    () => said.split(" attached").length > pids.length || strace.exitCode !== null,
    10_000,
  );
  if (strace.exitCode !== null) throw new Error(`strace: ${said}`);
  const text = (): string => readFileSync(trace, "latin1");
  return {
    // One that is killed at a call has no result to show: of it there is only its end.
    failed: () => text().split("(INJECTED)").length - 1 + text().split("+++ killed by SIGKILL").length - 1,
    lines: () => text().split("\n"),
    async end() {
      strace.kill("SIGINT");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
