import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { unlessRoot } from "../support/missing.ts";
import { freePort, type ProgramStatus, runPostern, temporaryFolder, until } from "../support/server.ts";
import { greeting, SmtpClient } from "../support/smtp-client.ts";

const postern = join(import.meta.dirname, "../../bin/postern");
const accounts = ["smtpd", "queue", "directory", "remote", "log", "mail", "alias"].map((name) => `postern-${name}`);
const person = `postern-t${process.pid}`;

const exists = (account: string): boolean => readFileSync("/etc/passwd", "utf8").includes(`\n${account}:`);
const uidOf = (account: string): number => Number(execFileSync("id", ["-u", account], { encoding: "utf8" }));

/** Follows what `postern start` says it misses, as an administrator would. */
async function startAsTold(root: string): Promise<ChildProcess> {
  const told = await runPostern(["start", "--root", root]);
  if (accounts.every(exists)) assert.match(told.stderr, /control\/me is missing/);
  writeFileSync(join(root, "etc/postern/control/me"), "mx.test\n");
  if (!accounts.every(exists)) {
    const { code, stderr } = await runPostern(["start", "--root", root]);
    assert.equal(code, 100);
    const commands = [...stderr.matchAll(/create it with: (useradd [^\n]+)/g)].map(([, command = ""]) => command);
    assert.equal(commands.length, accounts.filter((account) => !exists(account)).length);
    for (const command of commands) execFileSync("sh", ["-c", command]);
  }
  return spawn(postern, ["start", "--root", root], { stdio: ["ignore", "inherit", "inherit"] });
}

test("postern start as root: a user for each program, mail to system accounts as their users", {
  skip: unlessRoot(),
}, async () => {
  const root = temporaryFolder();
  const port = await freePort();
  const control = join(root, "etc/postern/control");
  const made = accounts.filter((account) => !exists(account));
  const home = join(root, "home", person);
  mkdirSync(control, { recursive: true });
  mkdirSync(join(root, "home"));
  const files = {
    smtplisten: `127.0.0.1:${port}`,
    submissionlisten: "",
    mailboxdomains: "boxes.test:create",
    virtualdomains: `virtual.test:${person}-v`,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(control, name), `${text}\n`);
  execFileSync("useradd", ["--create-home", "--home-dir", home, "--shell", "/bin/sh", person]);
  const uid = uidOf(person);
  for (const name of ["", "new", "cur", "tmp"]) {
    mkdirSync(join(home, "Maildir", name), { recursive: true, mode: 0o700 });
    chownSync(join(home, "Maildir", name), uid, uid);
  }
  writeFileSync(join(home, ".qmail-run"), "|id -u >who-ran; env >environment; cat >message\n");
  writeFileSync(join(home, ".qmail-v-default"), "./Maildir/\n");
  for (const name of [".qmail-run", ".qmail-v-default"]) chmodSync(join(home, name), 0o600);
  for (const name of [".qmail-run", ".qmail-v-default"]) chownSync(join(home, name), uid, uid);
  const server = await startAsTold(root);
  try {
    await until("service", async () => (await greeting(port))?.startsWith("220") ?? false, 30_000);
    const { stdout } = await runPostern(["status", "--root", root, "--json"]);
    const programs = (JSON.parse(stdout) as { programs: ProgramStatus[] }).programs;
    const uids = new Map(programs.map((each) => [each.name, each.uid]));
    assert.equal(uids.get("smtpd"), uidOf("postern-smtpd"));
    assert.equal(uids.get("queue"), uidOf("postern-queue"));
    assert.equal(uids.get("directory"), uidOf("postern-directory"));
    assert.equal(uids.get("remote"), uidOf("postern-remote"));
    assert.equal(uids.get("logger"), uidOf("postern-log"));
    assert.equal(uids.get("local"), 0);

    const client = await SmtpClient.open(port);
    const to = [`${person}@mx.test`, `${person}-run@mx.test`, "anybody@virtual.test", "new@boxes.test"];
    assert.match(await client.message("s@far.test", to, "Subject: x\n\nbody\n"), /^250 /);
    assert.match(await client.message("s@far.test", ["x@elsewhere.test"], "\n"), /^550 5\.7\.1/);
    await client.quit();
    await until("both messages", () => readdirSync(join(home, "Maildir/new")).length === 2);
    await until(
      "the program's end",
      () => existsSync(join(home, "message")) && readFileSync(join(home, "message"), "utf8").includes("body"),
    );
    assert.equal(Number(readFileSync(join(home, "who-ran"), "utf8")), uid);
    const environment = readFileSync(join(home, "environment"), "utf8");
    assert.match(environment, /^EXT=run$/m);
    assert.doesNotMatch(environment, /NODE_OPTIONS/);
    for (const [args, input] of [
      [["domain", "add", "accounts.test"], ""],
      [["user", "add", "joe@accounts.test"], "secret\n"],
    ] as const) {
      const { code, stderr } = await runPostern([...args, "--root", root], input);
      assert.equal(code, 0, stderr);
    }
    for (const name of ["accounts.sqlite", "accounts.cdb"]) {
      const { uid: owner, mode } = statSync(join(root, "var/lib/postern/directory", name));
      assert.deepEqual([owner, mode & 0o077], [uidOf("postern-directory"), 0], name);
    }
    const toAccount = await SmtpClient.open(port);
    assert.match(await toAccount.message("s@far.test", ["joe@accounts.test"], "Subject: x\n\nbody\n"), /^250 /);
    await toAccount.quit();
    const mailbox = join(root, "var/lib/postern/mail/accounts.test/joe/Maildir/new");
    await until("the account's mail", () => existsSync(mailbox) && readdirSync(mailbox).length === 1);
    assert.equal(statSync(mailbox).uid, uidOf("postern-mail"));
    await until("the virtual mailbox", () => existsSync(join(root, "var/lib/postern/mail/boxes.test/new/Maildir/new")));
  } finally {
    server.kill("SIGTERM");
    await once(server, "exit");
    execFileSync("userdel", [person]);
    for (const account of made) execFileSync("userdel", [account]);
    rmSync(root, { recursive: true, force: true });
  }
  assert.equal(server.exitCode, 0);
});
