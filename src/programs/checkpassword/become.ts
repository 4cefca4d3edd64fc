import { readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { closeAtExec, keepAcrossExec } from "../../services/kernel/descriptors.ts";
import { execute } from "../../services/kernel/execute.ts";
import { become } from "../../services/kernel/identity.ts";
import { libc } from "../../services/kernel/libc.ts";
import { osReason } from "../../services/kernel/os-reason.ts";
import { thisMachine } from "../../services/kernel/system-calls.ts";
import type { Account } from "./ask.ts";
import type { Environment } from "./environment.ts";

const SIGPIPE = 13;
const SIG_DFL = 0n;
const inputFd = 3;

/** Becomes the account's user, in its home. Nobody becomes root by a password. Takes root. */
export function becomeUser({ uid, gid, home }: Account): Outcome<void> {
  if (uid === 0 || gid === 0) return temporary("7.0", "nobody is to become root");
  const became = become({ uid, gid });
  if (became.kind !== "done") return became;
  try {
    process.chdir(home);
    return done(undefined);
  } catch (error) {
    return temporary("3.0", `cannot go to ${home}: ${osReason(error)}`);
  }
}

/**
 * Becomes the program, which gets those of the descriptors that we were given, less the one the password came by.
 * Returns if it could not.
 */
export function runInstead(
  [program = "", ...args]: readonly string[],
  environment: Environment,
  given: readonly number[],
): Outcome<never> {
  const machine = thisMachine();
  if (!machine) return temporary("3.0", `cannot start programs on ${process.arch}`);
  for (const fd of readdirSync("/proc/self/fd").map(Number)) {
    const isTheirs = fd < inputFd || given.includes(fd);
    const kept = isTheirs ? keepAcrossExec(fd) : closeAtExec(fd);
    if (kept.kind !== "done") return kept;
  }
  libc().signal(SIGPIPE, SIG_DFL); // Node ignores it, and that would be inherited
  const env = new Map(Object.entries(environment).filter((pair): pair is [string, string] => pair[1] !== undefined));
  const folders = program.includes("/") ? [""] : (environment.PATH ?? "/usr/bin:/bin").split(delimiter);
  let failure: Outcome<never> = permanent("3.5", "no program to start");
  for (const folder of folders) {
    failure = execute(machine, join(folder, program), { args, env, key: [0, 0, 0] });
  }
  return failure;
}
