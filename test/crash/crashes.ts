/** A load from every entrance to every exit, crashes in the middle of it, and the count at the end. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeAccounts } from "../support/accounts.ts";
import { seeded } from "../support/seeded.ts";
import { mailboxOf, type Server, type ServerOptions, startServer, temporaryFolder } from "../support/server.ts";
import { startSmtpPeer } from "../support/smtp-peer.ts";
import { largeFrom } from "./bodies.ts";
import { startFetching } from "./fetching.ts";
import { type Answer, judge, type Outage, type Sent, type Verdict } from "./ledger.ts";
import { findLeftovers } from "./leftovers.ts";
import { startReader } from "./reader.ts";
import {
  accounts,
  type Exit,
  entranceControl,
  entrances,
  exitFiles,
  exits,
  fetched,
  filter,
  portOf,
  readPlaces,
  textOf,
} from "./table.ts";
import type { Entrance } from "./ways.ts";

/**
 * What is "orderly" excuses no repetition. At a "lying" one a flush may be under way that the kernel reports as done and
 * forgets: replies that are read after it promise nothing.
 */
export type CrashKind = "orderly" | "lying";

/** Brings one crash about and resolves with the server that serves after it. To be noted just before. */
export type Crash = (
  server: Server,
  random: () => number,
  note: (what: string, kind?: CrashKind) => void,
) => Promise<Server>;

export interface Plan {
  readonly seed: number;
  readonly messages: number;
  readonly crashes: number;
  readonly crash: Crash;
  /** No crash comes after this share of the load; 0.97 unless told otherwise. */
  readonly latest?: number;
  /** Each so many-th message is a large one. None when absent. */
  readonly largeEvery?: number;
  /** Clients at once. */
  readonly sessions?: number;
  /** All of table.ts, unless told otherwise. */
  readonly entrances?: readonly string[];
  readonly exits?: readonly string[];
  readonly options?: ServerOptions;
  /** A client of POP3 fetches and deletes what comes. (A power cut may bring back what it deleted.) */
  readonly fetching?: boolean;
  /** Called when the first server serves, before the load. */
  readonly prepared?: (server: Server) => void;
  /** A load in which nothing moved for so long has come to a standstill. */
  readonly standstillMs?: number;
}

export interface Result extends Verdict {
  /** How often what was killed or cut. */
  readonly crashes: ReadonlyMap<string, number>;
}

