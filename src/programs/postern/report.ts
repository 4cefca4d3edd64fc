import type { Histogram } from "../../protocol/log-report/histogram.ts";
import { LogReport } from "../../protocol/log-report/report.ts";
import type { Tally } from "../../protocol/log-report/tally.ts";
import { permanent, temporary } from "../../protocol/outcome.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { type Command, complain, exitDone, exitNothing, readOptions, say, terminalColumns } from "./command.ts";
import { logFiles, readLines } from "./log-files.ts";
import { fileLines } from "./report-lines.ts";
import { defaultRows, renderReport } from "./report-text.ts";

const usage = `usage: postern log report [--top N] [--json] [--root DIR] [FILE ...]

Computes from the log what qmailanalog did: messages, deliveries, delays, domains, senders, users, reasons. Reads the
server's own log, or FILEs in order, - for standard input: JSON lines, or qmail-send's lines behind TAI64N, seconds or
splogger's syslog.
  --top N   rows of each table (${defaultRows})
Percentiles are right to two in a hundred; up to 50,000 domains, senders and reasons are counted exactly.
Exits 0, 1 when there was nothing to count, 100 for wrong use, 111 when a file cannot be read.`;

export const command: Command = {
  usage,
  async run(args) {
    const options = readOptions(args, { top: { type: "string" }, json: { type: "boolean" } });
    if (options.kind !== "done") return complain(options, usage);
    const { values, positionals } = options.value;
    const rows = values.top === undefined ? defaultRows : Number(values.top);
    if (!/^[0-9]{1,5}$/.test(values.top ?? "0")) return complain(permanent("5.1", "--top is a number of rows"), usage);
    const report = new LogReport();
    try {
      for (const path of positionals) for (const line of fileLines(path)) report.take(line);
      if (positionals.length === 0) {
        for (const line of readLines(logFiles(findLayout(values.root, process.env).log, undefined))) report.take(line);
      }
    } catch (error) {
      const { code, path } = error as NodeJS.ErrnoException;
      return complain(temporary("3.0", `cannot read ${path ?? "the log"}: ${code ?? error}`));
    }
    say(values.json ? JSON.stringify(reportObject(report, rows)) : renderReport(report, rows, terminalColumns()));
    return report.lines === report.unread ? exitNothing : exitDone;
  },
};

/** A report as one object; times in milliseconds, sizes in octets. */
function reportObject(report: LogReport, rows: number): object {
  const { fates, warnings, alerts, refused, lines, unread, unmatched, interrupted, firstMs, lastMs } = report;
  return {
    firstMs,
    lastMs,
    lines: { read: lines - unread, unread, unmatched },
    messages: {
      arrived: report.arrived,
      octets: report.arrivedOctets,
      ended: report.ended,
      open: report.openMessages,
      bounces: report.bounces,
      tripleBounces: report.tripleBounces,
    },
    deliveries: { ...fates, octets: report.deliveredOctets, open: report.openDeliveries, interrupted },
    warnings,
    alerts,
    refused,
    delays: { local: timesObject(report.delays.local), remote: timesObject(report.delays.remote) },
    attempts: { local: timesObject(report.attempts.local), remote: timesObject(report.attempts.remote) },
    stays: timesObject(report.stays),
    domains: tallyObject(report.domains, rows),
    localRecipients: tallyObject(report.localRecipients, rows),
    senders: tallyObject(report.senders, rows),
    uids: tallyObject(report.uids, rows),
    failures: tallyObject(report.failures, rows),
    deferrals: tallyObject(report.deferrals, rows),
    refusals: tallyObject(report.refusals, rows),
  };
}

const timesObject = (times: Histogram): object => ({
  count: times.count,
  sumMs: times.sumMs,
  p50Ms: times.percentile(0.5),
  p90Ms: times.percentile(0.9),
  p99Ms: times.percentile(0.99),
  mostMs: times.mostMs,
});

const tallyObject = (tally: Tally, rows: number): object => ({
  keys: tally.size,
  exact: tally.isExact,
  others: tally.others,
  top: tally
    .top(rows, ({ messages, success, deferral, failure }) => messages + success + deferral + failure)
    .map(([key, count]) => ({ key, ...count })),
});
