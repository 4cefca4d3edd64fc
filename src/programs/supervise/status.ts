import { readFileSync } from "node:fs";
import { uptime } from "node:os";
import { type KernelWalls, kernelWalls } from "../../services/launch/kernel-walls.ts";
import type { LaunchPlan, Wall } from "../../services/launch/plan.ts";
import type { Member } from "./member.ts";

/** A program as `postern status` shows it. */
export interface ProgramStatus {
  readonly name: string;
  readonly pid: number | null;
  readonly uid: number | null;
  readonly uptimeMs: number;
  readonly restarts: number;
  /** Its proportional share of memory (PSS); null where the kernel does not tell us. */
  readonly memoryKiB: number | null;
  readonly walls: WallStatus;
}

export interface WallStatus {
  /** It runs as a user of its own, in no other group, and with no capability. */
  readonly uid: boolean;
  /** The ABI in use. */
  readonly landlock: number | null;
  readonly seccomp: boolean;
  readonly permission: boolean;
  /** Why not all of them. */
  readonly why?: string;
}

/** Looks at the running process: what the kernel says counts, not what we asked for. */
export function programStatus(member: Member, embedded: boolean): ProgramStatus {
  const { pid, name, restarts } = member;
  const fields = pid === undefined ? undefined : readStatus(pid);
  if (pid === undefined || !fields) {
    const walls = { uid: false, landlock: null, seccomp: false, permission: false, why: "it does not run" };
    return { name, pid: null, uid: null, uptimeMs: 0, restarts, memoryKiB: null, walls };
  }
  return {
    name,
    pid,
    uid: Number(fields.get("Uid")?.split("\t")[0]),
    uptimeMs: Math.round(member.uptimeMs),
    restarts,
    memoryKiB: memoryOf(pid),
    walls: wallStatus(fields, member.plan.wall, kernelWalls(member.plan.wall), embedded),
  };
}

/** `supervise` itself, which stands outside all walls and says so. */
export function ownStatus(): ProgramStatus {
  const why = "it binds the sockets and starts the others; it parses nothing that came from a network";
  const walls = { uid: false, landlock: null, seccomp: false, permission: false, why };
  return {
    name: "supervise",
    pid: process.pid,
    uid: process.getuid?.() ?? null,
    uptimeMs: Math.round(process.uptime() * 1_000),
    restarts: 0,
    memoryKiB: memoryOf(process.pid),
    walls,
  };
}

/** The workers that `local` has started, by what they call themselves. */
export function workerStatuses(
  localPid: number | undefined,
  plans: readonly LaunchPlan[],
  embedded: boolean,
): ProgramStatus[] {
  if (localPid === undefined) return [];
  const children = (readProc(localPid, `task/${localPid}/children`) ?? "").split(" ").filter(Boolean).map(Number);
  return children.flatMap((pid) => {
    const fields = readStatus(pid);
    const title = readProc(pid, "cmdline") ?? "";
    const plan = plans.find(({ program }) => title.startsWith(`postern: ${program}`));
    if (!fields || !plan) return [];
    const [uid = 0, gid = 0] = ["Uid", "Gid"].map((name) => Number(fields.get(name)?.split("\t")[0]));
    const wall: Wall = embedded ? plan.wall : { ...plan.wall, user: { uid, gid } };
    return {
      name: plan.program,
      pid,
      uid,
      uptimeMs: uptimeMsOf(pid),
      restarts: 0,
      memoryKiB: memoryOf(pid),
      walls: wallStatus(fields, wall, kernelWalls(wall), embedded),
    };
  });
}

/** What the fields of /proc/PID/status say about the walls of a program; Landlock shows nowhere, so `up` is believed. */
export function wallStatus(
  fields: ReadonlyMap<string, string>,
  wall: Wall,
  up: KernelWalls,
  embedded: boolean,
): WallStatus {
  const why: string[] = [];
  const ids = (name: string): string[] => (fields.get(name) ?? "").split("\t");
  const { user } = wall;
  if (!user) {
    why.push(embedded ? "embedded: all programs are one user" : "it becomes other users");
  } else if (
    ids("Uid").some((id) => id !== String(user.uid)) ||
    ids("Gid").some((id) => id !== String(user.gid)) ||
    ids("Groups").some((id) => id.trim() !== "")
  ) {
    why.push(`it should be user ${user.uid} and is ${ids("Uid")[0]}`);
  }
  const ownUser = why.length === 0;
  const powerless = /^0+$/.test(fields.get("CapEff") ?? "");
  if (!powerless && wall.kernel === "confined") why.push("it has capabilities");
  const filtered = fields.get("Seccomp") === "2" && fields.get("NoNewPrivs") === "1";
  if (up.seccomp && !filtered) why.push("its seccomp filter is missing");
  if (up.why) why.push(up.why);
  return {
    uid: ownUser && powerless,
    landlock: up.landlock,
    seccomp: up.seccomp && filtered,
    permission: true, // the launcher knows no other way to start Node
    ...(why.length > 0 ? { why: why.join("; ") } : {}),
  };
}

function readStatus(pid: number): ReadonlyMap<string, string> | undefined {
  const text = readProc(pid, "status");
  if (text === undefined) return undefined;
  return new Map(
    text.split("\n").map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
}

const ticksPerSecond = 100;

function uptimeMsOf(pid: number): number {
  const stat = readProc(pid, "stat") ?? "";
  const startedTicks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  return Math.max(0, Math.round(uptime() * 1_000 - (startedTicks * 1_000) / ticksPerSecond));
}

function memoryOf(pid: number): number | null {
  const pss = /^Pss: +([0-9]+) kB$/m.exec(readProc(pid, "smaps_rollup") ?? "")?.[1];
  return pss === undefined ? null : Number(pss);
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return undefined; // it is gone, or not ours to look at
  }
}
