import type { Histogram } from "../../protocol/log-report/histogram.ts";
import type { Fates, LogReport } from "../../protocol/log-report/report.ts";
import { attemptsOf, type Count, type Tally } from "../../protocol/log-report/tally.ts";
import { counted, formatDuration, formatOctets } from "./quantity.ts";
import { type Column, renderTable } from "./table.ts";

/** Of each table so many rows. */
export const defaultRows = 10;

const second = 1_000;
/** Where the distribution of delays is read, as zddist does: from what nobody notices to what nobody accepts. */
const delayLimitsMs = [1, 2, 5, 10, 30, 60, 300, 1_800, 3_600, 14_400, 86_400].map((seconds) => seconds * second);

/** A report as people read it. Text from outside is harmless: it is in the form of classic lines. */
export function renderReport(report: LogReport, rows: number, columns: number): string {
  if (report.lines === report.unread) return `no line of a mail log in ${counted(report.lines, "line")}`;
  return [
    renderTotals(report),
    renderDelays(report, columns),
    countTable("remote domains", report.domains, rows, columns, attemptsOf),
    countTable("local recipients", report.localRecipients, rows, columns, attemptsOf),
    countTable("senders", report.senders, rows, columns, (count) => count.messages, "messages"),
    countTable("users that sent", report.uids, rows, columns, (count) => count.messages, "messages"),
    reasonTable("reasons for failures", report.failures, rows, columns, ({ failure }) => failure),
    reasonTable("reasons for deferrals", report.deferrals, rows, columns, ({ deferral }) => deferral),
    reasonTable("refused at the door", report.refusals, rows, columns, ({ messages }) => messages),
    renderDoubts(report),
  ]
    .filter((section) => section !== "")
    .join("\n\n");
}

function renderTotals(report: LogReport): string {
  const { local, remote } = report.fates;
  const spanMs = report.lastMs - report.firstMs;
  const perHour = spanMs >= 60_000 ? `, ${((report.arrived * 3_600_000) / spanMs).toFixed(1)} an hour` : "";
  const time = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace("T", " ");
  const bounces = [
    counted(report.bounces, "bounce"),
    ...(report.tripleBounces > 0 ? [`${report.tripleBounces} given up`] : []),
  ];
  const all = local.success + remote.success;
  return `${time(report.firstMs)} to ${time(report.lastMs)} UTC, ${formatDuration(spanMs)}

messages    ${report.arrived} came, ${formatOctets(report.arrivedOctets)}${perHour}; ${report.ended} ended, ${report.openMessages} still there
deliveries  ${all} made, ${formatOctets(report.deliveredOctets)}; ${bounces.join(", ")}
local       ${fates(local)}
remote      ${fates(remote)}`;
}

function fates({ success, deferral, failure }: Fates): string {
  const attempts = success + deferral + failure;
  if (attempts === 0) return "none";
  return `${counted(attempts, "attempt")}: ${success} made, ${deferral} put off, ${failure} failed`;
}

function renderDelays({ delays, attempts, stays }: LogReport, columns: number): string {
  const kinds: readonly (readonly [string, Histogram])[] = [
    ["until delivered here", delays.local],
    ["until delivered elsewhere", delays.remote],
    ["an attempt here", attempts.local],
    ["an attempt elsewhere", attempts.remote],
    ["in the queue", stays],
  ];
  const used = kinds.filter(([, { count }]) => count > 0);
  if (used.length === 0) return "";
  const table = renderTable(
    ["times", "number", "average", "50 %", "90 %", "99 %", "longest"].map((title, at) => ({
      title: title.toUpperCase(),
      ...(at > 0 && { align: "right" as const }),
    })),
    used.map(([name, times]) => [
      name,
      String(times.count),
      duration(times.sumMs / times.count),
      ...[0.5, 0.9, 0.99].map((part) => duration(times.percentile(part))),
      duration(times.mostMs),
    ]),
    columns,
  );
  return `${table}${renderDistribution(delays)}`;
}

/** How much was delivered within which time. */
function renderDistribution({ local, remote }: LogReport["delays"]): string {
  const all = local.count + remote.count;
  if (all === 0) return "";
  const remoteWithin = remote.within(delayLimitsMs);
  const within = local.within(delayLimitsMs).map((count, at) => (count + (remoteWithin[at] ?? 0)) / all);
  const lines = within.flatMap((part, at) => {
    if (at > 0 && (within[at - 1] ?? 0) === part) return [];
    const label = duration(delayLimitsMs[at] ?? 0).padStart(8);
    return [`  within ${label}  ${`${(part * 100).toFixed(1)} %`.padStart(7)}  ${"#".repeat(Math.round(part * 40))}`];
  });
  return `\n\n${lines.join("\n")}`;
}

/** With a fraction where it matters: `12 ms`, `1.4 s`, `3 min`. */
const duration = (ms: number): string => {
  if (ms < second) return `${Math.round(ms)} ms`;
  return ms < 10 * second ? `${Number((ms / second).toFixed(1))} s` : formatDuration(ms);
};

function countTable(
  title: string,
  tally: Tally,
  rows: number,
  columns: number,
  weigh: (count: Count) => number,
  first: "messages" | undefined = undefined,
): string {
  const top = tally.top(rows, weigh);
  if (top.length === 0) return "";
  const numbers = [...(first ? ["messages", "size"] : []), "made", "put off", "failed", "average"];
  const shown: readonly Column[] = [
    ...numbers.map((name) => ({ title: name.toUpperCase(), align: "right" as const })),
    { title: heading(title, tally, top.length), least: 16 },
  ];
  const cells = top.map(([key, count]) => [
    ...(first ? [String(count.messages), formatOctets(count.octets)] : []),
    ...[count.success, count.deferral, count.failure].map(String),
    count.success > 0 ? duration(count.delayMs / count.success) : "-",
    key,
  ]);
  return renderTable(shown, cells, columns);
}

function reasonTable(
  title: string,
  tally: Tally,
  rows: number,
  columns: number,
  weigh: (count: Count) => number,
): string {
  const top = tally.top(rows, weigh);
  if (top.length === 0) return "";
  const cells = top.map(([reason, count]) => [String(weigh(count)), reason]);
  return renderTable(
    [
      { title: "NUMBER", align: "right" },
      { title: heading(title, tally, top.length), least: 16 },
    ],
    cells,
    columns,
  );
}

function heading(title: string, tally: Tally, shown: number): string {
  const more = tally.size > shown ? ` (${shown} of ${tally.isExact ? "" : "more than "}${tally.size})` : "";
  return `${title.toUpperCase()}${more}`;
}

/** What the figures above do not cover. */
function renderDoubts(report: LogReport): string {
  const doubts: string[] = [];
  if (report.warnings + report.alerts > 0) {
    doubts.push(`${counted(report.alerts, "alert")} and ${counted(report.warnings, "warning")} in the log`);
  }
  if (report.openDeliveries > 0) doubts.push(`${counted(report.openDeliveries, "delivery")} under way at its end`);
  if (report.interrupted > 0) doubts.push(`${report.interrupted} attempts broken off by a stop`);
  if (report.unmatched > 0) doubts.push(`${counted(report.unmatched, "line")} about what began before the log does`);
  if (report.unread > 0) doubts.push(`${counted(report.unread, "line")} of another form`);
  if (doubts.length === 0) return "";
  return doubts.map((doubt) => `note: ${doubt.replace("deliverys", "deliveries")}`).join("\n");
}
