import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../support/commands.ts";
import {
  freePort,
  type ProgramStatus,
  type Ran,
  readMaildir,
  runPostern,
  temporaryFolder,
  tree,
  until,
} from "../support/server.ts";
import { greeting, SmtpClient } from "../support/smtp-client.ts";

const programs = ["smtpd", "queue", "directory", "remote", "log", "mail", "alias", "hook"];
const firstProgramUid = 61_001;
const firstUserUid = 61_101;

export interface Ended {
  readonly recipient: string;
  readonly result: "success" | "deferral" | "failure";
  readonly text: string;
}

/** A whole server as root, each program its own user, with users of its own: its /etc/passwd is seen by nobody else. */
export interface Production extends AsyncDisposable {
  readonly root: string;
  readonly port: number;
  readonly process: ChildProcess;
  uidOf(user: string): number;
  homeOf(user: string): string;
  /** Writes a file of a user's, in a folder of his; `mode` 0600 unless told otherwise. */
  write(user: string, path: string, text: string, mode?: number): void;
  /** Gives a path to a user; a link itself, not what it points to. */
  give(user: string, path: string): void;
  /** A shell of that user's, with no more of an environment than told. */
  as(user: string, script: string, env?: NodeJS.ProcessEnv, input?: string): Promise<Ran>;
  status(): Promise<readonly ProgramStatus[]>;
  /** Mail from a stranger; the reply to its end. */
  send(forwardPaths: readonly string[], text?: string, reversePath?: string): Promise<string>;
  /** All deliveries that ended, as the log has them. */
  ended(): readonly Ended[];
  /** The last delivery to this local part, once there is one. */
  endOf(localPart: string): Promise<Ended>;
  mailOf(user: string): readonly string[];
}

export interface ProductionOptions {
  readonly users: readonly string[];
  readonly control?: Readonly<Record<string, string>>;
  /** A tree with other code than this one's: see `mutant.ts`. */
  readonly tree?: string;
  /** Called with all homes made, and before the start. */
  readonly prepare?: (production: Pick<Production, "root" | "homeOf" | "uidOf" | "write" | "give">) => void;
}

