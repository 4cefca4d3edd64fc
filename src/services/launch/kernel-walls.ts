import { landlockAbi } from "../kernel/landlock.ts";
import { thisMachine } from "../kernel/system-calls.ts";
import type { Wall } from "./plan.ts";

/** Which of the kernel's walls a program gets on this machine; `why` says why not all. */
export interface KernelWalls {
  /** The ABI used. */
  readonly landlock: number | null;
  readonly seccomp: boolean;
  readonly why?: string;
}

/** The same answer for the launcher, which puts them up, and for `postern status`. Needs node:ffi. */
export function kernelWalls(wall: Wall): KernelWalls {
  if (wall.kernel === "open") {
    return { landlock: null, seccomp: false, why: "what it starts would inherit the kernel's walls, and must not" };
  }
  const seccomp = thisMachine() !== undefined;
  const noSeccomp = seccomp ? [] : [`no seccomp table for ${process.arch}`];
  const abi = landlockAbi();
  const noLandlock =
    abi.kind !== "done"
      ? [abi.text]
      : abi.value < 2 && wall.write.length > 0
        ? ["Landlock of this kernel (ABI 1) forbids moving files between folders"]
        : [];
  const why = [...noSeccomp, ...noLandlock].join("; ");
  const landlock = abi.kind === "done" && noLandlock.length === 0 ? abi.value : null;
  return { landlock, seccomp, ...(why === "" ? {} : { why }) };
}
