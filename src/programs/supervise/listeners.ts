import { chmodSync, existsSync, rmSync } from "node:fs";
import type { Settings } from "../../protocol/control/table.ts";
import { done, type Outcome } from "../../protocol/outcome.ts";
import type { KernelOutcome } from "../../services/kernel/libc.ts";
import { listenTcp, listenUnix } from "../../services/kernel/sockets.ts";
import { type ListenAddress, parseListenAddress } from "./listen-address.ts";

export interface Listener {
  /** "qmqp" is local submission's socket; QMQP for other hosts is "qmqp-tcp". */
  readonly service: "smtp" | "submission" | "smtps" | "qmtp" | "qmqp-tcp" | "qmqp";
  readonly name: string;
  readonly fd: number;
}

/** Binds every listener of the settings, and local submission's socket. Accepts nothing, ever. */
export function bindListeners(settings: Settings, submissionPath: string): Outcome<readonly Listener[]> {
  const listeners: Listener[] = [];
  const wanted = [
    ["smtp", "smtplisten"],
    ["submission", "submissionlisten"],
    ["smtps", "smtpslisten"],
    ["qmtp", "qmtplisten"],
    ["qmqp-tcp", "qmqplisten"],
  ] as const;
  for (const [service, file] of wanted) {
    for (const name of settings[file]) {
      const parsed = parseListenAddress(file, name);
      if (parsed.kind !== "done") return parsed;
      const bound = listenTcp(parsed.value.address, parsed.value.port);
      if (bound.kind === "done") listeners.push({ service, name, fd: bound.value });
      else if (!isMissingIPv6(parsed.value, bound)) return bound;
    }
  }
  const local = bindSubmission(submissionPath);
  if (local.kind !== "done") return local;
  return done([...listeners, { service: "qmqp", name: submissionPath, fd: local.value }]);
}

/** `[::]` is in the defaults, and a kernel may do without IPv6: nobody could connect there anyway. */
const isMissingIPv6 = ({ address }: ListenAddress, bound: KernelOutcome<number>): boolean =>
  address === "::" && bound.kind !== "done" && ["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(bound.code);

function bindSubmission(path: string): KernelOutcome<number> {
  if (existsSync(path)) rmSync(path); // left by a supervise that was killed: ours is the lock
  const bound = listenUnix(path);
  if (bound.kind === "done") chmodSync(path, 0o666);
  return bound;
}
