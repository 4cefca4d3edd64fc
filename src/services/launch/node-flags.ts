import { join } from "node:path";
import type { LaunchPlan } from "./plan.ts";

/** What Node may read of our own: the code, and the package.json that says how to read it. */
export const ownFiles = (code: string): readonly string[] => [code, join(code, "..", "package.json")];

/** For `supervise` too. */
export const commonFlags: readonly string[] = [
  "--disable-warning=ExperimentalWarning",
  "--expose-gc", // services/memory
  "--v8-pool-size=1",
  "--use-openssl-ca", // else all authorities are read once there is TLS; ours says each time which ones count
  "--no-use-osr", // a long loop at a start loads the compiler, 5 MB; what runs again is compiled all the same
];

/** Node's command line for a program: wall 3, and memory in proportion. "/" to read means everything. */
export function nodeFlags({ code, wall }: LaunchPlan): readonly string[] {
  const read = wall.read.includes("/") ? ["*"] : [...ownFiles(code), ...wall.read, ...wall.write];
  const semiSpaceMiB = Math.min(16, Math.max(2, Math.round(wall.limits.heapMiB / 32)));
  return [
    "--permission",
    ...read.map((path) => `--allow-fs-read=${path}`),
    ...wall.write.map((path) => `--allow-fs-write=${path}`),
    ...(wall.network === "none" ? [] : ["--allow-net"]),
    ...(wall.ffi ? ["--allow-ffi"] : []),
    ...(wall.kernel === "open" ? ["--allow-child-process"] : []),
    "--disable-proto=delete",
    "--disallow-code-generation-from-strings",
    "--disable-warning=SecurityWarning", // that --allow-ffi and --allow-child-process are strong: we know
    "--disable-sigusr1",
    ...commonFlags,
    // Connections with TLS hold memory that is not V8's; counting it, V8 looked through old space every few hundred of them.
    ...(wall.network === "accept" ? [`--initial-old-space-size=${wall.limits.heapMiB / 4}`] : []),
    `--max-old-space-size=${wall.limits.heapMiB}`,
    `--max-semi-space-size=${semiSpaceMiB}`,
  ];
}