/** However busy the machine: the longest a client waits for the answer to a large message. */
const defaultStandstillMs = 120_000;

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
  const folder = plan.options?.folder ?? temporaryFolder();
  await writeAccounts(folder, accounts);
  const filtering = join(notes, "filter");
  writeFileSync(filtering, filter, { mode: 0o755 });
  const first = await startServer({
    ...plan.options,
    folder,
    control: {
      smtproutes: `:127.0.0.1:${sink.port}\n`,
      timeoutsmtpd: "60\n",
      ...(await entranceControl(filtering)),
    },
    files: exitFiles(ran),
  });
  makeMaildir(mailboxOf(first, "several"));
  plan.prepared?.(first);
  const stage = createStage(first, plan);
  try {
    using _reader = startReader(first);
    const fetching = plan.fetching ? startFetching(portOf("pop3slisten", first), fetched) : undefined;
    const sent = await sendAll(stage, plan);
    await stage.settled();
    await drain(stage.server(), plan.standstillMs);
    const taken = await fetching?.end();
    await stage.server().stop();
    const places = readPlaces(first, sink, sinkMs, ran, taken);
    const verdict = judge(sent, places, stage.crashesMs, stage.outages);
    return { ...verdict, wrong: [...verdict.wrong, ...findLeftovers(first.root)], crashes: stage.crashes };
  } finally {
    await stage.giveUp();
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
export async function drain(server: Server, standstillMs = defaultStandstillMs): Promise<void> {
  let [fewest, sinceMs] = [Number.POSITIVE_INFINITY, Date.now()];
  for (;;) {
    await server.postern(["queue", "retry"]);
    const { code, stdout, stderr } = await server.postern(["queue", "count", "--json"]);
    const left = code === 0 ? (JSON.parse(stdout) as { messages: number }).messages : fewest;
    if (left === 0) return;
    if (left < fewest) [fewest, sinceMs] = [left, Date.now()];
    if (Date.now() - sinceMs < standstillMs) continue;
    const shown = await server.postern(["queue", "show", "--limit", "5"]);
    throw new Error(`the queue came to a standstill with ${left} messages\n${stderr}${shown.stdout}${server.output()}`);
  }
}

interface Stage {
  readonly server: () => Server;
  /** Resolves while a server is there, or once it is there again. */
  readonly up: () => Promise<void>;
  /** So many messages are through: time for a crash, perhaps. */
  readonly through: (count: number) => void;
  /** Resolves when the last crash is over; rejects with the first that could not be recovered from. */
  readonly settled: () => Promise<void>;
  /** Nothing more is sent from now on; resolves when a crash that is under way is over. */
  readonly giveUp: () => Promise<void>;
  readonly isOver: () => boolean;
  readonly crashes: Map<string, number>;
  readonly crashesMs: number[];
  readonly liesMs: number[];
  readonly outages: Outage[];
}

const longestPauseMs = 30;

function createStage(first: Server, plan: Plan): Stage {
  const random = seeded(plan.seed);
  let current = first;
  const crashes = new Map<string, number>();
  const crashesMs: number[] = [];
  const liesMs: number[] = [];
  const outages: Outage[] = [];
  const note = (what: string, kind?: CrashKind): void => {
    crashes.set(what, (crashes.get(what) ?? 0) + 1);
    if (kind !== "orderly") crashesMs.push(Date.now());
    if (kind === "lying") liesMs.push(Date.now());
  };
  const { latest = 0.97 } = plan;
  const points = Array.from({ length: plan.crashes }, () =>
    Math.ceil(plan.messages * (0.03 + (latest - 0.03) * random())),
  );
  points.sort((a, b) => a - b);
  let working = Promise.resolve();
  let failed: unknown;
  let isOver = false;
  const crash = async (): Promise<void> => {
    if (isOver) return;
    await new Promise((resolve) => setTimeout(resolve, random() * longestPauseMs));
    const fromMs = Date.now();
    const before = current;
    current = await plan.crash(before, random, note);
    if (current !== before) outages.push({ fromMs, toMs: Date.now() });
  };
  return {
    server: () => current,
    up: () => working,
    through(count) {
      for (; points.length > 0 && (points[0] ?? 0) <= count; points.shift()) {
        working = working.then(crash).catch((error: unknown) => {
          failed ??= error;
          isOver = true;
        });
      }
    },
    async settled() {
      await working;
      if (failed) throw failed;
    },
    async giveUp() {
      isOver = true;
      await working;
    },
    isOver: () => isOver,
    crashes,
    crashesMs,
    liesMs,
    outages,
  };
}

/** Each so many-th client that can breaks off; this many kinds of places to do it at. */
const breakOffEvery = 15;
const breakOffShares = [0.3, 0.7, 1];

async function sendAll(stage: Stage, plan: Plan): Promise<Map<number, Sent>> {
  const random = seeded(plan.seed + 1);
  const chosen = exits.filter(({ name }) => plan.exits?.includes(name) ?? true);
  const open = entrances.filter(({ name }) => plan.entrances?.includes(name) ?? true);
  const cells: [Entrance, Exit][] = open.flatMap((entrance) =>
    chosen.flatMap((exit) => Array.from({ length: entrance.share }, (): [Entrance, Exit] => [entrance, exit])),
  );
  const sent = new Map<number, Sent>();
  let last = 0;
  const session = async (): Promise<void> => {
    while (last < plan.messages && !stage.isOver()) {
      const count = ++last;
      const n = plan.largeEvery !== undefined && count % plan.largeEvery === 0 ? largeFrom + count : count;
      const [entrance, exit] = cells[Math.floor(random() * cells.length)] ?? [];
      if (!entrance || !exit) throw new Error("no exits");
      await stage.up();
      const atMs = Date.now();
      const answer = await sendOne(stage.server(), entrance, exit, n);
      const mayLie = answer === "acknowledged" && stage.liesMs.some((lieMs) => atMs <= lieMs);
      sent.set(n, { exit: exit.name, atMs, untilMs: Date.now(), answer: mayLie ? "doubtful" : answer });
      stage.through(sent.size);
    }
  };
  const load = Promise.all(Array.from({ length: plan.sessions ?? 10 }, session));
  await whileMoving(load, () => sent.size, plan.standstillMs ?? defaultStandstillMs);
  return sent;
}

/** Rejects when `count` has stayed the same for so long. */
async function whileMoving(work: Promise<unknown>, count: () => number, standstillMs: number): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  let [before, sinceMs] = [count(), Date.now()];
  const timer = setInterval(() => {
    if (count() !== before) [before, sinceMs] = [count(), Date.now()];
    else if (Date.now() - sinceMs > standstillMs)
      reject(new Error(`the load came to a standstill at ${before} messages`));
  }, 500);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearInterval(timer);
  }
}

function sendOne(server: Server, entrance: Entrance, exit: Exit, n: number): Promise<Answer> {
  const share = n % breakOffEvery === 0 ? breakOffShares[(n / breakOffEvery) % breakOffShares.length] : undefined;
  const forwardPath = exit.forwardPath(n);
  if (share !== undefined && entrance.breakOff) return entrance.breakOff(server, forwardPath, textOf(n), share);
  return entrance.send(server, forwardPath, textOf(n));
}

/** For a test's diagnostics and for people. */
export function summary(result: Result): string {
  const { acknowledged, refused, doubtful, unfinished, unreachable, copies, repeated, lost, doubled, torn } = result;
  const list = [...result.crashes].map(([what, count]) => `${what} ${count}`).join(", ");
  return (
    `crashes: ${list}; ${acknowledged} acknowledged, ${refused} refused, ${doubtful} without an answer, ` +
    `${unfinished} broken off, ${unreachable} came while it was down; ${copies} copies, ` +
    `${repeated} repeated where that may be; ${lost} lost, ${doubled} doubled, ${torn} torn, ` +
    `${result.wrong.length} promises broken`
  );
}
