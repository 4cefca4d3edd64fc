import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { tryLock } from "../../services/kernel/descriptors.ts";
import { osReason } from "../../services/kernel/os-reason.ts";

/** Longest wait for the programs of a supervise that was killed: they end as soon as they notice. */
const leftoversTimeoutMs = 15_000;
const retryMs = 50;

/**
 * Makes this the only supervise of a folder. Also waits until no `queue` of an earlier one is left, which would work on
 * the same messages. Resolves with the descriptor that `queue` is to inherit: the lock is held as long as it lives.
 */
export async function lockFolder(run: string): Promise<Outcome<number>> {
  const own = lockedFile(join(run, "lock.supervise"));
  if (own.kind !== "done") return own;
  if (own.value === "held") return temporary("3.0", `another postern is running here: ${run} is locked`);
  const deadlineMs = performance.now() + leftoversTimeoutMs;
  for (;;) {
    const queue = lockedFile(join(run, "lock.queue"));
    if (queue.kind !== "done") return queue;
    if (queue.value !== "held") return done(queue.value);
    if (performance.now() > deadlineMs) {
      return temporary("3.0", `a queue left by a postern that was killed still runs: ${run}/lock.queue is locked`);
    }
    await sleep(retryMs);
  }
}

function lockedFile(path: string): Outcome<number | "held"> {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    return temporary("3.0", `cannot open ${path}: ${osReason(error)}`);
  }
  const locked = tryLock(fd);
  if (locked.kind === "done" && locked.value) return done(fd);
  closeSync(fd);
  return locked.kind === "done" ? done("held") : locked;
}
