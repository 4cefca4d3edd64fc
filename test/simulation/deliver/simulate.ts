import { Random } from "../random.ts";
import type { Trouble } from "./file-system.ts";
import type { Mutant } from "./mutants.ts";
import { Violation } from "./oracle.ts";
import { Scene, type Setting } from "./scene.ts";

/** What can go wrong in a run. */
export const faults = ["kill", "power", "ENOSPC", "EIO", "short", "move", "delete"] as const;
export type Fault = (typeof faults)[number];

export interface Options {
  /** Attempts at most, before the last one, which nothing disturbs. */
  readonly steps: number;
  readonly without: ReadonlySet<Fault>;
  readonly mutant?: Mutant;
  readonly trace?: (line: string) => void;
}

export interface Run {
  readonly attempts: number;
  readonly crashes: number;
  readonly violation?: string;
}

/** One message with all its attempts, from a seed: crash, trouble and readers as it has it. */
export async function simulate(seed: number, options: Options): Promise<Run> {
  const random = new Random(seed);
  const rates = new Map(faults.map((fault) => [fault, random.pick([0, 0.01, 0.05, 0.3])]));
  const happens = (fault: Fault) => random.chance(rates.get(fault) ?? 0) && !options.without.has(fault);
  const setting = settingOf(random);
  options.trace?.(JSON.stringify(setting));
  const others = new Random(seed + othersFrom);
  const scene = new Scene(options.mutant ? { ...setting, mutant: options.mutant } : setting, random, options.trace);
  const met = { attempts: 0, crashes: 0 };
  const trouble = (call: string): Trouble | undefined => {
    if (call === "write" && happens("short")) return "short";
    if (["open", "write", "link", "rename", "mkdir"].includes(call) && happens("ENOSPC")) return "ENOSPC";
    if (call !== "close" && !isMoment(call) && happens("EIO")) return "EIO";
    if (happens("kill")) return "kill";
    return happens("power") ? "power" : undefined;
  };
  try {
    for (let step = 0; step < options.steps; step++) {
      met.attempts++;
      const end = await scene.attempt(random, trouble);
      if (end === "kill" || end === "power") met.crashes++;
      if (happens("move")) scene.read("move", end);
      if (happens("delete")) scene.read("delete", end);
      if (others.chance(0.3)) await scene.other();
      if (end === "settled") break;
      scene.files.nowMs += random.pick([0, 1_000, 15_000, 400_000]);
    }
    await scene.finish(random);
    return met;
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return { ...met, violation: error.message };
  }
}

/** Chance of its own: seeds mean what they meant without other messages. */
const othersFrom = 1_000_000;

const isMoment = (call: string): boolean => call === "settled" || call.startsWith("queue");

function settingOf(random: Random): Setting {
  const lines = Array.from({ length: random.pick([1, 1, 2, 5]) }, () =>
    random.pick(["./Maildir/", "./Maildir/", "./Second/", "./box", "&b@far.example"]),
  );
  const unlike = lines.filter((line, at) => line !== "./box" || lines.indexOf(line) === at);
  const before = random.pick([undefined, "", "From x\n\nold\n\n", "From x\n\nold"]);
  return {
    qmail: `${unlike.join("\n")}\n`,
    ...(before !== undefined && { mbox: before }),
    bodyOctets: random.pick([60, 60, 5_000, 140_000]),
    keeping: "journal",
  };
}
