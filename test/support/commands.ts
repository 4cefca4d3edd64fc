import { execFile } from "node:child_process";
import { join } from "node:path";
import { postfixLibraries, postfixTools } from "../setup.ts";
import type { Ran } from "./server.ts";

/** Runs a command to its end; never throws for its exit code. */
export function run(
  command: string,
  args: readonly string[],
  input: string | Uint8Array = "",
  env: NodeJS.ProcessEnv = {},
): Promise<Ran> {
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const child = execFile(
    command,
    args,
    { env: { ...process.env, ...env }, maxBuffer: 2 ** 26 },
    (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
  );
  child.stdin?.on("error", () => {});
  child.stdin?.end(input);
  return promise;
}

/** One of Postfix's load tools. */
export const postfixTool = (name: "smtp-source" | "smtp-sink" | "qmqp-source", args: readonly string[]): Promise<Ran> =>
  run(join(postfixTools, name), args, "", { LD_LIBRARY_PATH: postfixLibraries });
