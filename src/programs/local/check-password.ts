import { spawn } from "node:child_process";
import type { Writable } from "node:stream";
import { checkpasswordInput } from "../../protocol/password/checkpassword.ts";

/** "K" right, "D" wrong, "Z" nobody can tell now. */
export type Letter = "K" | "D" | "Z";

const longestMs = 20_000;
const inputFd = 3;
const exitRight = 0;
const exitWrong = 1;

/**
 * Has the site's own program look at a password, by the interface of checkpassword: name, password and an empty
 * timestamp on descriptor 3. `command` is the line of control/checkpassword; it is to start /bin/true when the password
 * is right. Node puts its own permissions into NODE_OPTIONS; they are not for it.
 */
export function checkPassword(command: string, account: string, password: Buffer): Promise<Letter> {
  const input = checkpasswordInput(account, password);
  if (!input) return Promise.resolve("D");
  if (command.includes("\0")) return Promise.resolve("Z");
  const { promise, resolve } = Promise.withResolvers<Letter>();
  const child = spawn("/bin/sh", ["-c", `unset NODE_OPTIONS; exec ${command} /bin/true`], {
    cwd: "/",
    env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
    detached: true, // a group of its own: it can be ended whole
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const clock = setTimeout(() => {
    if (child.pid !== undefined) endGroup(child.pid);
  }, longestMs);
  child.on("error", () => resolve("Z"));
  child.on("exit", (code) => {
    clearTimeout(clock);
    resolve(code === exitRight ? "K" : code === exitWrong ? "D" : "Z");
  });
  const pipe = child.stdio[inputFd] as Writable | null | undefined;
  pipe?.on("error", () => {}); // it did not read all, and its exit code says why
  pipe?.end(input);
  return promise;
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {}
}
