/**
 * `node test/fuzz/run.ts --seconds N [--only NAME] [--seed N]`: new cases for so long, row by row, from that seed or a
 * fresh one. Without --seconds the one case of that seed again. Then how the work grows with the input. Exits 1 after
 * a failure, which says how to have it again.
 */
import { parseArgs } from "node:util";
import { checkSeed, describe, type Row } from "./explore.ts";
import { growthRows, measureGrowth } from "./growth.ts";
import { rows } from "./table.ts";

/** Cases of one row before it is the turn of the next. */
const turnCases = 200;
const maxFailures = 20;

const { values } = parseArgs({
  options: { seconds: { type: "string" }, only: { type: "string" }, seed: { type: "string" } },
});
const chosen = rows.filter(({ name }) => values.only === undefined || name === values.only);
const first = values.seed === undefined ? Date.now() % 2 ** 32 : Number(values.seed);
const failed = new Map<Row, string>();
const counts = new Map<Row, number>();

function take(row: Row, seed: number, cases: number): void {
  for (let at = 0; at < cases && !failed.has(row); at++) {
    const found = checkSeed(row, (seed + at) >>> 0);
    if (found) failed.set(row, describe(found));
  }
  counts.set(row, (counts.get(row) ?? 0) + cases);
}

if (values.seconds === undefined) for (const row of chosen) take(row, first, 1);
else {
  const endMs = performance.now() + Number(values.seconds) * 1_000;
  for (let seed = first; performance.now() < endMs && failed.size < maxFailures; seed += turnCases) {
    for (const row of chosen) if (performance.now() < endMs) take(row, seed, turnCases);
  }
  if (values.only === undefined) for (const row of growthRows) console.log(measureGrowth(row));
}
for (const [row, cases] of counts) console.log(`${String(cases).padStart(9)}  ${row.name}`);
for (const text of failed.values()) console.log(`\n${text}`);
console.log(`\n${chosen.length} rows from seed ${first}: ${failed.size} failed`);
process.exitCode = failed.size > 0 ? 1 : 0;
