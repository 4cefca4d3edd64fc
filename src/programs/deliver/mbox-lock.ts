import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { dirname } from "node:path";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { type Content, errorCode, readAll, readText, safeFlags, writePiece } from "../../services/maildir/file.ts";
import type { FileStat } from "../../services/maildir/files.ts";
import { remove } from "../../services/maildir/store.ts";
import type { Ground } from "./ground.ts";

export interface MboxLock {
  /** False where no lock can be made: then the mbox is written without one, as qmail does. */
  readonly held: boolean;
  /** It was there, and stale: whoever had it has died. */
  readonly isTakenOver: boolean;
  /** Whether it still is: others take over one that nobody renewed. */
  isOurs(): boolean;
  /** The same content, which renews the lock while it is written, and throws when it is another's by then. */
  keptBy(content: Content): Content;
  release(): void;
}

const longestWaitMs = 30_000;
/**
 * 10 to 40 ms, no two in a row the same: readers that lock again as soon as they have unlocked leave it free for a few
 * milliseconds in a hundred, and must not be in step with us.
 */
const pauseMs = (tries: number): number => 10 + ((tries * 17) % 31);
/** A lock nobody renewed for this long belongs to a program that died. */
const staleAfterMs = 300_000;
/** We hold ours only while we append, and renew it: one of this host's this old is that of a worker that was killed. */
const ourStaleAfterMs = 10_000;
const renewedAfterMs = 1_000;
/** Far longer than it takes from finding a lock stale to replacing it. */
const surelyReplacedMs = 1_000;
/** Not allowed in that folder; a wrong folder shows when the mbox itself is opened. */
const unlockable: readonly string[] = ["EACCES", "EPERM", "EROFS", "ERR_ACCESS_DENIED", "ENOENT", "ENOTDIR"];

/**
 * Locks an mbox by its dotlock `PATH.lock`, which Dovecot, mutt and procmail respect (Node has no flock). Waits 30
 * seconds at most. Throws AbortError when `signal` fires while waiting.
 */
export async function waitForLock(ground: Ground, path: string, signal: AbortSignal): Promise<Outcome<MboxLock>> {
  for (let [tries, waitedMs] = [0, 0]; waitedMs < longestWaitMs; tries++) {
    let lock = tryLock(ground, path);
    if (lock === "stale") lock = await takeOver(ground, path, signal);
    if (lock !== "taken") return lock;
    await ground.wait(pauseMs(tries), signal);
    waitedMs += pauseMs(tries);
  }
  return temporary("3.0", "File has been locked for 30 seconds straight. (#4.3.0)");
}

/** As `waitForLock`, without waiting. */
export function tryLock(ground: Ground, path: string): Outcome<MboxLock> | "taken" | "stale" {
  const lock = lockOf(path);
  try {
    const there = ground.files.lstat(lock);
    if (there) return isStale(ground, lock, there) ? "stale" : "taken";
    withOwn(ground, path, (own) => ground.files.link(own, lock));
    return done(heldLock(ground, lock, false));
  } catch (error) {
    return withoutLock(error);
  }
}

/**
 * Replaces a stale lock; there is no moment without one. Each of two that found it stale may do so: both look again
 * after longer than that takes, and the last one has it. If we are told to stop meanwhile, it gets stale once more.
 */
async function takeOver(ground: Ground, path: string, signal: AbortSignal): Promise<Outcome<MboxLock> | "taken"> {
  const lock = lockOf(path);
  try {
    withOwn(ground, path, (own) => ground.files.rename(own, lock));
  } catch (error) {
    return withoutLock(error);
  }
  await ground.wait(surelyReplacedMs, signal);
  const held = heldLock(ground, lock, true);
  return held.isOurs() ? done(held) : "taken";
}

const lockOf = (path: string): string => `${path}.lock`;
const ownerPrefix = "postern deliver ";
const ownerText = ({ pid, host }: Ground): string => `${ownerPrefix}${pid} ${host}\n`;

/**
 * Makes a file that says whose it is, to be linked or moved to the lock, not created there, and flushes it before: a
 * lock is never there without its owner's name, whenever we are killed or the power goes; nobody could tell such a one
 * from a lock of another program's.
 */
function withOwn(ground: Ground, path: string, use: (own: string) => void): void {
  const { files, pid, host } = ground;
  const own = `${dirname(path)}/.postern-lock-${pid}.${encodeURIComponent(host)}.q`;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_DSYNC | safeFlags;
  remove(files, own); // not written over: an earlier process with our number may have linked it to a lock
  try {
    const fd = files.open(own, flags, 0o600);
    try {
      writePiece(files, fd, Buffer.from(ownerText(ground), "latin1"));
    } finally {
      files.close(fd);
    }
    use(own);
  } finally {
    remove(files, own);
  }
}

function withoutLock(error: unknown): Outcome<MboxLock> | "taken" {
  const code = errorCode(error);
  if (code === "EEXIST") return "taken";
  if (unlockable.includes(code)) return done(noLock);
  return temporary("3.0", `Unable to lock mbox: ${errorWords(code)}. (#4.3.0)`);
}

const noLock: MboxLock = {
  held: false,
  isTakenOver: false,
  isOurs: () => false,
  keptBy: (content) => content,
  release() {},
};

function heldLock(ground: Ground, lock: string, isTakenOver: boolean): MboxLock {
  const { files } = ground;
  const text = ownerText(ground);
  let renewedMs = ground.nowMs();
  const isOurs = (): boolean => {
    try {
      return readText(files, lock) === text;
    } catch (error) {
      return errorCode(error) !== "ENOENT"; // what cannot be read now is ours still, by all we know
    }
  };
  const renew = (): void => {
    const nowMs = ground.nowMs();
    if (Math.abs(nowMs - renewedMs) < renewedAfterMs) return;
    const fd = files.open(lock, constants.O_RDWR | safeFlags);
    try {
      if (readAll(files, fd) !== text) throw Object.assign(new Error("the lock was taken over"), { code: "EAGAIN" });
      writePiece(files, fd, Buffer.from(text, "latin1"));
    } finally {
      files.close(fd);
    }
    renewedMs = nowMs;
  };
  return {
    held: true,
    isTakenOver,
    isOurs,
    keptBy: ({ octets, pieces }) => ({
      octets,
      *pieces() {
        for (const piece of pieces()) {
          renew();
          yield piece;
        }
      },
    }),
    release: () => void (isOurs() && remove(files, lock)),
  };
}

/** Whether a process still runs cannot be asked from behind our walls: age has to tell. */
function isStale({ files, nowMs, host }: Ground, lock: string, there: FileStat): boolean {
  const ageMs = nowMs() - there.mtimeMs;
  if (ageMs > staleAfterMs) return true;
  if (ageMs < ourStaleAfterMs || !there.isFile() || there.size > maxOwnerOctets) return false;
  try {
    const text = readText(files, lock);
    return text.startsWith(ownerPrefix) && text.endsWith(` ${host}\n`); // another host's clock may differ
  } catch {
    return false; // gone meanwhile, or not ours to read
  }
}

const maxOwnerOctets = 300;
