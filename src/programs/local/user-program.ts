import { spawn } from "node:child_process";
import { join } from "node:path";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { maxLocalReportOctets } from "../../protocol/dot-qmail/report.ts";
import type { Ids } from "../../services/directory/route.ts";
import { errorCode, pathOf } from "../../services/maildir/file.ts";

/** A program from a .qmail file, to be run as the user whose file it is, with nothing of ours. */
export interface UserProgram {
  /** Absent: as the user we are. */
  readonly as: Ids | undefined;
  readonly command: string;
  readonly home: string;
  /** Its standard input: the file that process `workerPid` has open as `file`. */
  readonly workerPid: number;
  readonly file: number;
  /** NAME=value. */
  readonly environment: readonly string[];
  /** Where programs of ours find the server, in embedded mode. */
  readonly serverRoot: string | undefined;
}

export interface Ran {
  readonly exitCode: number;
  readonly signalled: boolean;
  readonly output: string;
}

export interface RunningProgram {
  /** Tells it and what it has started to end (SIGTERM). */
  end(): void;
}

/**
 * Home and message are opened by the shell, as the user: what he may not open, he cannot make us open. Node puts its
 * own permissions into NODE_OPTIONS; they are not for the user's programs.
 */
const script = 'cd "$0" && unset OLDPWD PWD NODE_OPTIONS && exec /bin/sh -c "$3" <"/proc/$1/fd/$2"';
/** qmail's small programs come first: `|forward` has to mean ours. */
const path = `${join(import.meta.dirname, "../../../bin/qmail")}:/usr/local/bin:/usr/bin:/bin`;
export const exitTryAgain = 111;

/** Starts it. `whenEnded` is called once, when it has ended and closed its output. */
export function startUserProgram(program: UserProgram, whenEnded: (ran: Ran) => void): RunningProgram {
  let output = "";
  const args = [pathOf(program.home), String(program.workerPid), String(program.file), pathOf(program.command)];
  const child = spawn("/bin/sh", ["-c", script, ...args], {
    ...(program.as && { uid: program.as.uid, gid: program.as.gid }),
    cwd: "/",
    env: environmentOf(program),
    detached: true, // a group of its own: it can be ended whole, and the terminal's signals do not reach it
    stdio: ["ignore", "pipe", "pipe"],
  });
  const collect = (chunk: Buffer): void => {
    if (output.length <= maxLocalReportOctets) output += chunk.toString("latin1");
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  let hasEnded = false;
  child.on("error", (error) => {
    if (child.pid !== undefined || hasEnded) return;
    hasEnded = true;
    const text = `Unable to fork: ${errorWords(errorCode(error))}. (#4.3.0)\n`;
    whenEnded({ exitCode: exitTryAgain, signalled: false, output: text });
  });
  child.on("close", (code, signal) => {
    if (hasEnded) return;
    hasEnded = true;
    const kept = output.slice(0, maxLocalReportOctets + 1);
    whenEnded({ exitCode: code ?? exitTryAgain, signalled: signal !== null, output: kept });
  });
  return {
    end() {
      if (child.pid === undefined || child.exitCode !== null) return;
      try {
        process.kill(-child.pid, "SIGTERM");
      } catch {}
    },
  };
}

function environmentOf({ environment: lines, serverRoot }: UserProgram): Record<string, string> {
  const environment: Record<string, string> = { PATH: path, ...(serverRoot && { POSTERN_ROOT: serverRoot }) };
  for (const line of lines) {
    const at = line.indexOf("=");
    if (at > 0) environment[line.slice(0, at)] = pathOf(line.slice(at + 1));
  }
  return environment;
}
