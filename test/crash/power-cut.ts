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
import { type Crash, type Plan, type Result, runPlan, summary } from "./crashes.ts";

const cutPower =
  (disk: Disk, tree: string | undefined): Crash =>
  async (server, _random, note) => {
    note("power cut"); // before it: a flush under way at the cut is reported as done, and is not
    disk.cut();
    await server.killAll();
    await disk.restart();
    return await startServer({ root: server.root, ...(tree !== undefined && { tree }) });
  };

export interface Cuts extends Pick<Plan, "seed" | "messages"> {
  readonly fileSystem: FileSystem;
  readonly cuts: number;
  readonly exits?: readonly string[];
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
    isSilencing: true,
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
  for (let load = 0; load < loads; load++) {
    const seed = firstSeed + load;
    const messages = Math.ceil(Number(values.messages ?? 20_000) / loads);
    const inThisLoad = Math.min(cutsInOneLoad, cuts - load * cutsInOneLoad);
    const result = await cutPowerUnderLoad({ fileSystem, cuts: inThisLoad, seed, messages });
    console.log(`${fileSystem} --seed ${seed}: ${summary(result)}`);
    for (const line of result.wrong.slice(0, 20)) console.log(`  ${line}`);
    if (result.wrong.length > 0) process.exitCode = 1;
  }
}
