import { closeSync, openSync, readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import {
  type BounceParagraph,
  type ChannelRecord,
  parseChannel,
  parseInfo,
  parseParagraphs,
  parseTodo,
} from "../../protocol/qmail-queue/records.ts";
import { tryLock } from "../kernel/descriptors.ts";

/** A message that qmail has accepted. */
export interface QueuedMessage {
  readonly number: number;
  readonly path: string;
  readonly octets: number;
  readonly bornMs: number;
  readonly uid: number;
  readonly reversePath: string;
  /** Not preprocessed: recipients as they were given, to be routed. */
  readonly unrouted: readonly string[];
  readonly local: Channel;
  readonly remote: Channel;
  readonly failures: readonly BounceParagraph[];
}

export interface Channel {
  readonly records: readonly ChannelRecord[];
  /** When qmail-send meant to try again, if it ended in peace. */
  readonly nextAttemptMs: number;
}

/** Something in the queue that is no message to be delivered. */
export interface Leftover {
  readonly number: number;
  /** `unfinished`: never accepted. `finished`: done, waiting to be removed. `damaged`: see `why`. */
  readonly kind: "unfinished" | "finished" | "damaged";
  readonly why: string;
}

export interface QueueScan {
  /** How many folders `mess` is split into; `todo` has them too with the big-todo patch. */
  readonly split: number;
  readonly splitTodo: boolean;
  /** In order of number. */
  readonly numbers: readonly number[];
  /** Bounces and channel files of messages that are not there. */
  readonly orphans: readonly string[];
}

/** More than any qmail could have handled. */
const maxMessages = 5_000_000;
const maxEnvelopeOctets = 134_217_728;
const places = ["mess", "info", "local", "remote", "todo", "intd", "bounce"] as const;
type Place = (typeof places)[number];

/**
 * Takes the lock that qmail-send holds all its life, so that it cannot start meanwhile: the descriptor to close when it
 * may. `undefined` when there is no such file: qmail-send cannot start without. Temporary when it runs.
 */
export function lockQmailQueue(queue: string): Outcome<number | undefined> {
  const path = join(queue, "lock/sendmutex");
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? done(undefined) : temporary("3.0", `cannot open ${path}: ${code}`);
  }
  const locked = tryLock(fd);
  if (locked.kind === "done" && locked.value) return done(fd);
  closeSync(fd);
  if (locked.kind === "done") return temporary("3.2", `qmail-send is running: it holds ${path}; stop qmail first`);
  return temporary("3.0", `cannot lock ${path}: ${locked.text}`);
}

/** An existing qmail queue, only ever read. */
export class QmailQueue {
  readonly scan: QueueScan;
  /** Where each file is: by place and number. */
  readonly #paths: ReadonlyMap<Place, ReadonlyMap<number, string>>;

  constructor(scan: QueueScan, paths: ReadonlyMap<Place, ReadonlyMap<number, string>>) {
    this.scan = scan;
    this.#paths = paths;
  }

