import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { extname, join } from "node:path";
import type { LaunchPlan } from "./plan.ts";

/** What the launcher is told, as JSON in its one argument. */
export interface LaunchOrder {
  readonly plan: LaunchPlan;
  /** The process that starts it, and with which it ends. */
  readonly parent: number;
  /** The program's main file. */
  readonly main: string;
  /** Descriptors the program gets: 0 up to, not including, this. */
  readonly descriptors: number;
  /** Which of them is Node's channel to us. */
  readonly channel: number | null;
  readonly args: readonly string[];
  /** The program's whole environment. */
  readonly env: readonly (readonly [name: string, value: string])[];
}

export interface LaunchOptions {
  /** As for `spawn`, as an array; with "ipc" in it the program has `process.send`. */
  readonly stdio: readonly ("ignore" | "inherit" | "pipe" | "ipc" | number)[];
  readonly args?: readonly string[];
  /** Beside the few variables every program gets. Nothing of our own environment is passed on. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Starts a program inside its walls, through the launcher, which becomes it: pid, descriptors and channel are the
 * program's. Send it nothing before its first message. A wall that cannot be put up ends it with 111. It does not
 * outlive us, however we end: what we would start anew does not meet the old one still at work.
 */
export function launch(plan: LaunchPlan, options: LaunchOptions): ChildProcess {
  const extension = extname(import.meta.filename);
  const channel = options.stdio.indexOf("ipc");
  const order: LaunchOrder = {
    plan,
    parent: process.pid,
    main: join(plan.code, "programs", plan.program, `main${extension}`),
    descriptors: options.stdio.length,
    channel: channel < 0 ? null : channel,
    args: options.args ?? [],
    env: Object.entries({ ...commonEnvironment(), ...options.env }),
  };
  const launcher = join(import.meta.dirname, "..", "..", "programs", "launcher", `main${extension}`);
  // From a program under --permission the launcher inherits those flags, and Node would warn of them.
  const quiet = ["--disable-warning=ExperimentalWarning", "--disable-warning=SecurityWarning"];
  return spawn(plan.node, [...quiet, launcher, JSON.stringify(order)], {
    stdio: [...options.stdio] as StdioOptions,
    env: commonEnvironment(),
    cwd: "/",
  });
}

/** `supervise` knows the time zone by name: its file is behind the walls. So is the configuration of OpenSSL, which Node insists on. */
const commonEnvironment = (): Record<string, string> => ({
  PATH: "/usr/local/bin:/usr/bin:/bin",
  TZ: process.env.TZ ?? "",
  OPENSSL_CONF: "/dev/null",
  UV_USE_IO_URING: "0",
});
