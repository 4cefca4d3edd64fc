import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { done, type Failure, type Outcome, temporary } from "../../protocol/outcome.ts";
import { closeAtExec, keepAcrossExec } from "../../services/kernel/descriptors.ts";
import { execute } from "../../services/kernel/execute.ts";
import { become, dropCapabilities, endWith, forbidNewPrivileges } from "../../services/kernel/identity.ts";
import { type PathRight, restrictByLandlock } from "../../services/kernel/landlock.ts";
import { limit } from "../../services/kernel/limits.ts";
import { osReason } from "../../services/kernel/os-reason.ts";
import { randomOctets } from "../../services/kernel/random.ts";
import { buildFilter, restrictCalls } from "../../services/kernel/seccomp.ts";
import { type Machine, thisMachine } from "../../services/kernel/system-calls.ts";
import { kernelWalls } from "../../services/launch/kernel-walls.ts";
import type { LaunchOrder } from "../../services/launch/launch.ts";
import { nodeFlags, ownFiles } from "../../services/launch/node-flags.ts";
import type { LaunchPlan, Wall } from "../../services/launch/plan.ts";
import { type ExecKey, refusedCalls } from "../../services/launch/refused-calls.ts";

/** Puts up every wall around this process, in the only order that works, and turns into the program. Returns if it could not. */
export function becomeProgram(order: LaunchOrder): Failure {
  const { plan, main } = order;
  const machine = thisMachine();
  if (!machine) return temporary("3.0", `cannot start on ${process.arch}: its system calls are not in our tables`);
  const made = randomOctets(machine, 12);
  if (made.kind !== "done") return made;
  const random = made.value;
  const key: ExecKey = [random.readUInt32LE(0), random.readUInt32LE(4), random.readUInt32LE(8)];
  process.umask(0o077);

  const steps: readonly (() => Outcome<void>)[] = [
    () => handOn(order.descriptors),
    () => setLimits(plan.wall),
    () => changeUser(plan.wall),
    () => endWith(order.parent),
    () => mayRead(main, plan.wall),
    () => (plan.wall.kernel === "confined" ? confine(plan, machine, key) : done(undefined)),
  ];
  for (const step of steps) {
    const outcome = step();
    if (outcome.kind !== "done") return outcome;
  }
  const env = new Map(order.env);
  if (order.channel !== null) env.set("NODE_CHANNEL_FD", String(order.channel));
  return execute(machine, plan.node, { args: [...nodeFlags(plan), main, ...order.args], env, key });
}

function setLimits({ limits }: Wall): Outcome<void> {
  const set = limit("descriptors", limits.descriptors);
  if (set.kind !== "done") return set;
  const noCore = limit("coreOctets", 0); // a core file would hold mail
  if (noCore.kind !== "done" || limits.fileOctets === undefined) return noCore;
  return limit("fileOctets", limits.fileOctets);
}

/** As one user for all (embedded), uid 0 loses at least its capabilities, where it has the right to. */
function changeUser(wall: Wall): Outcome<void> {
  if (process.getuid?.() === 0 && (wall.user || wall.kernel === "confined")) {
    const dropped = dropCapabilities();
    if (dropped.kind !== "done" && (wall.user || dropped.code !== "EPERM")) return dropped;
  }
  return wall.user ? become(wall.user) : done(undefined);
}

/** Node itself would say it in twenty lines. */
function mayRead(main: string, { user }: Wall): Outcome<void> {
  try {
    accessSync(main, constants.R_OK);
    return done(undefined);
  } catch (error) {
    const as = user ? ` as user ${user.uid}, which it is to run as` : "";
    return temporary("3.0", `cannot read ${main}${as}: ${osReason(error)}`);
  }
}

function confine(plan: LaunchPlan, machine: Machine, key: ExecKey): Outcome<void> {
  const { wall } = plan;
  const { landlock, seccomp } = kernelWalls(wall);
  const forbidden = forbidNewPrivileges();
  if (forbidden.kind !== "done") return forbidden;
  if (landlock !== null) {
    const restricted = restrictByLandlock({
      paths: pathsOf(plan),
      tcpConnect: wall.network === "connect",
      abi: landlock,
    });
    if (restricted.kind !== "done") return restricted;
  }
  if (!seccomp) return done(undefined);
  return restrictCalls(buildFilter(refusedCalls(wall.network, process.pid, key), machine), machine);
}

/** What Node needs, found by looking: the files mapped into this very Node are those the next one maps. */
function pathsOf({ code, wall }: LaunchPlan): readonly (readonly [string, PathRight])[] {
  const mapped = readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .flatMap((line) => line.split(/ +/, 6)[5] ?? [])
    .filter((path) => path.startsWith("/"));
  return [
    ...[...new Set(mapped)].map((path) => [path, "execute"] as const),
    ...["/etc/ld.so.cache", "/dev/null", "/dev/urandom"].map((path) => [path, "read"] as const),
    ...[...ownFiles(code), ...wall.read].map((path) => [path, "read"] as const),
    ...wall.write.map((path) => [path, "change"] as const),
  ];
}

/** Also keeps back what whoever started `supervise` left open, by accident or not. */
function handOn(descriptors: number): Outcome<void> {
  for (const fd of readdirSync("/proc/self/fd").map(Number)) {
    const handed = fd < descriptors ? keepAcrossExec(fd) : closeAtExec(fd);
    if (handed.kind !== "done") return handed;
  }
  return done(undefined);
}
