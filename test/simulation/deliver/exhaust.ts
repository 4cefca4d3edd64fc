import { Random } from "../random.ts";
import { type Choices, everyChoice } from "./choices.ts";
import type { Trouble } from "./file-system.ts";
import type { Mutant } from "./mutants.ts";
import { Violation } from "./oracle.ts";
import { type End, readers, Scene, type Setting } from "./scene.ts";

const several = "./Maildir/\n./Second/\n./Maildir/\n./box\n&b@far.example\n&c@far.example\n";

/** What is gone through call by call. */
export const settings: Readonly<Record<string, Setting>> = {
  "one Maildir": { qmail: "./Maildir/\n", bodyOctets: 60, keeping: "journal" },
  "one mbox": { qmail: "./box\n", mbox: "From x\n\nold\n", bodyOctets: 60, keeping: "journal" },
  "a new mbox": { qmail: "./box\n", bodyOctets: 60, keeping: "journal" },
  "several lines": { qmail: several, mbox: "From x\n\nold\n\n", bodyOctets: 60, keeping: "journal" },
};

export interface Exhausted {
  runs: number;
  calls: number;
  /** Places where not every outcome of a second crash was played, but as many as were allowed. */
  sampled: number;
  violation?: string;
  /** What led to it, call by call. */
  story: string[];
}

const crashes = ["kill", "power"] as const;

/**
 * Ends the process at each call, by a kill and by a power cut with everything that may be left of it, with each reader
 * in between; then delivers again. And ends it a second time, at each call, as far as `most` runs for each place go.
 */
export async function exhaust(setting: Setting, most: number, mutant?: Mutant): Promise<Exhausted> {
  const seen: Exhausted = { runs: 0, calls: 0, sampled: 0, story: [] };
  const given = mutant ? { ...setting, mutant } : setting;
  let where = "";
  const play = async (choices: Choices, first: Trouble | undefined, at: number, again: number): Promise<void> => {
    seen.runs++;
    const random = new Random(seen.runs);
    seen.story = [];
    const scene = new Scene(given, random, (line) => void seen.story.push(line));
    const end = await scene.attempt(choices, (_, number) => {
      seen.calls = Math.max(seen.calls, number + 1);
      return number === at ? first : undefined;
    });
    const between = readers[choices.below(readers.length + 1)];
    if (between) scene.read(between, end);
    else await scene.other();
    const next = again === 0 ? 0 : 1 + choices.below(again);
    where = `${first ?? "nothing"} at call ${at}, then ${next === 0 ? "nothing" : `${crashes[next % 2]} at ${next >> 1}`}`;
    if (next > 0) {
      scene.files.nowMs += 15_000;
      const second = await scene.attempt(random, (_, number) => (number === next >> 1 ? crashes[next % 2] : undefined));
      scene.read(readers[random.below(readers.length)] ?? "nothing", second as End);
    }
    await scene.finish(random);
  };
  try {
    await play(new Random(1), undefined, -1, 0);
    const calls = seen.calls;
    for (let at = 0; at < calls; at++) {
      for (const crash of crashes) {
        if (!(await everyChoice(most, (choices) => play(choices, crash, at, 0)))) seen.sampled++;
        if (await everyChoice(most, (choices) => play(choices, crash, at, 3 * calls))) continue;
        seen.sampled++;
        const random = new Random(at);
        for (let n = 0; n < most; n++) await play(random, crash, at, 3 * calls);
      }
    }
    seen.calls = calls;
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    seen.violation = `${error.message} (${where})`;
  }
  return seen;
}
