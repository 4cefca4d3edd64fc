import { Buffer } from "node:buffer";
import { resolve } from "node:path";
import { isEnvelopeAddress, maxAddressOctets } from "../../protocol/address.ts";
import { deliveredToLine, environmentOf, type Recipient, traceLines } from "../../protocol/dot-qmail/environment.ts";
import { type ProgramEnd, programEnd } from "../../protocol/dot-qmail/exit-code.ts";
import { type Instruction, parseDotQmail } from "../../protocol/dot-qmail/lines.ts";
import { forwardReversePath, mayHaveOwner } from "../../protocol/dot-qmail/owner.ts";
import { localReport } from "../../protocol/dot-qmail/report.ts";
import { parseQuota } from "../../protocol/maildir/quota.ts";
import { done, type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { type Content, pathOf } from "../../services/maildir/file.ts";
import type { Files } from "../../services/maildir/files.ts";
import { findOwnerFiles } from "./dot-qmail-file.ts";
import { type Home, noMailbox } from "./home.ts";
import type { Message } from "./message.ts";
import { type Store, type StoredCopy, storeInMaildir, storeInMbox } from "./stores.ts";
import type { Task } from "./task.ts";

/** How a program ended. */
export interface Ran {
  readonly exitCode: number;
  readonly signalled: boolean;
  readonly output: string;
}

export interface ProgramRequest {
  readonly command: string;
  readonly home: string;
  /** A descriptor of ours with the message. */
  readonly file: number;
  readonly environment: readonly string[];
}

/** What a delivery has of the process around it. */
export interface Surroundings {
  readonly store: Store;
  runProgram(request: ProgramRequest): Promise<Ran>;
  readonly signal: AbortSignal;
}

export interface Forwards {
  readonly reversePath: string;
  readonly prefix: Buffer;
  readonly forwardPaths: readonly string[];
}

/** What came of a delivery: for the report, and what the report must wait for. */
export interface Delivered {
  readonly letter: "K" | "Z" | "D";
  readonly status: string;
  readonly text: string;
  /** To be queued with this very result; absent unless it is K. */
  readonly forwards?: Forwards;
  /** File systems written to. */
  readonly devices: ReadonlySet<number>;
  /** To be removed when the result is settled. */
  readonly marks: readonly string[];
}

/** Delivers one whole message in its home, in qmail's order of checks (spec §6.1). */
export async function deliver(task: Task, home: Home, message: Message, around: Surroundings): Promise<Delivered> {
  const progress: Progress = { devices: new Set(), marks: [], lines: new Map(), output: "", files: 0, programs: 0 };
  const failed = (failure: Failure): Delivered => ({
    letter: failure.kind === "permanent" ? "D" : "Z",
    status: failure.status,
    text: localReport(progress.output + (failure.text && `${failure.text}\n`)),
    devices: progress.devices,
    marks: progress.marks,
  });
  if (message.hasLine()) return failed(looping);
  const found = home.isNobodys ? done(undefined) : around.store.findDotQmail(home);
  if (found.kind !== "done") return failed(found);
  if (!found.value && home.dash !== "" && !home.isTagged) return failed(noMailbox);
  const file = found.value;
  const isDefault = !file || file.text === "";
  const instructions = isDefault
    ? parseDotQmail(task.defaultDelivery, false)
    : parseDotQmail(file.text, file.forwardOnly);
  const passesOn = instructions.some(({ kind }) => kind === "forward" || kind === "program");
  const reversePath = passesOn ? newReversePath(task, home, around.store.ground.files) : done(task.reversePath);
  if (reversePath.kind !== "done") return failed(reversePath);
  const recipient = recipientOf(task, home);
  const scene = { task, home, message, around, recipient, isDefault, matched: file?.matched, progress };
  const forwardPaths: string[] = [];
  for (const instruction of instructions) {
    if (instruction.kind === "forward") {
      forwardPaths.push(instruction.forwardPath);
      continue;
    }
    const carriedOut = await carryOut(instruction, { ...scene, newReversePath: reversePath.value });
    if (carriedOut.kind !== "done") return failed(carriedOut);
    if (carriedOut.value === "stop") break;
  }
  if (forwardPaths.length > 0 && ![reversePath.value, ...forwardPaths].every(isEnvelopeAddress)) {
    return failed(unfitForward);
  }
  const prefix = Buffer.from(deliveredToLine(task.local, task.domain), "latin1");
  return {
    letter: "K",
    status: "",
    text: localReport(`${progress.output}did ${progress.files}+${forwardPaths.length}+${progress.programs}\n`),
    devices: progress.devices,
    marks: progress.marks,
    ...(forwardPaths.length > 0 && { forwards: { reversePath: reversePath.value, prefix, forwardPaths } }),
  };
}

const looping = permanent("4.6", "This message is looping: it already has my Delivered-To line. (#5.4.6)");
const unfitForward = permanent(
  "1.3",
  `Unable to forward message: address of more than ${maxAddressOctets} octets or with control characters. (#5.1.3)`,
);
const argumentsTooLong = temporary("3.0", "Unable to run /bin/sh: argument list too long. (#4.3.0)");
const full = "The mailbox is full. (#5.2.2)";
const programCrashed = temporary("3.0", "Aack, child crashed. (#4.3.0)");

interface Progress {
  readonly devices: Set<number>;
  readonly marks: string[];
  /** How many lines have named a path so far. */
  readonly lines: Map<string, number>;
  output: string;
  files: number;
  programs: number;
}

interface Scene {
  readonly task: Task;
  readonly home: Home;
  readonly message: Message;
  readonly around: Surroundings;
  readonly recipient: Recipient;
  readonly isDefault: boolean;
  readonly matched: string | undefined;
  readonly newReversePath: string;
  readonly progress: Progress;
}

const recipientOf = (task: Task, home: Home): Recipient => ({ ...task, home: home.path, extension: home.extension });

function newReversePath(task: Task, home: Home, files: Files): Outcome<string> {
  if (home.isNobodys || !mayHaveOwner(task.reversePath)) return done(task.reversePath);
  const found = findOwnerFiles(files, home.path, home.dash, home.extension);
  return found.kind === "done" ? done(forwardReversePath(task, task.reversePath, found.value)) : found;
}

async function carryOut(
  instruction: Exclude<Instruction, { kind: "forward" }>,
  scene: Scene,
): Promise<Outcome<"next" | "stop">> {
  switch (instruction.kind) {
    case "fail":
      return instruction.failure;
    case "program":
      return runLine(instruction.command, scene);
    case "maildir":
    case "mbox":
      return storeLine(instruction, scene);
    default:
      return instruction satisfies never;
  }
}

async function storeLine(instruction: Extract<Instruction, { path: string }>, scene: Scene): Promise<Outcome<"next">> {
  const { task, home, around, progress } = scene;
  const path = resolve(home.path, pathOf(instruction.path));
  const copy: StoredCopy = {
    line: instruction.path,
    path,
    home: home.path,
    name: { name: task.name, number: task.number, line: countPath(progress, path), host: task.host },
    makesMaildir: scene.isDefault && home.makesMaildir,
    content: withTrace(scene),
    reversePath: task.reversePath,
    nowMs: around.store.ground.nowMs(),
    quota: scene.isDefault ? parseQuota(task.quota) : undefined,
    whenFull: task.fullIsPermanent === 1 ? permanent("2.2", full) : temporary("2.2", full),
  };
  const stored =
    instruction.kind === "maildir"
      ? storeInMaildir(around.store, copy)
      : await storeInMbox(around.store, copy, around.signal);
  if (stored.kind !== "done") return stored;
  progress.devices.add(stored.value.device);
  progress.marks.push(stored.value.mark);
  progress.files++;
  return done("next");
}

/** Counts the lines that name one path, so that a repetition finds the copy of each. */
function countPath(progress: Progress, path: string): number {
  const count = (progress.lines.get(path) ?? 0) + 1;
  progress.lines.set(path, count);
  return count;
}

function withTrace({ recipient, message }: Scene): Content {
  const trace = traceLines(recipient);
  return {
    octets: trace.length + message.octets,
    pieces() {
      const pieces = message.pieces();
      return Array.isArray(pieces) ? [trace, ...pieces] : following(trace, pieces);
    },
  };
}

function* following(first: Buffer, others: Iterable<Buffer>): Generator<Buffer> {
  yield first;
  yield* others;
}

async function runLine(command: string, scene: Scene): Promise<Outcome<"next" | "stop">> {
  const { home, message, around, recipient, progress } = scene;
  const file = message.descriptor();
  if (file.kind !== "done") return file;
  const environment = environmentOf(recipient, {
    matched: scene.matched,
    newReversePath: scene.newReversePath,
    atMs: around.store.ground.nowMs(),
  }).map(([name, value]) => `${name}=${value}`);
  if (command.length > maxCommandOctets) return argumentsTooLong;
  const ran = await around.runProgram({ command, home: home.path, file: file.value, environment });
  progress.output += ran.output;
  progress.programs++;
  return ran.signalled ? programCrashed : resultOf(programEnd(ran.exitCode));
}

const maxCommandOctets = 32_768;

/** What the program wrote is all there is to say of its failure. */
function resultOf(end: ProgramEnd): Outcome<"next" | "stop"> {
  switch (end) {
    case "success":
      return done("next");
    case "stop":
      return done("stop");
    case "permanent":
      return permanent("3.0", "");
    case "temporary":
      return temporary("3.0", "");
    default:
      return end satisfies never;
  }
}
