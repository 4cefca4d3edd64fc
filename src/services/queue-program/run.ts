import { spawn } from "node:child_process";
import { Socket } from "node:net";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { encodeEnvelope } from "../../protocol/queue-program/envelope.ts";
import { maxWordsOctets, verdictOf } from "../../protocol/queue-program/verdict.ts";
import { errorCode } from "../maildir/file.ts";
import { openSpool, type Spool } from "./spool.ts";

/** A program that takes a message the way qmail-queue does. */
export interface QueueProgram {
  /** A path; one without a slash in front begins in `folder`. */
  readonly program: string;
  readonly folder: string;
  /** Its whole environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly message: Spool;
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
  /** Where the envelope lies meanwhile. */
  readonly spoolFolder: string;
  /** Longest time it may take; then it and what it started are killed. */
  readonly longestMs: number;
}

/**
 * Descriptor 6 is for the program's own words. The shell is there for that, and to take away what Node puts into
 * NODE_OPTIONS for Node programs that it starts.
 */
const script = 'unset NODE_OPTIONS; exec "$0" 6>&3 3>&-';
const wordsFd = 3;
/** The shell's own exit codes for a program it cannot start. */
const shellFailed = [126, 127];
const exitNoProgram = 120;
/** For last words that are on their way; somebody the program left running may hold descriptor 6 for ever. */
const lastWordsMs = 500;

/** Runs it once. Done with its pid when it has taken the message; whatever else became of it is a failure. */
export async function runQueueProgram(run: QueueProgram): Promise<Outcome<number>> {
  const spool = await openSpool(run.spoolFolder);
  if (spool.kind !== "done") return spool;
  await using envelope = spool.value;
  const written = await envelope.write(encodeEnvelope(run.reversePath, run.forwardPaths));
  return written.kind === "done" ? await start(run, envelope.fd) : written;
}

function start(run: QueueProgram, envelope: number): Promise<Outcome<number>> {
  const { promise, resolve } = Promise.withResolvers<Outcome<number>>();
  const { program, folder, environment, message, longestMs } = run;
  const path = program.includes("/") ? program : `./${program}`;
  const child = spawn("/bin/sh", ["-c", script, path], {
    cwd: folder,
    env: { ...environment },
    detached: true, // a group of its own: it can be ended whole
    stdio: [message.fd, envelope, "inherit", "pipe"],
  });
  let words = "";
  let timedOut = false;
  const wordsPipe = child.stdio[wordsFd];
  if (wordsPipe instanceof Socket) {
    wordsPipe.on("error", () => {}); // what it wrote until then counts
    wordsPipe.on("data", (chunk: Buffer) => {
      words = (words + chunk.toString("latin1")).slice(0, maxWordsOctets);
    });
  }
  const clock = setTimeout(() => {
    timedOut = true;
    killGroup(child.pid);
  }, longestMs);
  const end = (code: number | null): void => {
    clearTimeout(clock);
    if (wordsPipe instanceof Socket) wordsPipe.destroy();
    const exitCode = code !== null && shellFailed.includes(code) ? exitNoProgram : (code ?? undefined);
    const verdict = verdictOf({ exitCode, words });
    if (timedOut) resolve(temporary("3.0", "qq timeout"));
    else resolve(verdict.kind === "done" ? done(child.pid ?? 0) : verdict);
  };
  child.on("error", (error) => {
    clearTimeout(clock);
    resolve(temporary("3.0", `cannot start ${program}: ${errorCode(error)}`));
  });
  child.on("exit", (code) => {
    const rest = setTimeout(() => end(code), lastWordsMs);
    child.once("close", () => {
      clearTimeout(rest);
      end(code);
    });
  });
  return promise;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {} // it has just ended
}
