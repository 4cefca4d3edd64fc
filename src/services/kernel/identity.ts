import { temporary } from "../../protocol/outcome.ts";
import { type KernelOutcome, kernelFailure, libc, worked } from "./libc.ts";

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;

/** Becomes the user for good: real, effective and saved ids, no supplementary groups. Takes root. */
export function become(user: { readonly uid: number; readonly gid: number }): KernelOutcome<void> {
  const { uid, gid } = user;
  if (libc().setgroups(0n, null) < 0) return kernelFailure("give up supplementary groups");
  if (libc().setresgid(gid, gid, gid) < 0) return kernelFailure(`become group ${gid}`);
  if (libc().setresuid(uid, uid, uid) < 0) return kernelFailure(`become user ${uid}`);
  return worked(undefined);
}

/** After the next exec not even uid 0 has a capability. Takes root (CAP_SETPCAP). */
export function dropCapabilities(): KernelOutcome<void> {
  for (let capability = 0n; libc().prctl(PR_CAPBSET_READ, capability, 0n, 0n, 0n) >= 0; capability++) {
    if (libc().prctl(PR_CAPBSET_DROP, capability, 0n, 0n, 0n) < 0)
      return kernelFailure(`drop capability ${capability}`);
  }
  return worked(undefined);
}

/** No exec gives privileges from here on: set-uid files are ordinary files. Of the calling thread. */
export function forbidNewPrivileges(): KernelOutcome<void> {
  return libc().prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n) < 0
    ? kernelFailure("forbid new privileges")
    : worked(undefined);
}

/**
 * Has the kernel kill this process when the one that started it, `parent`, ends: from the next moment on, and after an
 * exec. Becoming another user undoes it.
 */
export function endWith(parent: number): KernelOutcome<void> {
  if (libc().prctl(PR_SET_PDEATHSIG, BigInt(SIGKILL), 0n, 0n, 0n) < 0) return kernelFailure("end with the parent");
  if (process.ppid === parent) return worked(undefined);
  return { ...temporary("3.0", `process ${parent}, which started this one, has ended`), code: "ESRCH" };
}
