/**
 * Cuts the power under load: the file system stops, with what was not flushed, then every program is killed, and what
 * was acknowledged is counted after the restart. As root.
 *
 *   node test/crash/power-cut.ts [--cuts 50] [--file-system ext4] [--messages 20000] [--seed N]
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { createDisk, type Disk, type FileSystem } from "../support/disk.ts";
import { type Server, startServer } from "../support/server.ts";
import { type Crash, type Plan, type Result, runPlan } from "./crashes.ts";
import { freeze } from "./freeze.ts";
import { addUp } from "./total.ts";

/**
 * Half of the cuts come while every program stands still, between two system calls: then each reply that was read must
 * be true. The others come at any instant, so in the middle of flushes too. No server can know when such a flush was
 * reported and forgotten, and no real power cut leaves anybody to be told: only of what was sent before a cut like that
 * and answered after it nothing is expected.
 */
const cutPower =
  (disk: Disk, { tree }: Cuts): Crash =>
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

export interface Cuts
  extends Pick<
    Plan,
    "seed" | "messages" | "latest" | "sessions" | "entrances" | "exits" | "largeEvery" | "standstillMs"
  > {
  readonly fileSystem: FileSystem;
  readonly cuts: number;
  /** Code with a deliberate fault instead of the real one. */
  readonly tree?: string;
  /** Resolves when the moment for a cut has come. */
  readonly before?: (server: Server) => Promise<void>;
}

/** Carries out so many power cuts in one load. What users' programs write lies on another disk: it is theirs to flush. */
export async function cutPowerUnderLoad(given: Cuts): Promise<Result> {
  const { fileSystem, cuts, tree, before, ...plan } = given;
  await using disk = createDisk(fileSystem);
  const cut = cutPower(disk, given);
  return await runPlan({
    ...plan,
    crashes: cuts,
    crash: async (server, ...rest) => {
      await before?.(server);
      return await cut(server, ...rest);
    },
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
