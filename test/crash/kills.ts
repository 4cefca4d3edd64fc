/**
 * Kills programs under load, one or all at once, stops and reloads the server, and counts what was acknowledged:
 *
 *   node test/crash/kills.ts [--kills 200] [--messages 20000] [--seed N]
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { descendants, type Server, startServer, until } from "../support/server.ts";
import { type Crash, type Plan, runPlan } from "./crashes.ts";
import { killAtOnce } from "./freeze.ts";
import { addUp } from "./total.ts";

/** What can happen to the server as a whole; each but "reload" ends with a start. */
const toAll: Readonly<Record<string, (server: Server) => Promise<unknown>>> = {
  everything: killAtOnce,
  supervise: killSupervisor,
  SIGTERM: (server) => server.stop(),
  stop: (server) => server.postern(["stop"]),
  reload: (server) => server.postern(["reload"]),
};
const orderly: readonly string[] = ["SIGTERM", "stop", "reload"];

/** What can happen to programs, beside a SIGKILL to one of them. */
export const behindDeliver = "local behind a standing deliver";

/** How often each comes in a deck: the programs that hold mail more often than the others. */
const deck: readonly (readonly [what: string, times: number])[] = [
  ["queue", 4],
  ["local", 3],
  ["deliver", 3],
  [behindDeliver, 1],
  ["remote", 2],
  ["smtpd", 2],
  ["qmqpd", 2],
  ["qmtpd", 2],
  ["hook", 1],
  ["directory", 1],
  ["pop3d", 1],
  ["pop3session", 1],
  ["logger", 1],
  ["everything", 2],
  ["supervise", 1],
  ["SIGTERM", 1],
  ["stop", 1],
  ["reload", 1],
];
export const crashesInDeck = deck.reduce((sum, [, times]) => sum + times, 0);

/** Draws from a deck of all that can happen, so that after so many crashes each of them did. */
export function killAnything(): Crash {
  let left: string[] = [];
  return async (server, random, note) => {
    if (left.length === 0) left = deck.flatMap(([what, times]) => Array.from({ length: times }, () => what));
    const [what = ""] = left.splice(Math.floor(random() * left.length), 1);
    const happen = toAll[what];
    if (!happen) return await killOne(server, what, random, note);
    note(what, orderly.includes(what) ? "orderly" : undefined);
    await happen(server);
    if (what === "reload") return server;
    await gone(server);
    return await startServer({ root: server.root });
  };
}

/** SIGKILL to one process of a program, every time. */
export const kill =
  (program: string): Crash =>
  (server, random, note) =>
    killOne(server, program, random, note);

async function killOne(server: Server, program: string, random: () => number, note: (what: string) => void) {
  if (program === behindDeliver) return await killLocal(server, note);
  const living = programs(server).filter(({ name }) => name === program);
  const victim = living[Math.floor(random() * living.length)];
  if (!victim) return server; // it is being started again
  note(program);
  signal(victim.pid, "SIGKILL");
  return server;
}

/** So much the workers are to have before them when `local` dies, and so much is done by others before they go on. */
const [begunFirst, endedFirst] = [20, 20];
/** When there is no more mail by then. */
const longestStandingMs = 15_000;
/** In which readers take away what came. */
const readMs = 300;
const longestRestartMs = 20_000;

/**
 * SIGKILL to `local` while its workers stand still, with more and more to do, as before a disk that is slow; they go on
 * once other workers are there and have done the same.
 */
async function killLocal(server: Server, note: (what: string) => void): Promise<Server> {
  const named = (wanted: string) => programs(server).filter(({ name }) => name === wanted);
  const standing = named("deliver").map(({ pid }) => pid);
  const [local] = named("local");
  if (!local || standing.length === 0) return server;
  for (const pid of standing) signal(pid, "SIGSTOP");
  try {
    await orNot("starting", countingFrom(server, "starting"), begunFirst);
    note(behindDeliver);
    signal(local.pid, "SIGKILL");
    const isBack = () => named("deliver").some(({ pid }) => !standing.includes(pid));
    await until("another worker", isBack, longestRestartMs).catch(() => {}); // nobody may have mail by now
    await orNot("end", countingFrom(server, "end"), endedFirst);
    await new Promise((resolve) => setTimeout(resolve, readMs));
  } finally {
    for (const pid of standing) if (commandLine(pid).startsWith("postern: deliver")) signal(pid, "SIGCONT");
  }
  return server;
}

const orNot = (what: string, count: () => number, wanted: number): Promise<void> =>
  until(what, () => count() >= wanted, longestStandingMs).catch(() => {});

/** How often the log speaks of an event from now on. */
function countingFrom(server: Server, event: string): () => number {
  const path = join(server.root, "log/current");
  const { size } = statSync(path);
  return () => {
    const fd = openSync(path, "r");
    try {
      const since = Buffer.alloc(Math.max(0, fstatSync(fd).size - size)); // less: it is another file by now
      readSync(fd, since, 0, since.length, size);
      return since.toString("latin1").split(`"event":"${event}"`).length - 1;
    } finally {
      closeSync(fd);
    }
  };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended
  }
}

async function gone(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.process.once("exit", () => resolve());
  if (server.process.exitCode !== null || server.process.signalCode !== null) resolve();
  await promise;
}

async function killSupervisor(server: Server): Promise<void> {
  server.process.kill("SIGKILL");
  await gone(server);
}

/** The programs as the kernel knows them: `postern status` would wait for `supervise`. */
export function programs(server: Server): { readonly name: string; readonly pid: number }[] {
  return descendants(server.process.pid ?? 0).flatMap((pid) => {
    const [, name] = /^postern: (\w+)/.exec(commandLine(pid)) ?? [];
    return name ? [{ name, pid }] : [];
  });
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { kills: { type: "string" }, messages: { type: "string" }, seed: { type: "string" } },
  });
  const kills = Number(values.kills ?? 200);
  // Waits between deaths grow, up to half a minute: a killing of this many programs takes place in as many rounds.
  const rounds = Math.ceil(kills / crashesInDeck);
  const firstSeed = Number(values.seed ?? Date.now() % 1_000_000);
  await addUp(
    "kills",
    Array.from({ length: rounds }, (_, round): Plan => {
      const messages = Math.ceil(Number(values.messages ?? 20_000) / rounds);
      const crashes = Math.min(crashesInDeck, kills - round * crashesInDeck);
      return { seed: firstSeed + round, messages, crashes, crash: killAnything(), largeEvery: 250, fetching: true };
    }),
    runPlan,
  );
}
