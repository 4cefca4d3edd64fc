import { chmodSync, chownSync, existsSync, lstatSync, rmSync } from "node:fs";
import type { Settings } from "../../protocol/control/table.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import type { KernelOutcome } from "../../services/kernel/libc.ts";
import { listenTcp, listenUnix } from "../../services/kernel/sockets.ts";
import { type ListenAddress, parseListenAddress } from "./listen-address.ts";

export interface Listener {
  /** "qmqp" is local submission's socket; QMQP for other hosts is "qmqp-tcp". */
  readonly service: "smtp" | "submission" | "smtps" | "lmtp" | "qmtp" | "qmqp-tcp" | "qmqp" | "pop3" | "pop3s" | "auth";
  readonly name: string;
  readonly fd: number;
}

/** The sockets in the file system. */
export interface LocalSockets {
  readonly submission: string;
  readonly auth: string;
  /** Who besides root may open the second; absent in embedded mode: nobody. */
  readonly authGroup: number | undefined;
}

/** Binds every listener of the settings, and local submission's socket. Accepts nothing, ever. */
export function bindListeners(settings: Settings, sockets: LocalSockets): Outcome<readonly Listener[]> {
  const listeners: Listener[] = [];
  const wanted = [
    ["smtp", "smtplisten"],
    ["submission", "submissionlisten"],
    ["smtps", "smtpslisten"],
    ["qmtp", "qmtplisten"],
    ["qmqp-tcp", "qmqplisten"],
    ["pop3", "pop3listen"],
    ["pop3s", "pop3slisten"],
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
  for (const name of settings.lmtplisten) {
    const bound = bindLmtp(name);
    if (bound.kind !== "done") return bound;
    listeners.push({ service: "lmtp", name, fd: bound.value });
  }
  if (settings.authsocket === 1) {
    const bound = bindSocket(sockets.auth, sockets.authGroup ?? "nobody else");
    if (bound.kind !== "done") return bound;
    listeners.push({ service: "auth", name: sockets.auth, fd: bound.value });
  }
  const local = bindSocket(sockets.submission, "everybody");
  if (local.kind !== "done") return local;
  return done([...listeners, { service: "qmqp", name: sockets.submission, fd: local.value }]);
}

/** `[::]` is in the defaults, and a kernel may do without IPv6: nobody could connect there anyway. */
const isMissingIPv6 = ({ address }: ListenAddress, bound: KernelOutcome<number>): boolean =>
  address === "::" && bound.kind !== "done" && ["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(bound.code);

/** LMTP is for this host (RFC 2033 §1): a socket in the file system, or a loopback address. */
function bindLmtp(name: string): Outcome<number> {
  if (!name.startsWith("/")) {
    const parsed = parseListenAddress("lmtplisten", name);
    if (parsed.kind !== "done") return parsed;
    const { address, port } = parsed.value;
    if (!address.startsWith("127.") && address !== "::1") {
      return permanent("3.5", `control/lmtplisten: "${name}" is neither a path nor a loopback address`);
    }
    return listenTcp(address, port);
  }
  if (existsSync(name) && !lstatSync(name).isSocket()) {
    return permanent("3.5", `control/lmtplisten: ${name} is there, and is no socket`);
  }
  return bindSocket(name, "everybody");
}

/** For everybody on this host, for a group, or for our own user alone: what they may do by it is for the program behind it. */
function bindSocket(path: string, forWhom: "everybody" | "nobody else" | number): KernelOutcome<number> {
  if (existsSync(path)) rmSync(path); // left by a supervise that was killed: ours is the lock
  const bound = listenUnix(path);
  if (bound.kind !== "done") return bound;
  if (typeof forWhom === "number") chownSync(path, 0, forWhom);
  chmodSync(path, forWhom === "everybody" ? 0o666 : forWhom === "nobody else" ? 0o600 : 0o660);
  return bound;
}