/** Starts it, and resolves when it serves. Needs root. */
export async function startProduction(options: ProductionOptions): Promise<Production> {
  const root = temporaryFolder();
  const port = await freePort();
  const uids = new Map(options.users.map((user, at) => [user, firstUserUid + at]));
  const uidOf = (user: string): number => uids.get(user) ?? 0;
  const homeOf = (user: string): string => join(root, "home", user);
  const give = (user: string, path: string): void => lchownSync(path, uidOf(user), uidOf(user));
  const write = (user: string, path: string, text: string, mode = 0o600): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
    give(user, path);
  };
  writeSystem(root, port, options, uidOf, homeOf);
  for (const user of options.users) makeHome(homeOf(user), uidOf(user));
  options.prepare?.({ root, homeOf, uidOf, write, give });
  const server = start(root, options.tree ?? tree);
  let printed = "";
  for (const stream of [server.stdout, server.stderr]) stream?.on("data", (chunk) => (printed += chunk));
  const exited = once(server, "exit");
  const serves = async (): Promise<boolean> => {
    if (server.exitCode !== null) throw new Error(`the server does not serve:\n${printed}`);
    return (await greeting(port))?.startsWith("220") ?? false;
  };
  await until("service", serves, 60_000).catch((error: unknown) => {
    server.kill("SIGKILL");
    throw new Error(`${error}\n${printed}`);
  });
  const ended = (): readonly Ended[] => readEnded(join(root, "var/log/postern/current"));
  return {
    ...{ root, port, process: server, uidOf, homeOf, write, give, ended },
    as: (user, script, env = {}, input = "") => shell(uidOf(user), homeOf(user), script, env, input),
    async status() {
      const { stdout } = await runPostern(["status", "--root", root, "--json"]);
      return (JSON.parse(stdout) as { programs: ProgramStatus[] }).programs;
    },
    async send(forwardPaths, text = "Subject: x\n\nbody\n", reversePath = "s@far.example") {
      const client = await SmtpClient.open(port);
      const reply = await client.message(reversePath, forwardPaths, text);
      await client.quit();
      return reply;
    },
    async endOf(localPart) {
      const last = (): Ended | undefined =>
        ended().findLast(({ recipient }) => recipient === `${localPart}@mx.example`);
      await until(`the end of a delivery to ${localPart}`, () => last() !== undefined);
      return last() ?? { recipient: "", result: "failure", text: "" };
    },
    mailOf: (user) => readMaildir(join(homeOf(user), "Maildir")).map(({ text }) => text),
    async [Symbol.asyncDispose]() {
      server.kill("SIGTERM");
      await exited;
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function writeSystem(
  root: string,
  port: number,
  { users, control }: ProductionOptions,
  uidOf: (user: string) => number,
  homeOf: (user: string) => string,
): void {
  const files: Record<string, string> = {
    me: "mx.example",
    locals: "mx.example",
    smtplisten: `127.0.0.1:${port}`,
    submissionlisten: "",
    relayclients: "192.0.2.1",
    recipientcheck: "accept", // delivery is what these attack: RCPT would refuse half of it
    nameservers: "127.0.0.1:9",
    ...control,
  };
  for (const folder of ["etc/postern/control", "home"]) mkdirSync(join(root, folder), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, "etc/postern/control", name), `${text}\n`);
  const line = (name: string, uid: number, home: string): string => `${name}:x:${uid}:${uid}::${home}:/bin/sh\n`;
  const passwd = [
    line("root", 0, "/root"),
    ...programs.map((name, at) => line(`postern-${name}`, firstProgramUid + at, join(root, "var/lib/postern"))),
    ...users.map((user) => line(user, uidOf(user), homeOf(user))),
  ];
  writeFileSync(join(root, "passwd"), passwd.join(""));
}

function makeHome(home: string, uid: number): void {
  for (const folder of ["", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"]) {
    mkdirSync(join(home, folder), { recursive: true, mode: 0o700 });
    chownSync(join(home, folder), uid, uid);
  }
}

/** In a mount namespace of its own, with our passwd over the system's. */
function start(root: string, code: string): ChildProcess {
  const script = 'mount --bind "$1/passwd" /etc/passwd && exec "$2/bin/postern" start --root "$1"';
  const args = ["--mount", "--propagation", "private", "sh", "-c", script, "sh", root, code];
  return spawn("unshare", args, { stdio: ["ignore", "pipe", "pipe"] });
}

function shell(uid: number, home: string, script: string, env: NodeJS.ProcessEnv, input: string): Promise<Ran> {
  const id = String(uid);
  const bare = Object.entries({ PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home, ...env });
  const settings = bare.map(([name, value]) => `${name}=${value}`);
  const become = ["--reuid", id, "--regid", id, "--clear-groups", "env", "-i", "-C", home, ...settings];
  return run("setpriv", [...become, "sh", "-c", script], input);
}

interface Line {
  readonly event: string;
  readonly delivery: number;
  readonly recipient: string;
  readonly result: Ended["result"];
  readonly text: string;
}

function readEnded(path: string): readonly Ended[] {
  if (!existsSync(path)) return [];
  const recipients = new Map<number, string>();
  const ended: Ended[] = [];
  for (const text of readFileSync(path, "utf8").split("\n").slice(0, -1)) {
    const line = JSON.parse(text) as Line;
    if (line.event === "starting") recipients.set(line.delivery, line.recipient);
    if (line.event !== "delivery") continue;
    ended.push({ recipient: recipients.get(line.delivery) ?? "", result: line.result, text: line.text });
  }
  return ended;
}

/** What others could see of a file: all that must not change. A link is not followed. */
export function fingerprint(path: string): string {
  const { ino, mode, uid, gid, size, nlink, mtimeMs } = lstatSync(path);
  return [ino, mode.toString(8), uid, gid, size, nlink, mtimeMs].join(" ");
}

/** Adds a line to a file that a test looks at again later. */
export const note = (path: string, line: string): void => appendFileSync(path, `${line}\n`);
