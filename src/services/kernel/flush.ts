import { constants, fstatSync } from "node:fs";
import { type KernelOutcome, kernelFailure, libc, worked } from "./libc.ts";

const O_CLOEXEC = 0o2000000;

/**
 * Opens the folder that process `pid` holds open as `fd`, whatever its name is by now: no path a user controls is
 * walked. Fails if it is no folder. The caller closes it.
 */
export function openDirectoryOf(pid: number, fd: number): KernelOutcome<number> {
  const opened = libc().open(`/proc/${pid}/fd/${fd}`, constants.O_DIRECTORY | O_CLOEXEC, 0);
  return opened < 0 ? kernelFailure(`open folder ${fd} of process ${pid}`) : worked(opened);
}

/** Flushes the whole file system that `fd` lies on, files and folders, and waits for it (syncfs(2)). */
export function syncFileSystem(fd: number): KernelOutcome<void> {
  return libc().syncfs(fd) < 0 ? kernelFailure(`flush the file system of descriptor ${fd}`) : worked(undefined);
}

/** The device `fd` lies on, as in `stat().dev`. Throws when `fd` is not open. */
export const deviceOf = (fd: number): number => fstatSync(fd).dev;
