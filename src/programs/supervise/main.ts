import { type Failure, temporary } from "../../protocol/outcome.ts";
import { exitMisconfigured, exitStopped, exitTryAgain } from "../../services/program/message.ts";
import { banner } from "./banner.ts";
import { ownFingerprint } from "./certificates.ts";
import { parseCommandLine, startUsage } from "./command-line.ts";
import { setUp } from "./set-up.ts";
import { supervise } from "./supervise.ts";
import { timeZoneName } from "./time-zone.ts";

process.title = "postern: supervise";
process.umask(0o022);
process.env.TZ = timeZoneName(); // every program gets it from here: the zone's file is behind their walls

const complain = (line: string): void => void process.stderr.write(`${line}\n`);
const options = parseCommandLine(process.argv.slice(2), process.cwd());
if (options.kind !== "done") exitWith(options);
if (options.value === "help") {
  process.stdout.write(`${startUsage}\n`);
  process.exit(exitStopped);
}
const start = options.value;
const set = await setUp(start);
if (set.kind !== "done") exitWith(set);
const { layout, listeners, certificates } = set.value;
const fingerprint = ownFingerprint(certificates);
// A program can make Node's channel throw here. Nothing durable is ours: going on beats taking all programs down.
process.on("uncaughtException", (error) => complain(`postern: supervise: ${error.stack ?? error.message}`));
const ended = await supervise(start, set.value, {
  complain,
  running: () => process.stdout.write(`${banner(layout, start, { listeners, fingerprint }, process.cwd())}\n`),
}).catch((error: Error) => temporary("3.0", `cannot start: ${error.stack ?? error.message}`));
if (ended.kind !== "done") exitWith(ended);
process.exit(exitStopped);

function exitWith(failure: Failure): never {
  for (const line of failure.text.split("\n")) complain(`postern: ${line}`);
  process.exit(failure.kind === "permanent" ? exitMisconfigured : exitTryAgain);
}
