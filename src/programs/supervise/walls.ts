import type { Wall } from "../../services/launch/plan.ts";
import type { Layout } from "../../services/layout/layout.ts";

export const programNames = [
  "smtpd",
  "qmtpd",
  "qmqpd",
  "pop3d",
  "authd",
  "hook",
  "queue",
  "directory",
  "local",
  "deliver",
  "pop3session",
  "remote",
  "logger",
] as const;
export type ProgramName = (typeof programNames)[number];
/** Without the kernel's walls: they start programs that are not ours. */
export const openPrograms: readonly ProgramName[] = ["local", "hook"];

/**
 * The accounts of a production system. `postern-mail` owns virtual mailboxes, `postern-alias` what no user controls;
 * `postern-hook`, `postern-pop3` and `postern-auth` need be there only where `hook`, `pop3d` and `authd` run.
 */
export const accountNames = [
  "postern-smtpd",
  "postern-queue",
  "postern-directory",
  "postern-remote",
  "postern-log",
  "postern-mail",
  "postern-alias",
  "postern-hook",
  "postern-pop3",
  "postern-auth",
] as const;
export type AccountName = (typeof accountNames)[number];
export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

interface Row extends Pick<Wall, "network" | "ffi" | "kernel" | "limits"> {
  /** "root": stays what `supervise` is. "recipient": `local` fills in the user, and what is hers to read and change. */
  readonly account: AccountName | "root" | "recipient";
  readonly read: readonly (keyof Layout | "everything")[];
  readonly write: readonly (keyof Layout)[];
}

const confined = { read: [], write: [], ffi: false, kernel: "confined" } as const;

/** What each program may do. All else is refused: by its user's rights, by the kernel, by Node. */
const table: Readonly<Record<ProgramName, Row>> = {
  smtpd: {
    ...confined,
    account: "postern-smtpd",
    network: "accept",
    limits: { descriptors: 110_000, heapMiB: 192 },
  },
  qmtpd: {
    ...confined,
    account: "postern-smtpd",
    network: "accept",
    limits: { descriptors: 110_000, heapMiB: 128 },
  },
  qmqpd: {
    ...confined,
    account: "postern-smtpd",
    network: "accept",
    ffi: true, // asks the kernel which local user connected (SO_PEERCRED)
    limits: { descriptors: 4_096, heapMiB: 64 },
  },
  pop3d: {
    ...confined,
    account: "postern-pop3",
    network: "accept",
    limits: { descriptors: 110_000, heapMiB: 128 },
  },
  authd: {
    ...confined,
    account: "postern-auth",
    network: "accept",
    limits: { descriptors: 256, heapMiB: 64 },
  },
  hook: {
    account: "postern-hook",
    read: [],
    write: ["hook"],
    network: "none",
    ffi: false,
    kernel: "open", // the site's own program, which it starts, must not inherit these walls
    limits: { descriptors: 16_384, heapMiB: 96 },
  },
  queue: {
    ...confined,
    account: "postern-queue",
    write: ["queue"],
    network: "none",
    limits: { descriptors: 1_024, heapMiB: 256 },
  },
  directory: {
    ...confined,
    account: "postern-directory",
    write: ["directory"],
    network: "none",
    limits: { descriptors: 256, heapMiB: 128 },
  },
  local: {
    account: "root", // becomes any user, to deliver as that user
    read: ["everything"], // users/, the system's accounts, and whose home is whose
    write: [],
    network: "none",
    ffi: true, // flushes whole file systems (syncfs)
    kernel: "open", // users' own programs, which it starts, must not inherit these walls
    limits: { descriptors: 16_384, heapMiB: 96 },
  },
  deliver: {
    ...confined,
    account: "recipient",
    network: "none",
    limits: { descriptors: 256, heapMiB: 64 },
  },
  pop3session: {
    ...confined,
    account: "recipient",
    network: "none",
    limits: { descriptors: 256, heapMiB: 128 },
  },
  remote: {
    ...confined,
    account: "postern-remote",
    network: "connect",
    limits: { descriptors: 16_384, heapMiB: 128 },
  },
  logger: {
    ...confined,
    account: "postern-log",
    write: ["log"],
    network: "none",
    limits: { descriptors: 256, heapMiB: 64 },
  },
};

/** The wall of a program on this system. `ids` is absent in embedded mode, where all are one user. */
export function wallOf(program: ProgramName, layout: Layout, ids?: ReadonlyMap<AccountName, Ids>): Wall {
  const { account, read, write, network, ffi, kernel, limits } = table[program];
  const user = account === "root" || account === "recipient" ? undefined : ids?.get(account);
  return {
    ...(user ? { user: { uid: user.uid, gid: user.gid } } : {}),
    read: read.map((place) => (place === "everything" ? "/" : layout[place])),
    write: write.map((place) => layout[place]),
    network,
    ffi,
    kernel,
    limits,
  };
}

/** Who is told certificates and their private keys: what ends TLS. */
export const speaksTls = (program: ProgramName): boolean => program === "smtpd" || program === "pop3d";

/** Who speaks with whom. `logger` hears from every program, and from `supervise`. */
const conversations: readonly (readonly [ProgramName, ProgramName])[] = [
  ["smtpd", "queue"],
  ["qmtpd", "queue"],
  ["qmqpd", "queue"],
  ["smtpd", "hook"],
  ["qmtpd", "hook"],
  ["qmqpd", "hook"],
  ["smtpd", "directory"],
  ["pop3d", "directory"],
  ["authd", "directory"],
  ["pop3d", "local"],
  ["directory", "local"],
  ["queue", "local"],
  ["queue", "remote"],
];

export const speak = (one: ProgramName, other: ProgramName): boolean =>
  one !== other &&
  (one === "logger" || other === "logger" || conversations.some((pair) => pair.includes(one) && pair.includes(other)));
