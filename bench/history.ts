/**
 * A row for HISTORY.md: what a message costs each program, in microseconds of CPU.
 *
 *   node bench/history.ts RESULTS.jsonl >> bench/HISTORY.md
 */
import { ours, type Run, readResults } from "./results.ts";

const columns = ["smtpd", "queue", "local", "deliver", "remote", "directory", "logger"] as const;
/** The loads that are kept. */
const kept: ReadonlyMap<string, string> = new Map([
  ["S1 4k S=20", "local"],
  ["S1 4k S=20 -d", "local, reused"],
  ["S2 4k S=20 -d", "relay, reused"],
  ["TLS 4k S=20", "local, TLS"],
]);

const [path = ""] = process.argv.slice(2);
const { runs, abouts } = readResults(path);
const about = abouts.find((line) => line.about === ours);
if (!about) throw new Error(`${path} has nothing of ${ours}`);
const machine = `${about.cpus} x ${about.cpu}, ${about.disk.includes("discard") ? "discard" : "no discard"}`;

/** The middle one of the runs, by all it cost: its programs' shares belong together. */
function middle(all: readonly Run[]): Run | undefined {
  const sorted = all.filter((run) => run.cpu_us).sort((one, other) => Number(one.cpu) - Number(other.cpu));
  return sorted[Math.floor(sorted.length / 2)];
}

for (const [name, load] of kept) {
  const run = middle(runs.filter((one) => one.target === ours && `${one.scenario} ${one.case}` === name));
  if (!run?.cpu_us) continue;
  const costs = columns.map((program) => Math.round(run.cpu_us?.[program] ?? 0));
  const all = Math.round(Number(run.cpu) * 1_000);
  console.log(`| ${about.date} | ${about.version} | ${load} | ${all} | ${costs.join(" | ")} | ${machine} |`);
}
