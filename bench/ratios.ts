/**
 * Results of the harness as a table: one row for each case and figure, this server beside the best peer.
 *
 *   node bench/ratios.ts RESULTS.jsonl
 */
import { readFileSync } from "node:fs";

interface Run {
  readonly target: string;
  readonly scenario: string;
  readonly case: string;
  readonly run: number;
  readonly missing?: number;
  readonly [figure: string]: string | number | undefined;
}

/** What is compared; whether more of it is better. */
const figures: ReadonlyMap<string, boolean> = new Map([
  ["accept", true],
  ["e2e", true],
  ["first", true],
  ["last", true],
  ["drain_s", false],
  ["cpu", false],
  ["p50", false],
  ["p99", false],
  ["idle_pss", false],
  ["pss_1000", false],
  ["stat_ms", false],
]);
const ours = "postern";

const [path = ""] = process.argv.slice(2);
const runs = readFileSync(path, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as Run);

const shown = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** Median, with lowest and highest. */
function summaryOf(values: readonly number[]): { readonly median: number; readonly text: string } {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2;
  const [least = 0, most = 0] = [sorted[0], sorted.at(-1)];
  return { median, text: `${shown(median)} (${shown(least)}-${shown(most)})` };
}

function* rows(): Generator<string> {
  for (const [name, all] of Map.groupBy(runs, (run) => `${run.scenario} ${run.case}`)) {
    for (const [figure, moreIsBetter] of figures) {
      const byTarget = [...Map.groupBy(all, ({ target }) => target)].flatMap(([target, its]) => {
        const values = its.map((run) => run[figure]).filter((value) => typeof value === "number");
        return values.length > 0 ? [{ target, ...summaryOf(values) }] : [];
      });
      const us = byTarget.find(({ target }) => target === ours);
      const peers = byTarget.filter(({ target }) => target !== ours);
      peers.sort((one, other) => (moreIsBetter ? other.median - one.median : one.median - other.median));
      const [best] = peers;
      if (!us) continue;
      const times = best ? (moreIsBetter ? us.median / best.median : best.median / us.median) : undefined;
      const others = peers.map(({ target, text }) => `${target} ${text}`).join("; ");
      yield `| ${name} | ${figure} | ${us.text} | ${others} | ${times === undefined ? "" : times.toFixed(1)} |`;
    }
    const missing = all.filter((run) => (run.missing ?? 0) > 0);
    for (const run of missing) yield `| ${name} | **missing** | ${run.target}: ${run.missing} in run ${run.run} | | |`;
  }
}

console.log("| scenario | figure | Postern | peers | times the best |\n| --- | --- | --- | --- | --- |");
for (const row of rows()) console.log(row);
