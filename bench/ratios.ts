/**
 * Results of the harness as a table: a row for each case and figure, this server beside its peers, with the ratio to the
 * best of them, and what was to be reached.
 *
 *   node bench/ratios.ts RESULTS.jsonl
 */
import { type Bar, bars } from "./bars.ts";
import { type About, numbersOf, ours, type Run, readResults, type Summary, shown, summaryOf } from "./results.ts";

/** What is compared; whether more of it is better. */
const figures: ReadonlyMap<string, boolean> = new Map([
  ["e2e", true],
  ["accept", true],
  ["cpu", false],
  ["last_first", true],
  ["p50", false],
  ["p99", false],
  ["idle_pss", false],
  ["more_pss", false],
  ["smtpd_pss", false],
  ["banner_max", false],
  ["stat_ms", false],
  ["per_s", true],
  ["first_max", false],
  ["wait_p99", false],
  ["wait_max", false],
  ["start_s", false],
  ["queue_pss", false],
  ["list_s", false],
  ["drain_s", false],
  ["live_e2e", true],
  ["flushes", false],
]);

/** Whose 250 does not mean that the message is on disk. */
const notDurable: ReadonlySet<string> = new Set(["opensmtpd", "haraka"]);

interface Measured extends Summary {
  readonly target: string;
}

const [path = ""] = process.argv.slice(2);
const { runs, abouts } = readResults(path);

function* heading(): Generator<string> {
  const [about] = abouts;
  if (!about) return;
  const { date, cpus, cpu, memory_gib: memory, kernel, disk, scale } = about;
  yield `${date}; ${cpus} x ${cpu}, ${memory} GiB, Linux ${kernel}; ${disk}; medians (lowest-highest) of ${about.runs} run(s)`;
  if (scale !== 1) yield `**Only ${scale} of the messages: what is to be reached is not judged by this.**`;
  for (const its of new Map(abouts.map((line) => [line.about, line])).values())
    yield `- ${its.about} ${its.version}: ${its.tuning}`;
  yield "- e2e, accept: messages (recipients in S3) a second; cpu: seconds for 1,000 messages; pss: MiB; p50, p99, waits, banner: ms.";
  yield "- † its 250 for mail to relay is not durable: no flush comes before it.";
}

const diskKind = (about: About | undefined): Bar["disk"] =>
  about && /[ ,]discard\b/.test(about.disk) ? "discard" : "no discard";

function measure(all: readonly Run[], figure: string): readonly Measured[] {
  return [...Map.groupBy(all, ({ target }) => target)].flatMap(([target, its]) => {
    const values = numbersOf(its, figure);
    return values.length > 0 ? [{ target, ...summaryOf(values) }] : [];
  });
}

const mark = (met: boolean, text: string): string => `${text}: ${met ? "met" : "**missed**"}`;

/** What a bar asks of this figure, and whether it is so; with the figure it is compared with missing, that. */
function verdict(bar: Bar, us: Measured, peers: readonly Measured[], moreIsBetter: boolean): string {
  const { beside, reach } = bar;
  if (beside === undefined) {
    const text = `${moreIsBetter ? "at least" : "at most"} ${shown(reach)}`;
    return mark(moreIsBetter ? us.median >= reach : us.median <= reach, text);
  }
  const own = typeof beside === "object" && beside;
  const other = own
    ? measure(
        runs.filter((run) => run.target === ours && run.scenario === bar.scenario && own.ownCase.test(run.case)),
        own.ownFigure ?? bar.figure,
      )[0]
    : peers.find(({ target }) => beside === "the best peer" || target === beside);
  const name = own ? "what it is with an empty queue" : beside;
  const asked = `${reach} × ${name}`;
  if (!other) return `${asked}: not measured`;
  const times = timesOf(us, other, moreIsBetter);
  return mark(times >= reach, `${asked} (${shown(times)})`);
}

const timesOf = (us: Summary, other: Summary, moreIsBetter: boolean): number =>
  moreIsBetter ? us.median / other.median : other.median / us.median;

function row(scenario: string, name: string, all: readonly Run[], figure: string): readonly string[] {
  const moreIsBetter = figures.get(figure) ?? true;
  const measured = measure(all, figure);
  const us = measured.find(({ target }) => target === ours);
  if (!us) return [];
  const peers = measured
    .filter(({ target }) => target !== ours)
    .sort((one, other) => (moreIsBetter ? other.median - one.median : one.median - other.median));
  const [best] = peers;
  const isRelay = scenario === "S2" || scenario === "S4" || /^(remote|relay)/.test(name);
  const dagger = (target: string): string => (isRelay && notDurable.has(target) ? "†" : "");
  const others = peers.map(({ target, text }) => `${target}${dagger(target)} ${text}`).join("; ");
  const disk = diskKind(abouts[0]);
  const judged = bars
    .filter((bar) => bar.scenario === scenario && bar.figure === figure && bar.cases.test(name))
    .filter((bar) => bar.disk === undefined || bar.disk === disk)
    .map((bar) => verdict(bar, us, peers, moreIsBetter));
  const times = best ? shown(timesOf(us, best, moreIsBetter)) : "";
  return [`| ${scenario} ${name} | ${figure} | ${us.text} | ${others} | ${times} | ${judged.join("; ")} |`];
}

function* rows(): Generator<string> {
  for (const [scenario, its] of Map.groupBy(runs, (run) => run.scenario)) {
    for (const [name, all] of Map.groupBy(its, (run) => run.case)) {
      for (const figure of figures.keys()) yield* row(scenario, name, all, figure);
      for (const { run, target, missing, error } of all) {
        if (missing || error)
          yield `| ${scenario} ${name} | **run ${run} of ${target}** | ${missing ?? 0} missing ${error ?? ""} | | | |`;
      }
    }
  }
}

for (const line of heading()) console.log(line);
console.log(
  "\n| scenario | figure | Postern | peers | times the best | to be reached |\n| --- | --- | --- | --- | --- | --- |",
);
for (const line of rows()) console.log(line);
