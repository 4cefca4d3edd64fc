import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { accountNames } from "../../src/programs/supervise/walls.ts";
import { peers } from "../setup.ts";
import { run } from "./commands.ts";
import { makeSelfSigned } from "./self-signed.ts";
import { type Ran, temporaryFolder, tree, until } from "./server.ts";

const firstUid = 61_401;
const [dovecotUid, dovenullUid, systemUid] = [61_301, 61_302, 61_303];
/** The user of the system; the home is among what others cannot see. */
export const systemUser = "sys";
export const systemHome = "var/lib/sys";

/**
 * A host of its own, as far as files, users and the network go, with Postern on port 25 and 995 and, by the configuration
 * that is shipped, Dovecot on 993.
 */
export interface DovecotSite extends AsyncDisposable {
  /** What is / there, for what was changed. */
  readonly root: string;
  uidOf(user: string): number;
  /** Runs a command there; no output but its own. */
  run(command: string, args: readonly string[], input?: string): Promise<Ran>;
  postern(args: readonly string[], input?: string): Promise<Ran>;
  /** What Dovecot has logged. */
  log(): string;
}

/** Starts it with these control files besides, and one user of the system, with a Maildir. Needs root. */
export async function startDovecotSite(control: Readonly<Record<string, string>>): Promise<DovecotSite> {
  const root = temporaryFolder();
  writeSite(root, control);
  const host = spawn(
    "unshare",
    ["--mount", "--net", "--propagation", "private", "sh", "-c", begin, "sh", root, peers],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let printed = "";
  for (const stream of [host.stdout, host.stderr]) stream.on("data", (chunk: Buffer) => (printed += chunk));
  const hostExited = once(host, "exit");
  let dovecot: ChildProcess | undefined;
  const there = (): string[] => ["--target", String((dovecot ?? host).pid), "--mount", "--net"];
  const logFile = join(root, "var/log/dovecot");
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, "latin1") : "");
  const stop = async (): Promise<void> => {
    if (dovecot && dovecot.exitCode === null && dovecot.kill("SIGTERM")) await once(dovecot, "exit");
    if (host.exitCode === null && host.kill("SIGTERM")) await hostExited;
    rmSync(root, { recursive: true, force: true });
  };
  const site: DovecotSite = {
    root,
    uidOf,
    log,
    run: (command, args, input) => run("nsenter", [...there(), command, ...args], input),
    postern: (args, input) => site.run("/usr/bin/postern", args, input),
    [Symbol.asyncDispose]: stop,
  };
  const starts = async (): Promise<void> => {
    await until("Postern", () => {
      if (host.exitCode !== null) throw new Error("Postern does not serve");
      return printed.includes("SMTP on");
    });
    dovecot = spawn("nsenter", [...there(), "dovecot", "-F"], { stdio: ["ignore", "ignore", "pipe"] });
    dovecot.stderr?.on("data", (chunk: Buffer) => (printed += chunk));
    await until("Dovecot", () => {
      if (dovecot?.exitCode !== null) throw new Error("Dovecot does not serve");
      return log().includes("starting up");
    });
  };
  await starts().catch(async (error: unknown) => {
    const said = printed + log();
    await stop();
    throw new Error(`${error}\n${said}`);
  });
  return site;
}

const uidOf = (user: string): number =>
  user === systemUser ? systemUid : firstUid + (accountNames as readonly string[]).indexOf(user);

/** What the site changes lies over what the machine has. */
const begin = [
  'mount -t overlay overlay -o "ro,lowerdir=$1/usr:$2/usr:/usr" /usr',
  'mount -t overlay overlay -o "ro,lowerdir=$1/etc:$2/etc:/etc" /etc',
  "for folder in etc/postern var/lib var/log run; do mount --bind $1/$folder /$folder || exit 1; done",
  "ip link set lo up",
  "exec /usr/bin/postern start",
].join(" && ");

/** All clients are at one address here, and Dovecot would keep the next waiting for the faults of the one before. */
const withoutDelays =
  "auth_failure_delay = 0\nservice anvil {\n unix_listener anvil-auth-penalty {\n mode = 0\n }\n}\n";

function writeSite(root: string, control: Readonly<Record<string, string>>): void {
  const write = (path: string, text: string, mode = 0o644): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { mode });
  };
  const settings = {
    me: "mail.example.org\n",
    locals: "mail.example.org\n",
    smtplisten: "127.0.0.1:25\n",
    submissionlisten: "",
    authsocket: "1\n",
    pop3slisten: "127.0.0.1:995\n",
    nameservers: "127.0.0.1:9\n",
    ...control,
  };
  for (const [name, text] of Object.entries(settings)) write(`etc/postern/control/${name}`, text);
  const { key, cert } = makeSelfSigned("mail.example.org");
  write("etc/postern/tls/mail.example.org/fullchain.pem", cert);
  write("etc/postern/tls/mail.example.org/privkey.pem", key, 0o600);
  const users = [
    ["root", 0],
    ["nobody", 65_534],
    ["dovecot", dovecotUid],
    ["dovenull", dovenullUid],
    ...accountNames.map((name) => [name, uidOf(name)] as const),
  ] as const;
  const line = (name: string, uid: number, home: string): string => `${name}:x:${uid}:${uid}::${home}:/bin/sh\n`;
  const passwd = users.map(([name, uid]) => line(name, uid, "/nonexistent"));
  write("etc/passwd", passwd.join("") + line(systemUser, systemUid, `/${systemHome}`));
  write("etc/group", users.map(([name, gid]) => `${name}:x:${gid}:\n`).join(""));
  for (const folder of ["usr/bin", "var/lib/dovecot", "var/log", "run", "etc/dovecot"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  for (const folder of ["", "Maildir", "Maildir/new", "Maildir/cur", "Maildir/tmp"]) {
    mkdirSync(join(root, systemHome, folder), { recursive: true, mode: 0o700 });
    chownSync(join(root, systemHome, folder), systemUid, systemUid);
  }
  for (const name of ["postern", "postern-checkpassword"]) {
    symlinkSync(join(tree, "bin", name), join(root, "usr/bin", name));
  }
  const shipped = join(tree, "packaging/dovecot");
  for (const name of readdirSync(shipped)) copyFileSync(join(shipped, name), join(root, "etc/dovecot", name));
  write("etc/dovecot/local.conf", `log_path = /var/log/dovecot\nauth_verbose = yes\n${withoutDelays}`);
}
