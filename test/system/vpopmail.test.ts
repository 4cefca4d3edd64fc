import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { Talk } from "../dialogues/talk.ts";
import { without } from "../support/missing.ts";
import { freePort, runPostern, type Server, startServer, temporaryFolder, until } from "../support/server.ts";

const skip = without("openssl", "cdb");
const vpopmail = temporaryFolder();
const root = temporaryFolder();
const port = await freePort();
let server: Server;
let said = "";

const crypt = (form: "-1" | "-6", password: string): string =>
  execFileSync("openssl", ["passwd", form, password], { encoding: "latin1" }).trim();

interface Entry {
  readonly name: string;
  readonly hash?: string;
  readonly flags?: number;
  readonly quota?: string;
  readonly clear?: string;
}
const many = Array.from({ length: 200 }, (_, n) => `user${n}`);
const [noPop, noImap, noSmtp] = [0x02, 0x08, 0x800];

/** What vpopmail 5.4 leaves behind: vpasswd and vpasswd.cdb, a second folder for many domains, clear passwords or none. */
function writeVpopmail(): void {
  const sha = crypt("-6", "secret");
  const entries: readonly Entry[] = [
    { name: "ann", hash: sha, quota: "10485760S,1000C" },
    { name: "bob", hash: crypt("-1", "secret") },
    { name: "cid", hash: crypt("-1", "secret"), clear: "secret" },
    { name: "dan", hash: sha, flags: noPop | noImap | noSmtp },
    { name: "eve", hash: sha, flags: noPop },
  ];
  writeDomain("domains/pop.test", entries);
  writeDomain(
    "domains/0/many.test",
    many.map((name) => ({ name, hash: sha })),
    "cdb alone",
  );
}

function writeDomain(path: string, entries: readonly Entry[], form?: "cdb alone"): void {
  const folder = join(vpopmail, path);
  for (const { name } of entries) {
    for (const part of ["new", "cur", "tmp"]) mkdirSync(join(folder, name, "Maildir", part), { recursive: true });
  }
  const rest = ({ name, hash = "", flags = 0, quota = "NOQUOTA", clear = "" }: Entry): string =>
    `${hash}:1:${flags}:${name}:${join(folder, name)}:${quota}${clear === "" ? "" : `:${clear}`}`;
  writeFileSync(join(folder, ".qmail-default"), "|/home/vpopmail/bin/vdelivermail '' bounce-no-mailbox\n");
  writeFileSync(join(folder, ".dir-control"), "0\n0\n");
  const records = entries.map((entry) => `+${entry.name.length},${rest(entry).length}:${entry.name}->${rest(entry)}\n`);
  execFileSync("cdb", ["-c", join(folder, "vpasswd.cdb")], { input: `${records.join("")}\n` });
  if (form === "cdb alone") return;
  writeFileSync(join(folder, "vpasswd"), entries.map((entry) => `${entry.name}:${rest(entry)}\n`).join(""));
}

before(async () => {
  if (skip) return;
  writeVpopmail();
  const domain = join(vpopmail, "domains/pop.test");
  const assign = ["ann", "cid", "dan", "eve"].map((name) => `=pop.test-${name}:vpopmail:0:0:${join(domain, name)}:::`);
  const files: Readonly<Record<string, string>> = {
    // Somebody else's, of the same name: mail for ann in locals.
    "users/assign": [...assign, `=ann:ann:0:0:${join(root, "homes/ann")}:::`, ".", ""].join("\n"),
    "homes/ann/Maildir/new/1.a.host": "Subject: ann's own\n\n",
    "homes/ann/Maildir/cur/.keep": "",
    "homes/ann/Maildir/tmp/.keep": "",
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  server = await startServer({
    folder: root,
    control: {
      locals: "localhost\n",
      mailboxdomains: "",
      virtualdomains: "pop.test:pop.test\n",
      pop3listen: `127.0.0.1:${port}\n`,
      clearlogin: "1\n",
    },
  });
  const { code, stdout, stderr } = await server.postern(["user", "import", "--vpopmail", vpopmail]);
  assert.equal(code, 0, stderr);
  said = stdout;
});
after(async () => {
  await server?.stop();
  for (const folder of [vpopmail, root]) rmSync(folder, { recursive: true, force: true });
});

/** The answers to USER, PASS and UIDL, up to the first that is none. */
async function readMail(user: string, password = "secret"): Promise<string> {
  const talk = await Talk.open(port);
  talk.send(`USER ${user}\r\nPASS ${password}\r\n`);
  await talk.line();
  await talk.line();
  const login = (await talk.line()) ?? "";
  if (login.startsWith("+OK")) talk.send("STAT\r\nQUIT\r\n");
  const answer = login.startsWith("+OK") ? await talk.line() : login;
  talk.close();
  return answer ?? "";
}

test("postern user import takes vpopmail's accounts, by hash or password, and names the others", { skip }, () => {
  assert.match(said, new RegExp(`^${many.length + 4} of ${many.length + 5} users taken$`, "m"));
  assert.match(said, /^bob@pop\.test: not taken: no hash/m);
});

test("it keeps out whom vpopmail keeps out, and names who may do more now", { skip }, async () => {
  assert.match(said, /^dan@pop\.test: disabled, as it was$/m);
  assert.match(said, /^eve@pop\.test: it was kept from POP3, and is no more$/m);
  assert.match(await readMail("dan@pop.test"), /^-ERR \[AUTH\]/);
});

test("vpopmail's accounts log in, and find their mail where it was", { skip }, async () => {
  const environment = { ...process.env, POSTERN_ROOT: root };
  const sent = await runPostern(["sendmail", "ann@pop.test"], "Subject: x\n\nbody\n", environment);
  assert.equal(sent.code, 0, sent.stderr);
  await until("the delivery", async () => /^\+OK 1 /.test(await readMail("ann@pop.test")));
  assert.match(await readMail("cid@pop.test"), /^\+OK 0 /);
  assert.match(await readMail("ann@pop.test", "Secret"), /^-ERR \[AUTH\]/);
});

test("quotas come over", { skip }, async () => {
  const { stdout } = await server.postern(["user", "show", "ann@pop.test", "--json"]);
  assert.match(stdout, /"quotaOctets": ?10485760/);
  assert.match(stdout, /"quotaMessages": ?1000/);
});

test("an account whose mail goes elsewhere does not open the mailbox of a namesake here", { skip }, async () => {
  const added = await server.postern(["domain", "add", "elsewhere.test", "--logins-only"]);
  assert.equal(added.code, 0, added.stderr);
  assert.equal((await server.postern(["user", "add", "ann@elsewhere.test"], "other\n")).code, 0);
  assert.match(await readMail("ann@elsewhere.test", "other"), /^-ERR .*no mailbox/);
});
