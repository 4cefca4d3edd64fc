import { dlopen, getInt32, getRawPointer } from "node:ffi";
import { type Failure, temporary } from "../../protocol/outcome.ts";
import { systemErrorMessage, systemErrorShortName } from "./os-reason.ts";

/** The calls we make. Variadic ones (open, fcntl, prctl, syscall) take integers only, which x86_64 and aarch64 pass alike. */
const load = () =>
  dlopen(null, {
    __errno_location: { arguments: [], return: "pointer" },
    bind: { arguments: ["i32", "pointer", "u32"], return: "i32" },
    close: { arguments: ["i32"], return: "i32" },
    fcntl: { arguments: ["i32", "i32", "i64"], return: "i32" },
    flock: { arguments: ["i32", "i32"], return: "i32" },
    getrlimit: { arguments: ["i32", "pointer"], return: "i32" },
    getsockopt: { arguments: ["i32", "i32", "i32", "pointer", "pointer"], return: "i32" },
    listen: { arguments: ["i32", "i32"], return: "i32" },
    open: { arguments: ["string", "i32", "i32"], return: "i32" },
    prctl: { arguments: ["i32", "u64", "u64", "u64", "u64"], return: "i32" },
    setgroups: { arguments: ["u64", "pointer"], return: "i32" },
    setresgid: { arguments: ["u32", "u32", "u32"], return: "i32" },
    setresuid: { arguments: ["u32", "u32", "u32"], return: "i32" },
    setrlimit: { arguments: ["i32", "pointer"], return: "i32" },
    setsockopt: { arguments: ["i32", "i32", "i32", "pointer", "u32"], return: "i32" },
    signal: { arguments: ["i32", "u64"], return: "u64" },
    socket: { arguments: ["i32", "i32", "i32"], return: "i32" },
    socketpair: { arguments: ["i32", "i32", "i32", "pointer"], return: "i32" },
    syncfs: { arguments: ["i32"], return: "i32" },
    syscall: { arguments: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], return: "i64" },
    umask: { arguments: ["u32"], return: "u32" },
  }).functions;

let loaded: ReturnType<typeof load> | undefined;

/** libc, looked up at the first call: importing this folder costs a program without --allow-ffi nothing. */
export const libc = (): ReturnType<typeof load> => {
  loaded ??= load();
  return loaded;
};

/** A call the kernel refused. `code` is errno's name. */
export type KernelFailure = Failure & { readonly code: string };
export type KernelOutcome<Value> = { readonly kind: "done"; readonly value: Value } | KernelFailure;

/** Why the libc call just made has failed; `tried` completes "cannot ...". Call it before anything else. */
export function kernelFailure(tried: string): KernelFailure {
  const errno = getInt32(libc().__errno_location());
  const text = `cannot ${tried}: ${systemErrorMessage(-errno)}`;
  return { ...temporary("3.0", text), code: systemErrorShortName(-errno) };
}

/** A system call libc has no name for, or whose arguments it would not pass on as they are. -1 is failure. */
export function systemCall(number: number, ...values: readonly (number | bigint | Uint8Array)[]): bigint {
  const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = values.map((value) =>
    value instanceof Uint8Array ? getRawPointer(value) : BigInt(value),
  );
  return libc().syscall(BigInt(number), a, b, c, d, e, f);
}

export const worked = <Value>(value: Value): KernelOutcome<Value> => ({ kind: "done", value });
