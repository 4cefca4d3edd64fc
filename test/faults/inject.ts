import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder, until } from "../support/server.ts";

/** System calls that fail: `calls` by name, `when` as strace has it ("1+" all, "2+3" every third from the second). */
export interface SystemFault {
  readonly calls: readonly string[];
  readonly error: string;
  readonly when: string;
}

export interface Injection {
  /** How many calls have failed so far. */
  failed(): number;
  /** From here on calls do what they should. */
  end(): Promise<void>;
}

/** Makes system calls of running processes fail, of the thread that does a program's work. Resolves when it is so. */
export async function inject(pids: readonly number[], faults: readonly SystemFault[]): Promise<Injection> {
  const folder = temporaryFolder();
  const trace = join(folder, "trace");
  const calls = faults.flatMap((fault) => fault.calls);
  const rules = faults.flatMap(({ calls, error, when }) => [
    "-e",
    `inject=${calls.join(",")}:error=${error}:when=${when}`,
  ]);
  const strace = spawn(
    "strace",
    ["-o", trace, "-e", `trace=${calls.join(",")}`, ...rules, ...pids.flatMap((pid) => ["-p", String(pid)])],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const ended = once(strace, "exit");
  let said = "";
  strace.stderr.on("data", (chunk) => (said += chunk));
  await until(`strace to attach to ${pids}: ${said}`, () => said.split(" attached").length > pids.length, 10_000);
  return {
    failed: () => readFileSync(trace, "latin1").split("(INJECTED)").length - 1,
    async end() {
      strace.kill("SIGINT");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
