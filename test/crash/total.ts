import { type Result, summary } from "./crashes.ts";

interface Seeded {
  readonly seed: number;
}

const numbers = [
  "acknowledged",
  "refused",
  "doubtful",
  "unfinished",
  "unreachable",
  "copies",
  "repeated",
  "lost",
  "doubled",
  "torn",
] as const;

/** Carries out one plan after another, prints what came of each and of all together; the exit code says if it was well. */
export async function addUp<Plan extends Seeded>(
  name: string,
  plans: readonly Plan[],
  carryOut: (plan: Plan) => Promise<Result>,
): Promise<void> {
  const crashes = new Map<string, number>();
  const wrong: string[] = [];
  const sums = Object.fromEntries(numbers.map((number) => [number, 0])) as Record<(typeof numbers)[number], number>;
  for (const plan of plans) {
    const result = await carryOut(plan).catch((error: unknown) => {
      throw new Error(`${name} --seed ${plan.seed} came to no end`, { cause: error });
    });
    console.log(`${name} --seed ${plan.seed}: ${summary(result)}`);
    for (const line of result.wrong.slice(0, 20)) console.log(`  ${line}`);
    for (const number of numbers) sums[number] += result[number];
    for (const [what, count] of result.crashes) crashes.set(what, (crashes.get(what) ?? 0) + count);
    wrong.push(...result.wrong);
  }
  console.log(`${name}, all: ${summary({ ...sums, crashes, wrong })}`);
  if (wrong.length > 0) process.exitCode = 1;
}
