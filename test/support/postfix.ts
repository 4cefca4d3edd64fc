import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { amongPeers } from "../setup.ts";
import { freePort, readMaildir, temporaryFolder, until } from "./server.ts";
import { greeting } from "./smtp-client.ts";

const postfixUid = 61_201;
const postdropGid = 61_202;
const mailUid = 61_203;

/** A real Postfix for `postfix.example`, everything it has in a folder of its own. */
export interface Postfix extends AsyncDisposable {
  readonly port: number;
  /** What it delivered, all recipients' mail; each message says for whom in X-Original-To. */
  delivered(): readonly string[];
  /** Its log. */
  log(): string;
}

/** Starts it with more of main.cf, and resolves when it serves. Needs root, for its users and its mounts. */
export async function startPostfix(settings: Readonly<Record<string, string>> = {}): Promise<Postfix> {
  const root = temporaryFolder();
  const port = await freePort();
  writeConfiguration(root, port, settings);
  const script = [
    'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group &&',
    'exec /usr/lib/postfix/sbin/master -c "$1/etc" -d',
  ].join(" ");
  const [command = "", ...args] = amongPeers;
  const master = spawn(command, [...args, "-c", script, "sh", root], { stdio: ["ignore", "ignore", "pipe"] });
  let complained = "";
  master.stderr?.on("data", (chunk: Buffer) => (complained += chunk.toString("latin1")));
  const exited = once(master, "exit");
  const logFile = join(root, "var/log");
  const log = (): string => complained + (existsSync(logFile) ? readFileSync(logFile, "latin1") : "");
  const stop = async (): Promise<void> => {
    master.kill("SIGTERM");
    await exited;
    rmSync(root, { recursive: true, force: true });
  };
  const serves = async (): Promise<boolean> => {
    if (master.exitCode !== null) throw new Error(`Postfix does not serve:\n${log()}`);
    return (await greeting(port))?.startsWith("220") ?? false;
  };
  await until("Postfix", serves).catch(async (error: unknown) => {
    const said = log();
    await stop();
    throw new Error(`${error}\n${said}`);
  });
  const delivered = (): readonly string[] => readMaildir(join(root, "mail/all")).map(({ text }) => text);
  return { port, log, delivered, [Symbol.asyncDispose]: stop };
}

const queues = "active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace";

function writeConfiguration(root: string, port: number, settings: Readonly<Record<string, string>>): void {
  const own = (folder: string, uid: number): void => {
    mkdirSync(join(root, folder), { recursive: true });
    chownSync(join(root, folder), uid, uid);
  };
  for (const folder of ["etc", "var/queue"]) own(folder, 0);
  for (const folder of ["var/data", ...queues.split(" ").map((name) => `var/queue/${name}`)]) own(folder, postfixUid);
  own("var/queue/pid", 0);
  own("mail", mailUid);
  const main: Readonly<Record<string, string>> = {
    ...{ compatibility_level: "3.6", myhostname: "postfix.example", mydestination: "" },
    ...{ queue_directory: join(root, "var/queue"), data_directory: join(root, "var/data") },
    ...{ maillog_file: join(root, "var/log"), maillog_file_prefixes: root, meta_directory: join(root, "etc") },
    ...{ inet_interfaces: "127.0.0.1", inet_protocols: "ipv4", mynetworks: "127.0.0.0/8" },
    ...{ smtp_dns_support_level: "disabled", smtp_host_lookup: "native", default_process_limit: "5" },
    ...{ alias_maps: "", local_recipient_maps: "", master_service_disable: "" },
    virtual_mailbox_domains: "postfix.example",
    virtual_mailbox_base: join(root, "mail"),
    virtual_mailbox_maps: "static:all/",
    virtual_uid_maps: `static:${mailUid}`,
    virtual_gid_maps: `static:${mailUid}`,
    ...settings,
  };
  const lines = (entries: Readonly<Record<string, string>>): string =>
    Object.entries(entries)
      .map(([name, value]) => `${name} = ${value}\n`)
      .join("");
  writeFileSync(join(root, "etc/main.cf"), lines(main));
  writeFileSync(join(root, "etc/dynamicmaps.cf"), "");
  writeFileSync(join(root, "etc/master.cf"), `127.0.0.1:${port} inet n - n - - smtpd\n${services}`);
  const account = (name: string, uid: number): string => `${name}:x:${uid}:${uid}::/nonexistent:/bin/false\n`;
  const accounts = account("root", 0) + account("postfix", postfixUid) + account("nobody", 65_534);
  writeFileSync(join(root, "passwd"), accounts);
  writeFileSync(join(root, "group"), `root:x:0:\npostfix:x:${postfixUid}:\npostdrop:x:${postdropGid}:\n`);
}

const services = [
  "cleanup unix n - n - 0 cleanup",
  "qmgr unix n - n 300 1 qmgr",
  "rewrite unix - - n - - trivial-rewrite",
  "bounce unix - - n - 0 bounce",
  "defer unix - - n - 0 bounce",
  "trace unix - - n - 0 bounce",
  "proxymap unix - - n - - proxymap",
  "smtp unix - - n - - smtp",
  "lmtp unix - - n - - lmtp",
  "error unix - - n - - error",
  "retry unix - - n - - error",
  "virtual unix - n n - - virtual",
  "anvil unix - - n - 1 anvil",
  "scache unix - - n - 1 scache",
  "tlsmgr unix - - n 1000? 1 tlsmgr",
  "flush unix n - n 1000? 0 flush",
  "postlog unix-dgram n - n - 1 postlogd",
  "",
].join("\n");
