import { closeSync, linkSync, lstatSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout } from "node:timers/promises";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { errorCode } from "../../services/maildir/file.ts";

const longestWaitMs = 30_000;
const betweenTriesMs = 100;
/** As `deliver` has it: a lock nobody renewed for this long belongs to a program that died. */
const staleAfterMs = 300_000;

/** Does `work` while it holds the lock PATH.lock, which deliveries and mail readers respect. Waits 30 seconds at most. */
export async function withDotLock(path: string, work: () => Promise<void>): Promise<Outcome<void>> {
  const lock = `${path}.lock`;
  for (let waitedMs = 0; !tryLock(lock); waitedMs += betweenTriesMs) {
    if (waitedMs >= longestWaitMs) return temporary("3.0", `${path} has been locked for 30 seconds straight`);
    await setTimeout(betweenTriesMs);
  }
  try {
    await work();
    return done(undefined);
  } finally {
    unlinkSync(lock);
  }
}

/** Linked, not created in its place: it is never there without its owner's name. Throws the system's error. */
function tryLock(lock: string): boolean {
  const own = `${lock}.${process.pid}`;
  const fd = openSync(own, "w", 0o600);
  try {
    writeSync(fd, `${process.pid} ${hostname()}\n`);
    linkSync(own, lock);
    return true;
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    if (Date.now() - (lstatSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) < staleAfterMs) return false;
    renameSync(own, lock);
    return true;
  } finally {
    closeSync(fd);
    try {
      unlinkSync(own);
    } catch {}
  }
}
