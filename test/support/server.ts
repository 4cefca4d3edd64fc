import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The tree whose bin/postern and dist/ are tested: this one, or another that is named. */
export const tree = process.env.POSTERN_TREE ?? join(import.meta.dirname, "../..");
const postern = join(tree, "bin/postern");

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One program as `postern status --json` shows it. */
export interface ProgramStatus {
  readonly name: string;
  readonly pid: number;
  readonly uid: number;
  readonly restarts: number;
  readonly memoryKiB: number;
}

export interface Server {
  readonly root: string;
  readonly smtpPort: number;
  readonly submissionPort: number;
  readonly smtpsPort: number;
  readonly process: ChildProcess;
  /** What it printed so far. */
  readonly output: () => string;
  postern(args: readonly string[], input?: string): Promise<Ran>;
  status(): Promise<readonly ProgramStatus[]>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL to supervise and every program it has, as a power switch would. */
  killAll(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ServerOptions {
  /** A folder that was used before, with the ports it says; kept. Else a fresh one, removed at the end. */
  readonly root?: string;
  /** A fresh folder to use, kept. */
  readonly folder?: string;
  /** A tree with other code than this one's: see `mutant.ts`. */
  readonly tree?: string;
  /** A command to start it with, such as `ip netns exec NAME`. */
  readonly within?: readonly string[];
  readonly control?: Readonly<Record<string, string>>;
  /** Written into the folder before the start, by path below it. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Not one of those that the kernel gives to clients: one of them might have it when a server comes back to it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "postern-test-"));
  chmodSync(folder, 0o755);
  return folder;
}

/** Runs `bin/postern` with arguments and, on its standard input, `input`. */
export function runPostern(args: readonly string[], input = "", env: NodeJS.ProcessEnv = process.env): Promise<Ran> {
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const child = execFile(postern, args, { env, maxBuffer: 2 ** 28 }, (_error, stdout, stderr) =>
    resolve({ code: child.exitCode ?? -1, stdout, stderr }),
  );
  child.stdin?.on("error", () => {});
  child.stdin?.end(input);
  return promise;
}

/** Starts a whole server in embedded mode and resolves when it serves. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const root = options.root ?? options.folder ?? temporaryFolder();
  const smtpPort = options.root ? portIn(root, "smtplisten") : await freePort();
  const submissionPort = options.root ? portIn(root, "submissionlisten") : await freePort();
  const smtpsPort = options.root ? portIn(root, "smtpslisten") : await freePort();
  const control: Record<string, string> = options.root
    ? {}
    : {
        me: "localhost\n",
        mailboxdomains: "localhost:create\n",
        locals: "",
        relayclients: "127.0.0.0/8\n::1\n",
        smtplisten: `127.0.0.1:${smtpPort}\n`,
        submissionlisten: `127.0.0.1:${submissionPort}\n`,
        smtpslisten: `127.0.0.1:${smtpsPort}\n`,
        nameservers: "127.0.0.1:9\n",
      };
  mkdirSync(join(root, "control"), { recursive: true });
  for (const [name, text] of Object.entries({ ...control, ...options.control }))
    writeFileSync(join(root, "control", name), text);
  for (const [name, text] of Object.entries(options.files ?? {})) {
    mkdirSync(join(root, name, ".."), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const start = [options.tree ? join(options.tree, "bin/postern") : postern, "start", "--embedded", "--root", root];
  const [command = postern, ...args] = [...(options.within ?? []), ...start];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  child.stdout?.on("data", (chunk) => (printed += chunk));
  child.stderr?.on("data", (chunk) => (printed += chunk));
  const exited = once(child, "exit");

  const status = async (): Promise<readonly ProgramStatus[]> => {
    const { stdout } = await runPostern(["status", "--root", root, "--json"]);
    return (JSON.parse(stdout) as { programs: ProgramStatus[] }).programs;
  };
  const stop = async (): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await exited;
    return child.exitCode;
  };
  const killAll = async (): Promise<void> => {
    for (const pid of descendants(child.pid ?? 0)) kill(pid);
    await exited;
  };
  const server: Server = {
    root,
    smtpPort,
    submissionPort,
    smtpsPort,
    process: child,
    output: () => printed,
    postern: (args, input) => runPostern([...args, "--root", root], input),
    status,
    stop,
    killAll,
    async [Symbol.asyncDispose]() {
      await stop();
      if (!options.root && !options.folder) rmSync(root, { recursive: true, force: true });
    },
  };
  // In another namespace nobody of ours can greet it.
  const begun = options.within ? until("its start", () => printed.includes("Ctrl-C"), startMs) : serving(server);
  await begun.catch(async (error: unknown) => {
    await killAll();
    throw error;
  });
  return server;
}

/** A busy machine takes so long. */
const startMs = 120_000;

/** The greeting on the SMTP port is the only proof that it serves. */
async function serving(server: Server): Promise<void> {
  const { greeting } = await import("./smtp-client.ts");
  for (const deadline = Date.now() + startMs; Date.now() < deadline; ) {
    if (server.process.exitCode !== null) break;
    if ((await greeting(server.smtpPort))?.startsWith("220")) return;
  }
  throw new Error(`the server does not serve:\n${server.output()}`);
}

/** 0 in a folder made by hand, without that file. */
const portIn = (root: string, name: string): number =>
  !existsSync(join(root, "control", name))
    ? 0
    : Number(
        readFileSync(join(root, "control", name), "utf8")
          .trim()
          .split(":")
          .at(-1),
      );

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // already gone
  }
}

/** `pid` and all below it, parents first. */
export function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    } catch {
      // ended meanwhile
    }
  }
  const found = [pid];
  for (const each of found) found.push(...(children.get(each) ?? []));
  return found;
}

/** The memory of the server and all its programs, shared pages counted in proportion. */
export function memoryKiB(server: Server): number {
  return descendants(server.process.pid ?? 0).reduce((sum, pid) => sum + pssKiB(pid), 0);
}

function pssKiB(pid: number): number {
  try {
    return Number(/^Pss: +(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0; // ended meanwhile
  }
}

/** The messages in a Maildir: file name and octets, from new/ and cur/. */
export function readMaildir(folder: string): { readonly name: string; readonly text: string }[] {
  return ["new", "cur"].flatMap((sub) => {
    const path = join(folder, sub);
    if (!existsSync(path)) return [];
    return readdirSync(path).map((name) => ({ name, text: readFileSync(join(path, name), "latin1") }));
  });
}

export const mailboxOf = (server: { readonly root: string }, localPart: string): string =>
  join(server.root, "mail/localhost", localPart, "Maildir");

/** Resolves once `condition` holds; asks again as fast as the loop turns, at most `limitMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 60_000,
): Promise<void> {
  for (const deadline = Date.now() + limitMs; ; ) {
    if (await condition()) return;
    if (Date.now() > deadline) throw new Error(`waited ${limitMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
