import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { descendants, type Server, until } from "../support/server.ts";

/** The kernel's freezer (cgroup v1). */
const freezer = "/sys/fs/cgroup/freezer";

/** Every program stands still, and none is in the middle of a system call. */
export interface Frozen {
  /** Lets them go on, to die if they were killed meanwhile. */
  thaw(): void;
  /** Resolves when all are gone. */
  cleared(): Promise<void>;
}

/** Stops every program of the server at one instant. Undefined where there is no freezer. The caller kills, then thaws. */
export async function freeze(server: Server): Promise<Frozen | undefined> {
  const group = join(freezer, `postern-test-${server.process.pid}`);
  try {
    mkdirSync(group);
  } catch {
    return undefined;
  }
  const state = join(group, "freezer.state");
  while (enlist(group, server)); // a child is where its parent was when it was born: until there is none outside
  const thaw = (): void => writeFileSync(state, "THAWED");
  writeFileSync(state, "FROZEN");
  const isFrozen = (): boolean => readFileSync(state, "latin1").trim() === "FROZEN";
  await until("everything to freeze", isFrozen).catch((error: unknown) => {
    thaw();
    throw error;
  });
  return {
    thaw,
    async cleared() {
      await until("the last to be gone", () => readFileSync(join(group, "cgroup.procs"), "latin1") === "");
      rmdirSync(group);
    },
  };
}

/** SIGKILL to every program at one instant, so that none sees another die; one by one where there is no freezer. */
export async function killAtOnce(server: Server): Promise<void> {
  const frozen = await freeze(server);
  const dead = server.killAll();
  frozen?.thaw();
  await dead;
  await frozen?.cleared();
}

/** Whether there was somebody to enlist. */
function enlist(group: string, server: Server): boolean {
  const inside = new Set(readFileSync(join(group, "cgroup.procs"), "latin1").split("\n"));
  const outside = descendants(server.process.pid ?? 0).filter((pid) => !inside.has(String(pid)));
  const enlisted = outside.filter((pid) => {
    try {
      writeFileSync(join(group, "cgroup.procs"), String(pid));
      return true;
    } catch {
      return false; // it has just ended
    }
  });
  return enlisted.length > 0;
}
