import { type KernelOutcome, kernelFailure, libc, worked } from "./libc.ts";

const F_SETFD = 2;
const FD_CLOEXEC = 1n;
const LOCK_EX = 2;
const LOCK_NB = 4;

/** Clears close-on-exec: the program we turn into gets `fd`. */
export function keepAcrossExec(fd: number): KernelOutcome<void> {
  return libc().fcntl(fd, F_SETFD, 0n) < 0 ? kernelFailure(`hand on descriptor ${fd}`) : worked(undefined);
}

/** Sets close-on-exec: the program we turn into does not get `fd`, which may be closed already. */
export function closeAtExec(fd: number): KernelOutcome<void> {
  if (libc().fcntl(fd, F_SETFD, FD_CLOEXEC) >= 0) return worked(undefined);
  const failure = kernelFailure(`keep back descriptor ${fd}`);
  return failure.code === "EBADF" ? worked(undefined) : failure;
}

/**
 * Takes the lock of the open file `fd`, false when another holds it. It goes when the last process that has this
 * opening of the file is gone, however it ended.
 */
export function tryLock(fd: number): KernelOutcome<boolean> {
  if (libc().flock(fd, LOCK_EX | LOCK_NB) === 0) return worked(true);
  const failure = kernelFailure(`lock descriptor ${fd}`);
  return failure.code === "EAGAIN" ? worked(false) : failure;
}
