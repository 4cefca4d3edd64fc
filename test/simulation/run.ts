import { parseArgs } from "node:util";
import { mutants } from "./mutants.ts";
import { type Fault, faults } from "./profile.ts";
import { type Run, simulate } from "./simulate.ts";

/**
 * node test/simulation/run.ts                     a hundred thousand messages
 *   --messages N  --seconds N  --from SEED        so many messages, so long, from this seed on
 *   --seed N [--steps N] [--without a,b] [--trace] [--mutant NAME]
 *                                                 one run again, line by line
 */
const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    from: { type: "string", default: "1" },
    messages: { type: "string" },
    seconds: { type: "string" },
    steps: { type: "string", default: "100" },
    without: { type: "string", default: "" },
    mutant: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});

const given = new Set<Fault>(faults.filter((fault) => values.without.split(",").includes(fault)));
const mutant = mutants.find(({ name }) => name === values.mutant)?.mutant;
if (values.mutant !== undefined && !mutant) throw new Error(`no mutant is called ${values.mutant}`);

const run = (seed: number, steps: number, without: ReadonlySet<Fault>, trace?: (line: string) => void): Promise<Run> =>
  simulate(seed, {
    steps,
    without,
    flood: mutant?.needsFlood === true,
    ...(mutant && { mutant }),
    ...(trace && { trace }),
  });

/** Fewer steps, fewer kinds of fault, as long as it still fails. */
async function shrink(seed: number): Promise<{ steps: number; without: ReadonlySet<Fault> }> {
  let steps = Number(values.steps);
  let without: ReadonlySet<Fault> = given;
  const fails = async (fewer: number, less: ReadonlySet<Fault>) =>
    (await run(seed, fewer, less)).violation !== undefined;
  const cut = async () => {
    for (let part = steps >> 1; part > 0; part >>= 1) {
      while (steps > part && (await fails(steps - part, without))) steps -= part;
    }
  };
  await cut();
  for (const fault of faults) {
    const less = new Set([...without, fault]);
    if (!without.has(fault) && (await fails(steps, less))) without = less;
  }
  await cut();
  return { steps, without };
}

async function explain(seed: number, violation: string): Promise<void> {
  const { steps, without } = await shrink(seed);
  const less = without.size > 0 ? ` --without ${[...without].join(",")}` : "";
  const which = values.mutant === undefined ? "" : ` --mutant '${values.mutant}'`;
  console.log(`seed ${seed}: ${violation}`);
  console.log(`  node test/simulation/run.ts --seed ${seed} --steps ${steps}${less}${which} --trace`);
}

async function many(): Promise<void> {
  const beganMs = performance.now();
  const untilMs = beganMs + Number(values.seconds ?? Infinity) * 1_000;
  const wanted = Number(values.messages ?? (values.seconds === undefined ? 100_000 : Infinity));
  const total = { runs: 0, messages: 0, recipients: 0, crashes: 0, events: 0, simulatedMs: 0 };
  for (let seed = Number(values.from); total.messages < wanted && performance.now() < untilMs; seed++) {
    const { violation, ...figures } = await run(seed, Number(values.steps), given);
    total.runs++;
    for (const name of ["messages", "recipients", "crashes", "events", "simulatedMs"] as const)
      total[name] += figures[name];
    if (violation === undefined) continue;
    await explain(seed, violation);
    process.exitCode = 1;
    break;
  }
  const seconds = (performance.now() - beganMs) / 1_000;
  const { simulatedMs, ...counts } = total;
  console.log(
    JSON.stringify({
      ...counts,
      simulatedDays: Math.round(simulatedMs / 86_400_000),
      seconds: Math.round(seconds),
      messagesPerSecond: Math.round(total.messages / seconds),
    }),
  );
}

if (values.seed === undefined) await many();
else {
  const { violation, ...figures } = await run(
    Number(values.seed),
    Number(values.steps),
    given,
    values.trace ? (line) => console.log(line) : undefined,
  );
  console.log(JSON.stringify(figures));
  if (violation !== undefined) {
    console.log(violation);
    process.exitCode = 1;
  }
}
