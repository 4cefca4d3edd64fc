/**
 * Every system call that a program makes on its own folders in a scripted run, made to fail in each way it may, one run
 * for each; and a kill at each. As root.
 *
 *   node test/faults/matrix.ts [--program deliver] [--call pwrite64]
 */
import { parseArgs } from "node:util";
import { seeded } from "../support/seeded.ts";
import { until } from "../support/server.ts";
import { type Injection, inject } from "./inject.ts";
import { type Stage, startStage } from "./stage.ts";

/** What may become of each kind of call (errors that the manual page of the call, or the block layer, names). */
const errorsOf: Readonly<Record<string, readonly string[]>> = {
  openat: ["EMFILE", "ENFILE", "EACCES", "ENOSPC", "EROFS", "EIO", "EDQUOT", "ENOMEM", "EINTR"],
  write: ["ENOSPC", "EIO", "EDQUOT", "EFBIG", "EINTR"],
  writev: ["ENOSPC", "EIO", "EDQUOT", "EFBIG", "EINTR"],
  pwrite64: ["ENOSPC", "EIO", "EDQUOT", "EFBIG", "EINTR"],
  pread64: ["EIO", "EINTR"],
  fsync: ["EIO", "ENOSPC", "EDQUOT", "EINTR"],
  fdatasync: ["EIO", "ENOSPC", "EDQUOT", "EINTR"],
  syncfs: ["EIO", "ENOSPC", "EDQUOT"],
  statx: ["EIO", "EACCES", "ENOMEM"],
  fstat: ["EIO", "ENOMEM"],
  close: ["EIO", "EINTR"],
  link: ["EIO", "ENOSPC", "EDQUOT", "EMLINK", "EACCES", "EROFS"],
  rename: ["EIO", "ENOSPC", "EDQUOT", "EACCES", "EROFS"],
  unlink: ["EIO", "EACCES", "EROFS"],
  ftruncate: ["EIO", "EFBIG"],
  mkdir: ["EIO", "ENOSPC"],
  getdents64: ["EIO"],
};
const kill = "KILL";

/** The programs that write, and what of a scripted run makes each of them do all it does. */
const scripts = {
  queue: [
    ["Maildir", "small"],
    ["forward", "small"],
    ["bounce", "small"],
    ["Maildir", "large"],
  ],
  // It flushes what has arrived a while ago: during the next ones.
  local: [
    ["Maildir", "small"],
    ["Maildir", "small"],
    ["Maildir", "small"],
  ],
  deliver: [
    ["Maildir", "small"],
    ["mbox", "small"],
    ["several", "small"],
    ["Maildir", "large"],
  ],
  // It writes when it has time: what it has to say of a message, during the next ones.
  logger: [
    ["Maildir", "small"],
    ["Maildir", "small"],
    ["Maildir", "small"],
  ],
} as const;
export type Writer = keyof typeof scripts;
export const writers = Object.keys(scripts) as readonly Writer[];

/** The `at`th call of this name that the program makes in its run, and what becomes of it. */
export interface Cell {
  readonly program: Writer;
  readonly call: string;
  readonly error: string;
  readonly at: number;
}
export const nameOf = ({ program, call, error, at }: Cell): string => `${program}: ${call} ${at} ${error}`;

/** Of the writing of a body, pages in a row that are all alike: so many are tried at both ends, and of the rest each eighth. */
const endCalls = 24;
const everyMiddle = 8;

