import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { amongPeers } from "../setup.ts";
import { freePort, readMaildir, temporaryFolder, until } from "./server.ts";
import { greeting } from "./smtp-client.ts";

const [dovecotUid, dovenullUid, mailUid] = [61_301, 61_302, 61_303];

/** A whole Dovecot that takes mail by LMTP, everything it has in a folder of its own. */
export interface DovecotStore extends AsyncDisposable {
  readonly port: number;
  delivered(user: string): readonly string[];
}

/** Starts it with these users; those in `full` may keep no octet. Needs root, for its users and its mounts. */
export async function startDovecotStore(users: readonly string[], full: readonly string[]): Promise<DovecotStore> {
  const root = temporaryFolder();
  const port = await freePort();
  const log = join(root, "log");
  configure(root, port, users, full);
  const script = [
    'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group &&',
    'exec /usr/sbin/dovecot -F -c "$1/dovecot.conf"',
  ].join(" ");
  const [command = "", ...args] = amongPeers;
  const master = spawn(command, [...args, "-c", script, "sh", root], { stdio: ["ignore", "ignore", "pipe"] });
  let complained = "";
  master.stderr.on("data", (chunk: Buffer) => (complained += chunk.toString("latin1")));
  const exited = once(master, "exit");
  const stop = async (): Promise<void> => {
    if (master.exitCode === null && master.kill("SIGTERM")) await exited;
    rmSync(root, { recursive: true, force: true });
  };
  const serves = async (): Promise<boolean> => {
    if (master.exitCode !== null) throw new Error("Dovecot does not serve");
    return (await greeting(port))?.startsWith("220") ?? false;
  };
  await until("Dovecot", serves).catch(async (error: unknown) => {
    const said = complained + (existsSync(log) ? readFileSync(log, "latin1") : "");
    await stop();
    throw new Error(`${error}\n${said}`);
  });
  const delivered = (user: string) => readMaildir(join(root, "mail", user)).map(({ text }) => text);
  return { port, delivered, [Symbol.asyncDispose]: stop };
}

function configure(root: string, port: number, users: readonly string[], full: readonly string[]): void {
  const mail = join(root, "mail");
  for (const folder of ["run", "state", "mail"]) mkdirSync(join(root, folder));
  chownSync(mail, mailUid, mailUid);
  const entry = (user: string): string =>
    `${user}::${mailUid}:${mailUid}::${join(mail, user)}::${full.includes(user) ? "userdb_quota_rule=*:bytes=1" : ""}\n`;
  writeFileSync(join(root, "users"), [...users, ...full].map(entry).join(""));
  const account = (name: string, uid: number): string => `${name}:x:${uid}:${uid}::/nonexistent:/bin/false\n`;
  const names = { root: 0, nobody: 65_534, dovecot: dovecotUid, dovenull: dovenullUid, vmail: mailUid };
  writeFileSync(
    join(root, "passwd"),
    Object.entries(names)
      .map(([name, uid]) => account(name, uid))
      .join(""),
  );
  writeFileSync(
    join(root, "group"),
    Object.entries(names)
      .map(([name, uid]) => `${name}:x:${uid}:\n`)
      .join(""),
  );
  writeFileSync(
    join(root, "dovecot.conf"),
    [
      "protocols = lmtp",
      ...[`base_dir = ${join(root, "run")}`, `state_dir = ${join(root, "state")}`, `log_path = ${join(root, "log")}`],
      ...[
        "ssl = no",
        `mail_location = maildir:${mail}/%u`,
        "mail_plugins = quota",
        "postmaster_address = p@store.example",
      ],
      ...[
        `passdb {\n driver = static\n args = nopassword=y\n}\nuserdb {\n driver = passwd-file\n args = ${join(root, "users")}\n}`,
        "plugin {\n quota = count:User\n quota_vsizes = yes\n}",
      ],
      "mailbox_list_index = yes",
      `service lmtp {\n inet_listener lmtp {\n address = 127.0.0.1\n port = ${port}\n }\n}`,
      "",
    ].join("\n"),
  );
}
