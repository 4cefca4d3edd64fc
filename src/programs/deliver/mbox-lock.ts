import { closeSync, constants, linkSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { errorCode, safeFlags } from "../../services/maildir/file.ts";
import { remove } from "../../services/maildir/store.ts";

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
export async function waitForLock(path: string, signal: AbortSignal): Promise<Outcome<MboxLock>> {
  for (let waitedMs = 0; waitedMs <= longestWaitMs; waitedMs += betweenTriesMs) {
    const lock = tryLock(path);
    if (lock !== "taken") return lock;
    await delay(betweenTriesMs, undefined, { signal });
  }
  return temporary("3.0", "File has been locked for 30 seconds straight. (#4.3.0)");
}

/** As `waitForLock`, without waiting. */
export function tryLock(path: string): Outcome<MboxLock> | "taken" {
  const lock = `${path}.lock`;
  const own = `${dirname(path)}/.postern-lock-${process.pid}.q`;
  try {
    makeLock(lock, own);
    return done({ held: true, release: () => void remove(lock) });
  } catch (error) {
    const code = errorCode(error);
    if (code === "EEXIST") return "taken";
    if (unlockable.includes(code)) return done({ held: false, release() {} });
    return temporary("3.0", `Unable to lock mbox: ${errorWords(code)}. (#4.3.0)`);
  } finally {
    remove(own);
  }
}

/**
 * Linked, not created in its place, and its text flushed before: a lock is never there without its owner's name,
 * whenever we are killed or the power goes; nobody could tell such a one from a lock of another program's.
 */
function makeLock(lock: string, own: string): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_DSYNC | safeFlags;
  const fd = openSync(own, flags, 0o600);
  writeSync(fd, ownerText());
  closeSync(fd);
  try {
    linkSync(own, lock);
  } catch (error) {
    if (errorCode(error) !== "EEXIST" || !isStale(lock) || !remove(lock)) throw error;
    linkSync(own, lock);
  }
}

const ownerPrefix = "postern deliver ";
const ownerText = (): string => `${ownerPrefix}${process.pid} ${hostname()}\n`;

/** Whether a process still runs cannot be asked from behind our walls: age has to tell. */
function isStale(lock: string): boolean {
  try {
    const stat = statSync(lock, { throwIfNoEntry: false });
    if (!stat) return false;
    const ageMs = Date.now() - stat.mtimeMs;
    if (ageMs > staleAfterMs) return true;
    if (ageMs < ourStaleAfterMs || !stat.isFile() || stat.size > maxOwnerOctets) return false;
    const text = readFileSync(lock, { encoding: "latin1", flag: constants.O_RDONLY | safeFlags });
    return text.startsWith(ownerPrefix);
  } catch {
    return false;
  }
}

const maxOwnerOctets = 300;
