/**
 * Cuts the power under load: the file system stops, with what was not flushed, then every program is killed, and what
 * was acknowledged is counted after the restart. As root.
 *
 *   node test/crash/power-cut.ts [--cuts 50] [--file-system ext4] [--messages 20000] [--seed N]
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { createDisk, type Disk, type FileSystem } from "../support/disk.ts";
import { startServer } from "../support/server.ts";
import { type Crash, type Plan, type Result, runPlan } from "./crashes.ts";
import { freeze } from "./freeze.ts";
import { addUp } from "./total.ts";

/**
 * Half of the cuts come while every program stands still, between two system calls: then each reply that was read must
 * be true. The others come at any instant, so in the middle of flushes too. There ext4 lies, as strace shows: an fsync
 * that began before the shutdown and ended after it returned 0, its data was gone after the mount, and each later one
 * failed with EIO. No server can know, and no real power cut leaves anybody to be told: only of what was sent before such
 * a cut and answered after it nothing is expected.
 */
const cutPower =
  (disk: Disk, tree: string | undefined): Crash =>
  async (server, random, note) => {
    const frozen = random() < 0.5 ? await freeze(server) : undefined;
    if (frozen) note("power cut between system calls");
    else note("power cut at any instant", "lying");
    disk.cut();
    const dead = server.killAll();
    frozen?.thaw();
    await dead;
    await frozen?.cleared();
    await disk.restart();
    return await startServer({ root: server.root, ...(tree !== undefined && { tree }) });
  };

export interface Cuts extends Pick<Plan, "seed" | "messages" | "exits" | "largeEvery" | "standstillMs"> {
  readonly fileSystem: FileSystem;
  readonly cuts: number;
  /** Code with a deliberate fault instead of the real one. */
  readonly tree?: string;
}

/** Carries out so many power cuts in one load. What users' programs write lies on another disk: it is theirs to flush. */
export async function cutPowerUnderLoad({ fileSystem, cuts, tree, ...plan }: Cuts): Promise<Result> {
  await using disk = createDisk(fileSystem);
  return await runPlan({
    ...plan,
    crashes: cuts,
    crash: cutPower(disk, tree),
    options: { folder: disk.folder, ...(tree !== undefined && { tree }) },
    prepared: () => void execFileSync("sync", ["-f", disk.folder]), // its settings: they were there long before
  });
}

const cutsInOneLoad = 5;

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      cuts: { type: "string" },
      messages: { type: "string" },
      seed: { type: "string" },
      "file-system": { type: "string" },
    },
  });
  const cuts = Number(values.cuts ?? 50);
  const fileSystem = values["file-system"] === "xfs" ? "xfs" : "ext4";
  const loads = Math.ceil(cuts / cutsInOneLoad);
  const firstSeed = Number(values.seed ?? Date.now() % 1_000_000);
  await addUp(
    fileSystem,
    Array.from({ length: loads }, (_, load): Cuts => {
      const messages = Math.ceil(Number(values.messages ?? 20_000) / loads);
      const inThisLoad = Math.min(cutsInOneLoad, cuts - load * cutsInOneLoad);
      return { fileSystem, cuts: inThisLoad, seed: firstSeed + load, messages, largeEvery: 250 };
    }),
    cutPowerUnderLoad,
  );
}
