/**
 * Kills programs under load, one or all at once, and counts what was acknowledged:
 *
 *   node test/crash/kills.ts [--kills 200] [--messages 20000] [--seed N]
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { descendants, type Server, startServer } from "../support/server.ts";
import { type Crash, type Plan, runPlan, summary } from "./crashes.ts";

/** Program -> how often it is chosen: those that hold mail more often than the others. */
const victims = new Map([
  ["queue", 4],
  ["local", 3],
  ["deliver", 3],
  ["remote", 2],
  ["smtpd", 2],
  ["qmqpd", 2],
  ["logger", 1],
]);
const everythingShare = 0.12;
const supervisorShare = 0.06;

/** SIGKILL to one program, to the one above them, or to all. */
export const killSomething: Crash = async (server, random, note) => {
  const which = random();
  if (which < everythingShare + supervisorShare) {
    const all = which < everythingShare;
    note(all ? "everything" : "supervise");
    if (all) await server.killAll();
    else await killSupervisor(server);
    return await startServer({ root: server.root });
  }
  const living = programs(server);
  const tickets = living.flatMap(({ name, pid }) =>
    Array.from({ length: victims.get(name) ?? 0 }, () => ({ name, pid })),
  );
  const victim = tickets[Math.floor(random() * tickets.length)];
  if (!victim) return server;
  note(victim.name);
  try {
    process.kill(victim.pid, "SIGKILL");
  } catch {
    // it has just ended by itself: deliver does, when it has nothing to do
  }
  return server;
};

async function killSupervisor(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.process.once("exit", () => resolve());
  server.process.kill("SIGKILL");
  await promise;
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

/** Waits between deaths grow, up to half a minute: a killing of this many programs takes place in as many rounds. */
const killsInOneRound = 25;

if (import.meta.main) {
  const { values } = parseArgs({
    options: { kills: { type: "string" }, messages: { type: "string" }, seed: { type: "string" } },
  });
  const kills = Number(values.kills ?? 200);
  const rounds = Math.ceil(kills / killsInOneRound);
  const firstSeed = Number(values.seed ?? Date.now() % 1_000_000);
  for (let round = 0; round < rounds; round++) {
    const plan: Plan = {
      seed: firstSeed + round,
      messages: Math.ceil(Number(values.messages ?? 20_000) / rounds),
      crashes: Math.min(killsInOneRound, kills - round * killsInOneRound),
      crash: killSomething,
    };
    const result = await runPlan(plan);
    console.log(`--seed ${plan.seed}: ${summary(result)}`);
    for (const line of result.wrong.slice(0, 20)) console.log(`  ${line}`);
    if (result.wrong.length > 0) process.exitCode = 1;
  }
}
