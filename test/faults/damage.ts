/** A queue that was killed with mail in it, and what may have become of its files meanwhile. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { killAtOnce } from "../crash/freeze.ts";
import { countDelivered, queueEmpty, sendLoad } from "../support/load.ts";
import { seeded } from "../support/seeded.ts";
import { type Server, startServer, temporaryFolder } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

export const messages = 40;

export interface Victim extends Disposable {
  readonly root: string;
}

/** The folder of a server that has these messages in its queue. "killed": much of them in the log of the database. */
export async function makeVictim(end: "stopped" | "killed"): Promise<Victim> {
  const root = temporaryFolder();
  const server = await startServer({ folder: root, control: { concurrencylocal: "0\n" } });
  const { acknowledged } = await sendLoad(server.smtpPort, {
    messages,
    sessions: 4,
    forwardPath: () => "kept@localhost",
  });
  await (end === "stopped" ? server.stop() : killAtOnce(server));
  if (acknowledged.size !== messages) throw new Error("not all was taken");
  rmSync(join(root, "control/concurrencylocal"));
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

export interface Damage {
  readonly name: string;
  readonly do: (file: string) => void;
}

const pageOctets = 4_096;

/** Turns one bit round, of a page behind the first ones: those are the roots of the tables. */
export const flipBit = (seed: number): Damage => ({
  name: `one bit flipped (${seed})`,
  do(file) {
    const random = seeded(seed);
    const { size } = statSync(file);
    const at = Math.floor(size / 2 + (random() * size) / 2);
    const octet = Buffer.alloc(1);
    const fd = openSync(file, "r+");
    readSync(fd, octet, 0, 1, at);
    octet[0] = (octet[0] ?? 0) ^ (1 << Math.floor(random() * 8));
    writeSync(fd, octet, 0, 1, at);
    closeSync(fd);
  },
});

/** Overwrites the head of a page, where the file system or the disk put something else. */
export const spoilPage = (seed: number): Damage => ({
  name: `a page spoilt (${seed})`,
  do(file) {
    const half = Math.floor(statSync(file).size / pageOctets / 2);
    const page = half + Math.floor(seeded(seed)() * half);
    const fd = openSync(file, "r+");
    writeSync(fd, Buffer.alloc(16, 0xa5), 0, 16, page * pageOctets);
    closeSync(fd);
  },
});

const instead = (name: string, make: (file: string) => void): Damage => ({
  name,
  do(file) {
    rmSync(file, { recursive: true, force: true });
    make(file);
  },
});

export const empty: Damage = { name: "empty", do: (file) => truncateSync(file, 0) };
export const half: Damage = { name: "half", do: (file) => truncateSync(file, Math.floor(statSync(file).size / 2)) };
export const zeros = instead("zeros", (file) => writeFileSync(file, Buffer.alloc(65_536)));
export const text = instead("text", (file) => writeFileSync(file, "this is no data base\n".repeat(1_000)));
export const folder = instead("a folder", (file) => mkdirSync(file));
export const fifo = instead("a FIFO", (file) => void execFileSync("mkfifo", [file]));
export const link = instead("a symlink", (file) => symlinkSync("/etc/hostname", file));
export const closed: Damage = { name: "mode 000", do: (file) => chmodSync(file, 0) };
export const foreign: Damage = {
  name: "another's, and closed to us",
  do(file) {
    chownSync(file, 65_534, 65_534);
    chmodSync(file, 0o600);
  },
};

export interface Outcome {
  /** How many of the old messages were delivered. */
  readonly saved: number;
  /** One line for each that is there twice, or that nobody sent. */
  readonly wrong: readonly string[];
  /** How many were lost, at least, by the server's own words. */
  readonly told: number;
  /** What was set aside. */
  readonly aside: readonly string[];
  /** What the server printed, and its log. */
  readonly said: string;
}

/** Not the space that the queue keeps free: it makes that anew. */
export const isCopied = (path: string): boolean => !path.endsWith("/queue/reserve") && !statSync(path).isSocket();

/** Damages a copy of the victim, and looks at what a server makes of it. */
export async function startDamaged(victim: Victim, file: string, damage: Damage, tree?: string): Promise<Outcome> {
  const base = temporaryFolder();
  const root = join(base, "root");
  cpSync(victim.root, root, { recursive: true, filter: isCopied });
  damage.do(join(root, file));
  try {
    return await look(root, tree);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

/** Starts a server there, sends it one more message once it is `ready`, and looks at what is delivered. */
export async function look(root: string, tree?: string, ready?: (server: Server) => Promise<void>): Promise<Outcome> {
  await using server = await startServer({ root, ...(tree !== undefined && { tree }) });
  await ready?.(server);
  const client = await SmtpClient.open(server.smtpPort);
  const reply = await client.message("a@b.test", ["kept@localhost"], `X-Load: ${messages}\n\nnew\n`);
  client.close();
  const said = (): string => {
    const log = join(server.root, "log/current");
    const isFile = existsSync(log) && statSync(log).isFile();
    return server.output() + (isFile ? readFileSync(log, "latin1") : "");
  };
  if (!reply.startsWith("250")) return { saved: 0, wrong: [`answered: ${reply}`], told: 0, aside: [], said: said() };
  await queueEmpty(server);
  const delivered = countDelivered(server, ["kept"]);
  const wrong = [...delivered].flatMap(([n, copies]) =>
    n >= 0 && n <= messages && copies === 1 ? [] : [`message ${n} is there ${copies} times`],
  );
  if (!delivered.has(messages)) wrong.push("the new message is not there");
  const aside = readdirSync(join(server.root, "queue")).filter((name) => name.includes("corrupt"));
  const told = Number(/at least (\d+) could not be read/.exec(said())?.[1] ?? 0);
  return { saved: delivered.size - Number(delivered.has(messages)), wrong, told, aside, said: said() };
}
