import { parseArgs } from "node:util";

/** A simulation as its `run.ts` plays it. */
export interface Game<Fault extends string, Mutant> {
  /** The path of its `run.ts`, for the command that plays a run again. */
  readonly command: string;
  readonly steps: number;
  readonly faults: readonly Fault[];
  readonly mutants: ReadonlyMap<string, Mutant>;
  simulate(seed: number, options: GameOptions<Fault, Mutant>): Promise<{ readonly violation?: string }>;
}

export interface GameOptions<Fault, Mutant> {
  readonly steps: number;
  readonly without: ReadonlySet<Fault>;
  readonly mutant?: Mutant;
  readonly trace?: (line: string) => void;
}

/**
 * The command line of a simulation. Runs seeds until one fails, shrinks that to fewer steps and kinds of fault, and
 * prints the command that plays it again.
 *
 *   --runs N  --seconds N  --from SEED                          so many runs, so long, from this seed on
 *   --seed N [--steps N] [--without a,b] [--mutant NAME]        one run again, line by line
 */
export async function play<Fault extends string, Mutant>(game: Game<Fault, Mutant>): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      from: { type: "string", default: "1" },
      runs: { type: "string" },
      seconds: { type: "string" },
      steps: { type: "string", default: String(game.steps) },
      without: { type: "string", default: "" },
      mutant: { type: "string" },
    },
  });
  const mutant = values.mutant === undefined ? undefined : game.mutants.get(values.mutant);
  if (values.mutant !== undefined && !mutant) throw new Error(`no mutant is called ${values.mutant}`);
  const run = (seed: number, steps: number, without: ReadonlySet<Fault>, trace?: (line: string) => void) =>
    game.simulate(seed, { steps, without, ...(mutant && { mutant }), ...(trace && { trace }) });
  const given = new Set(game.faults.filter((fault) => values.without.split(",").includes(fault)));
  const report = (violation: string | undefined): void => {
    if (violation === undefined) return;
    console.log(violation);
    process.exitCode = 1;
  };

  if (values.seed !== undefined) {
    const { violation, ...figures } = await run(Number(values.seed), Number(values.steps), given, console.log);
    console.log(JSON.stringify(figures));
    return report(violation);
  }
  const beganMs = performance.now();
  const untilMs = beganMs + Number(values.seconds ?? Infinity) * 1_000;
  const wanted = Number(values.runs ?? (values.seconds === undefined ? 10_000 : Infinity));
  let runs = 0;
  for (; runs < wanted && performance.now() < untilMs; runs++) {
    const seed = Number(values.from) + runs;
    const { violation } = await run(seed, Number(values.steps), given);
    if (violation === undefined) continue;
    const fails = async (steps: number, without: ReadonlySet<Fault>) =>
      (await run(seed, steps, without)).violation !== undefined;
    const { steps, without } = await shrink(game.faults, Number(values.steps), given, fails);
    const less = without.size > 0 ? ` --without ${[...without].join(",")}` : "";
    const which = values.mutant === undefined ? "" : ` --mutant '${values.mutant}'`;
    report(`seed ${seed}: ${violation}\n  node ${game.command} --seed ${seed} --steps ${steps}${less}${which}`);
    break;
  }
  console.log(JSON.stringify({ runs, seconds: Math.round((performance.now() - beganMs) / 1_000) }));
}

/** Fewer kinds of fault, then fewer steps, as long as it still fails. */
async function shrink<Fault>(
  faults: readonly Fault[],
  most: number,
  given: ReadonlySet<Fault>,
  fails: (steps: number, without: ReadonlySet<Fault>) => Promise<boolean>,
): Promise<{ steps: number; without: ReadonlySet<Fault> }> {
  let without = given;
  for (const fault of faults) {
    const less = new Set([...without, fault]);
    if (!without.has(fault) && (await fails(most, less))) without = less;
  }
  let steps = most;
  for (let part = steps >> 1; part > 0; part >>= 1) {
    while (steps > part && (await fails(steps - part, without))) steps -= part;
  }
  return { steps, without };
}
