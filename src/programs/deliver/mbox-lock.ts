import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { dirname } from "node:path";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { errorCode, readText, safeFlags, writePiece } from "../../services/maildir/file.ts";
import { remove } from "../../services/maildir/store.ts";
import type { Ground } from "./ground.ts";

export interface MboxLock {
  /** False where no lock can be made: then the mbox is written without one, as qmail does. */
  readonly held: boolean;
  release(): void;
}

const longestWaitMs = 30_000;
const betweenTriesMs = 100;
/** A lock nobody renewed for this long belongs to a program that died. */
const staleAfterMs = 300_000;
/** We hold ours only while we append: one this old is that of a worker that was killed, or could not be removed. */
const ourStaleAfterMs = 10_000;
/** Not allowed in that folder; a wrong folder shows when the mbox itself is opened. */
const unlockable: readonly string[] = ["EACCES", "EPERM", "EROFS", "ERR_ACCESS_DENIED", "ENOENT", "ENOTDIR"];

/**
 * Locks an mbox by its dotlock `PATH.lock`, which Dovecot, mutt and procmail respect (Node has no flock). Waits 30
 * seconds at most. Throws AbortError when `signal` fires while waiting.
 */
export async function waitForLock(ground: Ground, path: string, signal: AbortSignal): Promise<Outcome<MboxLock>> {
  for (let waitedMs = 0; waitedMs <= longestWaitMs; waitedMs += betweenTriesMs) {
    const lock = tryLock(ground, path);
    if (lock !== "taken") return lock;
    await ground.wait(betweenTriesMs, signal);
  }
  return temporary("3.0", "File has been locked for 30 seconds straight. (#4.3.0)");
}

/** As `waitForLock`, without waiting. */
export function tryLock(ground: Ground, path: string): Outcome<MboxLock> | "taken" {
  const lock = `${path}.lock`;
  const own = `${dirname(path)}/.postern-lock-${ground.pid}.q`;
  try {
    makeLock(ground, lock, own);
    return done({ held: true, release: () => void remove(ground.files, lock) });
  } catch (error) {
    const code = errorCode(error);
    if (code === "EEXIST") return "taken";
    if (unlockable.includes(code)) return done({ held: false, release() {} });
    return temporary("3.0", `Unable to lock mbox: ${errorWords(code)}. (#4.3.0)`);
  } finally {
    remove(ground.files, own);
  }
}

/**
 * Linked, not created in its place, and its text flushed before: a lock is never there without its owner's name,
 * whenever we are killed or the power goes; nobody could tell such a one from a lock of another program's.
 */
function makeLock(ground: Ground, lock: string, own: string): void {
  const { files } = ground;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_DSYNC | safeFlags;
  remove(files, own); // not written over: an earlier process with our number may have linked it to a lock
  const fd = files.open(own, flags, 0o600);
  try {
    writePiece(files, fd, Buffer.from(ownerText(ground), "latin1"));
  } finally {
    files.close(fd);
  }
  try {
    files.link(own, lock);
  } catch (error) {
    if (errorCode(error) !== "EEXIST" || !isStale(ground, lock)) throw error;
    files.rename(own, lock); // not removed first: there is no moment without a lock
  }
}

const ownerPrefix = "postern deliver ";
const ownerText = ({ pid, host }: Ground): string => `${ownerPrefix}${pid} ${host}\n`;

/** Whether a process still runs cannot be asked from behind our walls: age has to tell. */
function isStale({ files, nowMs }: Ground, lock: string): boolean {
  try {
    const stat = files.stat(lock);
    if (!stat) return false;
    const ageMs = nowMs() - stat.mtimeMs;
    if (ageMs > staleAfterMs) return true;
    if (ageMs < ourStaleAfterMs || !stat.isFile() || stat.size > maxOwnerOctets) return false;
    return readText(files, lock).startsWith(ownerPrefix);
  } catch {
    return false;
  }
}

const maxOwnerOctets = 300;