/** Follows one undisturbed run of each program and lists what there is to break. */
export async function learnCells(stage: Stage, program: Writer): Promise<Cell[]> {
  await warm(stage, program);
  const seen = await inject(stage.pids(program), [], Object.keys(errorsOf));
  await runScript(stage, program, seen);
  const lines = seen.lines();
  await seen.end();
  const counts = new Map<string, number>();
  const positions = new Map<string, number[]>();
  for (const line of lines) {
    const call = /^(\w+)\(/.exec(line)?.[1];
    if (call === undefined) continue; // the end of a call that was interrupted
    const at = (counts.get(call) ?? 0) + 1;
    counts.set(call, at);
    if (line.includes(`${stage.server.root}/`)) positions.set(call, [...(positions.get(call) ?? []), at]);
  }
  return [...positions].flatMap(([call, all]) =>
    all
      .filter((_, n) => n < endCalls || n >= all.length - endCalls || n % everyMiddle === 0)
      .flatMap((at) => [...(errorsOf[call] ?? []), kill].map((error) => ({ program, call, error, at }))),
  );
}

/** There is a deliver, and every mailbox: making one would come in some runs and not in others. */
async function warm(stage: Stage, program: Writer): Promise<void> {
  for (const [exit] of scripts[program]) await stage.send(exit);
  for (let n = 0; n < mailboxes; n++) await stage.send("Maildir");
  await stage.count();
}
const mailboxes = 10; // two more than there are: some of the numbers are for large messages

/** One message after the other, so that each run makes the same calls; no further than to the fault. */
async function runScript(stage: Stage, program: Writer, injection: Injection): Promise<readonly string[]> {
  const replies: string[] = [];
  for (const [exit, size] of scripts[program]) {
    const reply = await stage.send(exit, size);
    replies.push(reply);
    if (reply.startsWith("250")) {
      await until("its arrival, or the fault", () => injection.failed() > 0 || stage.hasArrived(), 20_000);
    }
    if (injection.failed() > 0) break;
  }
  return replies;
}

export interface Tried {
  /** Whether the fault came about. */
  readonly hit: boolean;
  /** One line for each broken promise. */
  readonly wrong: readonly string[];
}

/** One run with one fault, and the count when it is over. */
export async function tryCell(stage: Stage, cell: Cell): Promise<Tried> {
  const { program, call, error, at } = cell;
  if (stage.pids(program).length === 0) await warm(stage, program); // the last one was killed
  const before = stage.pids(program);
  const injection = await inject(before, [{ calls: [call], error, when: String(at) }]);
  const replies = await runScript(stage, program, injection);
  const failed = injection.failed() > 0;
  // In another run the call of that number may be on a channel or a clock: a program may die of those.
  const elsewhere = (line: string): boolean => line.includes("INJECTED") && !line.includes(`${stage.server.root}/`);
  const hit = failed && !injection.lines().some(elsewhere);
  await injection.end();
  if (failed) stage.disturbed();
  const wrong = replies.filter((reply) => !/^(?:250|4\d\d) |^$/.test(reply)).map((reply) => `answered: ${reply}`);
  await stage.serving();
  wrong.push(...(await stage.count()));
  if (hit && error !== kill && before.some((pid) => !stage.pids(program).includes(pid)))
    wrong.push(`${program} died of it`);
  return { hit, wrong: wrong.map((line) => `${nameOf(cell)}: ${line}`) };
}

/** One place for each kind of call and each thing that may become of it. */
export function sampleOf(cells: readonly Cell[], seed: number): Cell[] {
  const random = seeded(seed);
  const kinds = Map.groupBy(cells, ({ program, call, error }) => `${program} ${call} ${error}`);
  return [...kinds.values()].flatMap((same) => same[Math.floor(random() * same.length)] ?? []);
}

/** Waits between the deaths of what `supervise` starts grow: a server sees no more of them. */
const killsPerServer = 3;

/** Tries all of them: on `stage`, and on servers of their own where programs of `supervise` are killed. */
export async function tryAll(
  stage: Stage,
  cells: readonly Cell[],
  tell: (cell: Cell, tried: Tried) => void,
): Promise<void> {
  const tryOn = async (stage: Stage, cell: Cell): Promise<void> => {
    const tried = await tryCell(stage, cell).catch((error: unknown) => ({
      hit: true,
      wrong: [`${nameOf(cell)}: ${error}`],
    }));
    tell(cell, tried);
  };
  const slow = cells.filter(({ error, program }) => error === kill && program !== "deliver");
  for (const cell of cells) if (!slow.includes(cell)) await tryOn(stage, cell);
  for (let n = 0; n < slow.length; n += killsPerServer) {
    await using own = await startStage();
    for (const cell of slow.slice(n, n + killsPerServer)) await tryOn(own, cell);
  }
}

/** All places of one kind of call; returns the figures as a line. */
async function tryCall(stage: Stage, call: string, cells: readonly Cell[]): Promise<string> {
  let hits = 0;
  let broke = 0;
  await tryAll(stage, cells, (_, { hit, wrong }) => {
    if (hit) hits++;
    if (wrong.length > 0) broke++;
    for (const line of wrong) console.log(line);
  });
  if (broke > 0) process.exitCode = 1;
  return `${cells[0]?.program} ${call}: ${cells.length} runs, ${hits} with the fault, ${broke} broke a promise`;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { program: { type: "string" }, call: { type: "string" } } });
  for (const program of writers.filter((name) => name === (values.program ?? name))) {
    await using stage = await startStage();
    const cells = (await learnCells(stage, program)).filter(({ call }) => call === (values.call ?? call));
    for (const [call, same] of Map.groupBy(cells, ({ call }) => call)) console.log(await tryCall(stage, call, same));
  }
}
