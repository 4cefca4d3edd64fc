import { setTimeout } from "node:timers/promises";
import type { TimestampKind } from "../../protocol/event/timestamp.ts";
import { permanent, temporary } from "../../protocol/outcome.ts";
import { displayPath, findLayout } from "../../services/layout/find-layout.ts";
import { type Command, complain, exitDone, readOptions } from "./command.ts";
import { followLog, logFiles, readLines, tailLines } from "./log-files.ts";
import { timeOf, writeLogLine } from "./log-line.ts";
import { parseDuration } from "./quantity.ts";

const usage = `usage: postern log [-f] [-n LINES] [--since 10m | TIME] [--timestamps iso|tai64n|none] [--json] [--root DIR]

Prints the last lines of the log (20), or all since a time, in the form of qmail-send; -f goes on as more come.
  --json   the events themselves, one JSON object a line

postern log report [--top N] [--json] [--root DIR] [FILE ...]

Counts what qmailanalog did: messages, deliveries, delays, domains, senders, users, reasons. Reads our log, or FILEs in
order, - for standard input: JSON lines, or qmail-send's behind TAI64N, seconds or splogger's syslog.
Exits 0, 100 for wrong use, 111 when there is no log.`;

const kinds: readonly TimestampKind[] = ["iso", "tai64n", "none"];
const followEveryMs = 250;

export const command: Command = {
  usage,
  async run(args) {
    if (args[0] === "report") return (await import("./report.ts")).command.run(args.slice(1));
    const options = readOptions(args, {
      follow: { type: "boolean", short: "f" },
      lines: { type: "string", short: "n" },
      since: { type: "string" },
      timestamps: { type: "string" },
      json: { type: "boolean" },
    });
    if (options.kind !== "done") return complain(options, usage);
    const { values } = options.value;
    const timestamps = kinds.find((kind) => kind === (values.timestamps ?? "iso"));
    if (!timestamps) return complain(permanent("5.1", `--timestamps is one of ${kinds.join(", ")}`));
    const sinceMs = values.since === undefined ? undefined : sinceOf(values.since, Date.now());
    if (Number.isNaN(sinceMs)) return complain(permanent("5.1", `"${values.since}" is neither an age nor a time`));
    const lines = values.lines ?? "20";
    if (!/^[0-9]{1,7}$/.test(lines)) return complain(permanent("5.1", `"${lines}" is not a number of lines`));

    const print = (line: string): void => {
      const text = writeLogLine(line, values.json ? "json" : timestamps);
      if (text !== undefined) process.stdout.write(`${text}\n`, "latin1");
    };
    const folder = findLayout(values.root, process.env).log;
    try {
      const files = logFiles(folder, sinceMs);
      if (sinceMs === undefined) for (const line of tailLines(files, Number(lines))) print(line);
      else for (const line of readLines(files)) if (timeOf(line) >= sinceMs) print(line);
      if (values.follow) await followLog(folder, print, () => setTimeout(followEveryMs));
    } catch (error) {
      return complain(
        temporary(
          "3.0",
          `cannot read the log in ${displayPath(folder)}: ${(error as NodeJS.ErrnoException).code ?? error}`,
        ),
      );
    }
    return exitDone;
  },
};

/** A moment: so long ago, or a date as Date.parse() reads it. NaN for neither. */
function sinceOf(text: string, nowMs: number): number {
  const age = parseDuration(text);
  return age === undefined ? Date.parse(text) : nowMs - age * 1000;
}
