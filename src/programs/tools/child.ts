import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { errorWords, isTemporaryError } from "../../protocol/dot-qmail/error-words.ts";
import { errorCode } from "../../services/maildir/file.ts";
import { type Call, exitPermanent, exitTemporary } from "./tool.ts";

/** What a program reads: what we have as standard input, or these octets. */
export type Input = "ours" | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Runs a program to its end; its exit code, 111 if it was killed, and where it cannot be run 111 or 100, by whether that
 * may pass. Why is said. A program need not read all its input.
 */
export async function runChild(call: Call, [program = "", ...args]: readonly string[], input: Input): Promise<number> {
  const child = spawn(program, args, { stdio: [input === "ours" ? "inherit" : "pipe", "inherit", "inherit"] });
  const ended = exitCodeOf(call, child, program);
  if (input === "ours") return await ended;
  await Promise.race([feed(child, input), ended]);
  const code = await ended;
  process.stdin.destroy(); // what the program did not want nobody reads, and nothing waits for it
  return code;
}

function exitCodeOf({ name }: Call, child: ChildProcess, program: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  child.on("error", (error) => {
    const code = errorCode(error);
    process.stderr.write(`${name}: fatal: unable to run ${program}: ${errorWords(code)}\n`);
    resolve(isTemporaryError(code) ? exitTemporary : exitPermanent);
  });
  child.on("exit", (code) => {
    if (code === null) process.stderr.write(`${name}: fatal: ${program} crashed\n`);
    resolve(code ?? exitTemporary);
  });
  return promise;
}

async function feed({ stdin }: ChildProcess, input: Exclude<Input, "ours">): Promise<void> {
  if (!stdin) return;
  let isClosed = false;
  stdin.on("error", () => {
    isClosed = true;
  });
  for await (const piece of input) {
    if (isClosed) return;
    if (!stdin.write(piece)) await Promise.race([once(stdin, "drain"), once(stdin, "close")]).catch(() => {});
  }
  stdin.end();
}
