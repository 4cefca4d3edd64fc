/** A load from every entrance to every exit, crashes in the middle of it, and the count at the end. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { seeded } from "../support/seeded.ts";
import { mailboxOf, type Server, type ServerOptions, startServer, temporaryFolder, until } from "../support/server.ts";
import { startSmtpPeer } from "../support/smtp-peer.ts";
import { judge, type Sent, type Verdict } from "./ledger.ts";
import { type Entrance, type Exit, entrances, exitFiles, exits, readPlaces, textOf } from "./table.ts";

/** Brings one crash about and resolves with the server that serves after it; the same one when it has recovered itself. */
export type Crash = (server: Server, random: () => number, note: (what: string) => void) => Promise<Server>;

export interface Plan {
  readonly seed: number;
  readonly messages: number;
  readonly crashes: number;
  readonly crash: Crash;
  /** After such a crash no reply reaches a client: one that is read all the same promises nothing. */
  readonly isSilencing?: boolean;
  /** Clients at once. */
  readonly sessions?: number;
  readonly exits?: readonly string[];
  readonly options?: ServerOptions;
  /** Called when the first server serves, before the load. */
  readonly prepared?: (server: Server) => void;
}

export interface Result extends Verdict {
  /** How often what was killed or cut. */
  readonly crashes: ReadonlyMap<string, number>;
}

/** Carries a plan out. The same seed gives the same messages, crash points and victims. */
export async function runPlan(plan: Plan): Promise<Result> {
  const notes = temporaryFolder();
  const ran = join(notes, "ran");
  const sinkMs: number[] = [];
  await using sink = await startSmtpPeer({
    script: {
      RCPT: (line) => (line.includes("@refuse.test") ? "550 5.1.1 nobody here" : undefined),
      end: () => void sinkMs.push(Date.now()),
    },
  });
  const first = await startServer({
    ...plan.options,
    control: { smtproutes: `:127.0.0.1:${sink.port}\n`, timeoutsmtpd: "60\n" },
    files: exitFiles(ran),
  });
  makeMaildir(mailboxOf(first, "several"));
  plan.prepared?.(first);
  const stage = createStage(first, plan);
  try {
    const sent = await sendAll(stage, plan);
    await stage.settled();
    await drain(stage.server());
    const verdict = judge(sent, readPlaces(first, sink, sinkMs, ran), stage.crashesMs);
    return { ...verdict, crashes: stage.crashes };
  } finally {
    await stage.server().stop();
    if (!plan.options?.folder) rmSync(first.root, { recursive: true, force: true });
    rmSync(notes, { recursive: true, force: true });
  }
}

/** A Maildir that a .qmail file names is not made by delivery. */
export function makeMaildir(folder: string): void {
  for (const part of ["tmp", "new", "cur"]) mkdirSync(join(folder, part), { recursive: true });
}

/** What failed meanwhile is tried again at once, until nothing is left. */
export async function drain(server: Server): Promise<void> {
  const drained = until(
    "an empty queue",
    async () => {
      await server.postern(["queue", "retry"]);
      const { code, stdout } = await server.postern(["queue", "count", "--json"]);
      return code === 0 && (JSON.parse(stdout) as { messages: number }).messages === 0;
    },
    60_000,
  );
  await drained.catch(async (error: unknown) => {
    const { stdout } = await server.postern(["queue", "show", "--limit", "5"]);
    throw new Error(`${error}\n${stdout}`);
  });
}

interface Stage {
  readonly server: () => Server;
  /** Resolves while a server is there, or once it is there again. */
  readonly up: () => Promise<void>;
  /** So many messages are through: time for a crash, perhaps. */
  readonly through: (count: number) => void;
  /** Resolves when the last crash is over; rejects with the first that could not be recovered from. */
  readonly settled: () => Promise<void>;
  readonly crashes: Map<string, number>;
  readonly crashesMs: number[];
}

const longestPauseMs = 30;

function createStage(first: Server, plan: Plan): Stage {
  const random = seeded(plan.seed);
  let current = first;
  const crashes = new Map<string, number>();
  const crashesMs: number[] = [];
  const note = (what: string): void => {
    crashes.set(what, (crashes.get(what) ?? 0) + 1);
    crashesMs.push(Date.now());
  };
  const points = Array.from({ length: plan.crashes }, () => Math.ceil(plan.messages * (0.03 + 0.94 * random())));
  points.sort((a, b) => a - b);
  let working = Promise.resolve();
  let failed: unknown;
  const crash = async (): Promise<void> => {
    if (failed) return;
    await new Promise((resolve) => setTimeout(resolve, random() * longestPauseMs));
    current = await plan.crash(current, random, note);
  };
  return {
    server: () => current,
    up: () => working,
    through(count) {
      for (; points.length > 0 && (points[0] ?? 0) <= count; points.shift()) {
        working = working.then(crash).catch((error: unknown) => {
          failed ??= error;
        });
      }
    },
    async settled() {
      await working;
      if (failed) throw failed;
    },
    crashes,
    crashesMs,
  };
}

async function sendAll(stage: Stage, plan: Plan): Promise<Map<number, Sent>> {
  const random = seeded(plan.seed + 1);
  const chosen = exits.filter(({ name }) => plan.exits?.includes(name) ?? true);
  const cells: [Entrance, Exit][] = entrances.flatMap((entrance) =>
    chosen.flatMap((exit) => Array.from({ length: entrance.share }, (): [Entrance, Exit] => [entrance, exit])),
  );
  const sent = new Map<number, Sent>();
  let last = 0;
  const session = async (): Promise<void> => {
    while (last < plan.messages) {
      const n = ++last;
      const [entrance, exit] = cells[Math.floor(random() * cells.length)] ?? [];
      if (!entrance || !exit) throw new Error("no exits");
      await stage.up();
      const atMs = Date.now();
      const answer = await entrance.send(stage.server(), exit.forwardPath(n), textOf(n));
      const isTooLate = plan.isSilencing && stage.crashesMs.some((crashMs) => crashMs > atMs);
      sent.set(n, { exit: exit.name, atMs, answer: isTooLate ? "doubtful" : answer });
      stage.through(sent.size);
    }
  };
  await Promise.all(Array.from({ length: plan.sessions ?? 10 }, session));
  return sent;
}

/** For a test's diagnostics and for people. */
export function summary(result: Result): string {
  const { acknowledged, refused, doubtful, copies, repeated, lost, wrong, crashes } = result;
  const list = [...crashes].map(([what, count]) => `${what} ${count}`).join(", ");
  return (
    `crashes: ${list}; ${acknowledged} acknowledged, ${refused} refused, ${doubtful} without an answer; ` +
    `${copies} copies, ${repeated} repeated where that may be; ${lost} lost, ${wrong.length} promises broken`
  );
}