  /** One message with its envelope, or what else the number stands for. Fails when a file cannot be read. */
  read(number: number): Outcome<QueuedMessage | Leftover> {
    try {
      return done(this.#read(number));
    } catch (error) {
      const { code, path } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      return temporary("3.0", `cannot read ${path ?? `message ${number}`}: ${code}`);
    }
  }

  #read(number: number): QueuedMessage | Leftover {
    const at = (place: Place): string | undefined => this.#paths.get(place)?.get(number);
    const [mess, todo, info] = [at("mess"), at("todo"), at("info")];
    const damaged = (why: string): Leftover => ({ number, kind: "damaged", why });
    if (mess === undefined) return damaged("its envelope is there, and the message is not");
    const { size, isFile } = describe(mess);
    if (!isFile) return damaged("mess is no file");
    if (todo !== undefined) {
      const envelope = parseTodo(readEnvelope(todo));
      if (envelope.kind !== "done") return damaged(`todo: ${envelope.text}`);
      const { uid, reversePath, forwardPaths } = envelope.value;
      const bornMs = describe(todo).mtimeMs;
      const none = { records: [], nextAttemptMs: 0 };
      return {
        number,
        path: mess,
        octets: size,
        bornMs,
        uid,
        reversePath,
        unrouted: forwardPaths,
        local: none,
        remote: none,
        failures: [],
      };
    }
    if (info === undefined) return { number, kind: "unfinished", why: "it was never accepted" };
    const sender = parseInfo(readEnvelope(info));
    if (sender.kind !== "done") return damaged(`info: ${sender.text}`);
    const local = readChannel(at("local"));
    if (local.kind !== "done") return damaged(`local: ${local.text}`);
    const remote = readChannel(at("remote"));
    if (remote.kind !== "done") return damaged(`remote: ${remote.text}`);
    const bounce = at("bounce");
    const failures = bounce === undefined ? [] : parseParagraphs(readEnvelope(bounce));
    const open = [...local.value.records, ...remote.value.records].some((record) => !record.done);
    if (!open && failures.length === 0) return { number, kind: "finished", why: "all its recipients are done" };
    return {
      number,
      path: mess,
      octets: size,
      bornMs: describe(info).mtimeMs,
      uid: 0,
      reversePath: sender.value,
      unrouted: [],
      local: local.value,
      remote: remote.value,
      failures,
    };
  }
}

const describe = (path: string): { size: number; isFile: boolean; mtimeMs: number } => {
  const stats: Stats = statSync(path);
  return { size: stats.size, isFile: stats.isFile(), mtimeMs: Math.floor(stats.mtimeMs) };
};

function readEnvelope(path: string): Buffer {
  if (statSync(path).size > maxEnvelopeOctets) throw Object.assign(new Error(path), { code: "EFBIG", path });
  return readFileSync(path);
}

function readChannel(path: string | undefined): Outcome<Channel> {
  if (path === undefined) return done({ records: [], nextAttemptMs: 0 });
  const records = parseChannel(readEnvelope(path));
  if (records.kind !== "done") return records;
  return done({ records: records.value, nextAttemptMs: describe(path).mtimeMs });
}

/** Looks through a queue folder. Names that are no plain decimal numbers are passed over, as qmail does. */
export function openQmailQueue(queue: string): Outcome<QmailQueue> {
  let tried = queue;
  try {
    const paths = new Map<Place, Map<number, string>>();
    let split = 0;
    let splitTodo = false;
    for (const place of places) {
      tried = join(queue, place);
      const { files, folders } = listPlace(tried);
      if (files.size > maxMessages) return temporary("3.1", `${tried} holds more than ${maxMessages} messages`);
      paths.set(place, files);
      if (place === "mess") split = folders;
      if (place === "todo") splitTodo = folders > 0;
    }
    const of = (place: Place): ReadonlyMap<number, string> => paths.get(place) ?? new Map();
    const numbers = [...new Set([...of("mess").keys(), ...of("todo").keys(), ...of("info").keys()])];
    const known = new Set(numbers);
    const orphans = (["local", "remote", "bounce", "intd"] as const).flatMap((place) =>
      [...of(place)].filter(([number]) => !known.has(number)).map(([, path]) => path),
    );
    return done(new QmailQueue({ split, splitTodo, numbers: numbers.sort((a, b) => a - b), orphans }, paths));
  } catch (error) {
    return temporary("3.0", `cannot read ${tried}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}

/** The numbered files in a folder of the queue and in its numbered folders, and how many of those there are. */
function listPlace(folder: string): { files: Map<number, string>; folders: number } {
  const files = new Map<number, string>();
  let folders = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!isNumber(entry.name)) continue;
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) {
      files.set(Number(entry.name), path);
      continue;
    }
    folders++;
    for (const name of readdirSync(path)) if (isNumber(name)) files.set(Number(name), join(path, name));
  }
  return { files, folders };
}

const isNumber = (name: string): boolean => /^[0-9]{1,15}$/.test(name);
