import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { startProduction } from "../attacks/production.ts";
import { unlessRoot } from "../support/missing.ts";
import { type QmailMessage, records, todo, writeQmailQueue } from "../support/qmail-queue.ts";
import { dotQmailKinds, writeQmailSite, writeTree } from "../support/qmail-site.ts";
import { freePort, readMaildir, runPostern, startServer, temporaryFolder, tree, until } from "../support/server.ts";

const folder = temporaryFolder();
after(() => rmSync(folder, { recursive: true }));
const qmail = join(folder, "qmail");
const homes = join(folder, "homes");
const root = join(folder, "root");
const joe = join(homes, "joe");
const now = Math.floor(Date.now() / 1000);
const day = 86_400;

const kinds = dotQmailKinds(joe);
const mess = (subject: string): string =>
  `Received: (qmail 77 invoked by uid 1000); 1 Jan 2020 00:00:00 -0000\nSubject: ${subject}\n\nbody of ${subject}\n`;
const info = records("Fsender@old.example");
const failed = "<gone@far.example>:\n192.0.2.1 does not like recipient. (#5.1.1)\n\n";

/** A message for each kind of .qmail, preprocessed or not in turn. */
const forKinds = kinds.map(({ extension }, at): QmailMessage => {
  const number = 1_000 + at;
  const address = `joe-${extension}@old.example`;
  const common = { number, mess: mess(`to ${extension}`), born: now - 60 };
  return at % 2 === 0
    ? { ...common, todo: todo("sender@old.example", address), intd: "" }
    : { ...common, info, local: records(`T${address}`), next: now - 60 };
});

const inEveryState: readonly QmailMessage[] = [
  {
    number: 1,
    mess: mess("virtual"),
    todo: todo("sender@old.example", "x@virtual.example", "lists-foo@virtual.example"),
    born: now,
  },
  {
    number: 2,
    mess: mess("half done"),
    info,
    local: records("Djoe@old.example", "Tjoe-target2@old.example"),
    born: now,
  },
  { number: 3, mess: mess("some failed"), info, local: records("Tjoe-maildir@old.example"), bounce: failed, born: now },
  { number: 4, mess: mess("only its bounce"), info, bounce: failed, born: now },
  {
    number: 5,
    mess: mess("too old"),
    info,
    remote: records("Tlate@far.example"),
    born: now - 30 * day,
    next: now - day,
  },
  {
    number: 6,
    mess: mess("for later"),
    info,
    remote: records("Tlater@far.example"),
    born: now - 2 * day,
    next: now + day,
  },
  {
    number: 7,
    mess: mess(`long ${"x".repeat(200_000)}`),
    todo: todo("sender@old.example", "joe-maildir@old.example"),
    born: now,
  },
  {
    number: 8,
    mess: mess("popular"),
    todo: todo("sender@old.example", "ann@pop.example", "bob@pop.example"),
    born: now,
  },
  {
    number: 9,
    mess: mess("verp"),
    info: records("Flist-@old.example-@[]"),
    local: records("Tjoe-maildir@old.example"),
    born: now,
  },
  { number: 10, mess: mess("to mailer-daemon"), todo: todo("", "mailer-daemon@other.example"), born: now },
  { number: 11, mess: mess("all done"), info, local: records("Djoe@old.example"), born: now },
  { number: 12, mess: mess("never accepted"), intd: todo("sender@old.example", "joe@old.example") },
  { number: 13, mess: mess("not even an envelope") },
  { number: 14, mess: mess("cut short"), info, local: "Tjoe@old.example", born: now },
  { number: 15, todo: todo("sender@old.example", "joe@old.example"), born: now },
];

/** Where each Subject is to be found at last: Maildirs and files below the homes, and how often. */
const predicted = new Map<string, readonly string[]>([
  ...kinds.map(({ extension, arrives }) => [`to ${extension}`, arrives.map((each) => `joe/${each}`)] as const),
  ["virtual", ["joe/in-target1/", "joe/in-target2/"]],
  ["half done", ["joe/in-target2/"]],
  ["some failed", ["joe/in-maildir/"]],
  ["only its bounce", []],
  ["too old", []],
  ["for later", []],
  ["popular", ["ann/Maildir/", "joe/in-target1/"]],
  ["verp", ["joe/in-maildir/"]],
  ["to mailer-daemon", ["joe/in-target2/"]],
  ["all done", []],
  ["never accepted", []],
  ["not even an envelope", []],
  ["cut short", []],
]);
const bouncesOf = [
  ...kinds.filter(({ fate }) => fate === "bounces").map(({ extension }) => `joe-${extension}@old.example`),
  "gone@far.example",
  "gone@far.example",
  "late@far.example",
];
const waiting = [
  ...kinds.filter(({ fate }) => fate === "waits").map(({ extension }) => `joe-${extension}@old.example`),
  "later@far.example",
];

const places = (): readonly { name: string; text: string }[] => [
  ...readdirSync(joe)
    .filter((name) => !name.startsWith("."))
    .flatMap((name) => {
      const path = join(joe, name);
      if (statSync(path).isFile()) return [{ name: `joe/${name}`, text: readFileSync(path, "latin1") }];
      return readMaildir(path).map(({ text }) => ({ name: `joe/${name}/`, text }));
    }),
  ...["ann", "bob"].flatMap((name) =>
    readMaildir(join(qmail, "domains/pop.example", name, "Maildir")).map(({ text }) => ({
      name: `${name}/Maildir/`,
      text,
    })),
  ),
];
const bounces = (): readonly string[] =>
  readMaildir(join(homes, "sender/Maildir")).flatMap(({ text }) =>
    [...text.slice(0, text.indexOf("--- Below")).matchAll(/^<(.*)>:$/gm)].map(([, address]) => String(address)),
  );
const foundAt = (subject: string): readonly string[] =>
  places()
    .filter(({ name, text }) =>
      name === "joe/in-variables" ? subject === "to variables" : text.includes(`\nSubject: ${subject}\n`),
    )
    .map(({ name }) => name)
    .sort();

const listing = (path: string): readonly string[] =>
  readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((name) => !name.includes("Maildir"))
    .map((name) => `${name} ${statSync(join(path, name)).mtimeMs} ${statSync(join(path, name)).size}`)
    .sort();

test("a qmail is imported, half at first, and everything in its queue goes where qmail would have brought it", async () => {
  writeQmailSite(qmail, homes);
  writeQmailQueue(join(qmail, "queue"), [...inEveryState, ...forKinds]);
  const before = listing(qmail);
  const port = await freePort();
  mkdirSync(root);
  writeTree(root, {
    "control/smtplisten": `127.0.0.1:${port}\n`,
    "control/submissionlisten": `127.0.0.1:${await freePort()}\n`,
    "control/nameservers": "127.0.0.1:9\n",
    "control/bounceformat": "qsbmf\n",
    "control/concurrencyremote": "20\n",
  });
  const run = (...args: readonly string[]) => runPostern(["import", "qmail", qmail, "--root", root, ...args]);

  const dry = await run();
  assert.equal(dry.code, 0, dry.stderr);
  for (const line of [
    /^control\/locals +taken$/m,
    /^control\/tlsserverciphers +no effect +\S/m,
    /^control\/mystery +not taken +Postern has no such control file$/m,
    /^control\/queuelifetime +not taken: wrong +"a week" is not a number of seconds$/m,
    /^control\/concurrencyremote +not taken +ours is another one/m,
    /^control\/defaultdelivery +translated +from rc/m,
    /^users\/assign +translated +a line added for the user alias.*; lines added for accounts of vpopmail: 1$/m,
    /^users\/poppasswd +left /m,
    /^alias\/.qmail-mailer-daemon +taken +a link$/m,
    /^note: domains\/pop.example: 1 of 3 accounts/m,
    /^note: .*vdelivermail/m,
    /^queue: 41 messages, .*, split into 23$/m,
    /1 finished, not removed yet: left$/m,
    /2 never accepted by qmail: left$/m,
    /2 damaged: left\n +message 14: local: its last record has no end\n +message 15: /m,
    /nothing was changed/,
  ]) {
    assert.match(dry.stdout, line);
  }
  assert.equal(existsSync(join(root, "queue")), false);

  // A first import that finds only part of the queue, as one that was broken off has brought only part of it.
  const half = join(folder, "half");
  cpSync(qmail, half, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  for (let split = 0; split < 23; split += 2) rmSync(join(half, "queue/mess", String(split)), { recursive: true });
  const first = await runPostern(["import", "qmail", half, "--root", root, "--yes"]);
  assert.equal(first.code, 1, `damaged ones are told of: ${first.stderr}`);
  const second = await run("--yes");
  assert.equal(second.code, 1, second.stderr);
  assert.match(second.stdout, /^2 damaged ones were left$/m);
  const third = await run("--yes");
  assert.match(
    third.stdout,
    /^0 messages queued, 0 bounces made, 0 had nobody left\n41 were brought by an earlier import$/m,
  );
  assert.deepEqual(listing(qmail), before);
  assert.equal(readlinkSync(join(root, "alias/.qmail-mailer-daemon")), ".qmail-postmaster");

  await using server = await startServer({ root });
  assert.match((await run("--yes")).stderr, /is Postern running\? stop it first/);
  const open = async (): Promise<readonly string[]> => {
    const { stdout } = await server.postern(["queue", "list", "--json"]);
    const rows = stdout
      .trim()
      .split("\n")
      .filter((row) => row !== "");
    return rows.flatMap((row) =>
      (JSON.parse(row) as { recipients: { forwardPath: string }[] }).recipients.map(({ forwardPath }) => forwardPath),
    );
  };
  const left = waiting.toSorted();
  await until("all but what waits to be done", async () => {
    const rows = (await open()).toSorted();
    return rows.length === left.length && rows.every((address, at) => address === left[at]);
  });
  for (const [subject, expected] of predicted) assert.deepEqual(foundAt(subject), [...expected].sort(), subject);
  assert.equal(foundAt(`long ${"x".repeat(200_000)}`).length, 1);
  assert.deepEqual(bounces().toSorted(), bouncesOf.toSorted());
  const verp = readMaildir(join(joe, "in-maildir")).find(({ text }) => text.includes("Subject: verp\n"));
  assert.match(verp?.text ?? "", /^Return-Path: <list-joe-maildir=old.example@old.example>\n/);
  assert.match(
    readFileSync(join(joe, "in-variables"), "latin1"),
    /^variables old.example sender@old.example joe-variables@old.example\n$/,
  );

  const report = await server.postern(["log", "report", "--json"]);
  const { lines } = JSON.parse(report.stdout) as { lines: { unread: number } };
  assert.equal(lines.unread, 0);
});

test("a qmail is imported into a system where each program is a user of its own", { skip: unlessRoot() }, async () => {
  const old = temporaryFolder();
  let imported = { status: -1 as number | null, stderr: "" };
  await using production = await startProduction({
    users: ["joe"],
    prepare({ root: system, homeOf, uidOf }) {
      const uid = uidOf("joe");
      writeQmailSite(old, join(homeOf("joe"), ".."), uid, uid);
      writeQmailQueue(join(old, "queue"), [...inEveryState, ...forKinds]);
      const his = [homeOf("joe"), join(homeOf("joe"), "../sender"), join(old, "domains/pop.example")];
      execFileSync("chown", ["-R", `${uid}:${uid}`, ...his]);
      rmSync(join(system, "etc/postern/control/locals"));
      // As docs/from-qmail.md has it: a first start makes the folders.
      const script = `mount --bind "$1/passwd" /etc/passwd
        "$2" start --root "$1" & until "$2" status --root "$1"; do sleep 0.1; done; "$2" stop --root "$1"; wait
        exec "$2" import qmail "$3" --root "$1" --yes --force`;
      const args = ["sh", "-c", script, "sh", system, join(tree, "bin/postern"), old];
      imported = spawnSync("unshare", ["--mount", "--propagation", "private", ...args], { encoding: "utf8" });
    },
  });
  assert.equal(imported.status, 1, `damaged messages are told of: ${imported.stderr}`);
  const waitingNow = async (): Promise<readonly string[]> => {
    const { stdout } = await runPostern(["queue", "list", "--json", "--root", production.root]);
    return [...stdout.matchAll(/"forwardPath":"([^"]*)"/g)].map(([, address]) => String(address)).sort();
  };
  await until(
    "only what waits to be left",
    async () => (await waitingNow()).join() === [...waiting].sort().join(),
    60_000,
  );
  const home = production.homeOf("joe");
  for (const { extension, arrives } of kinds) {
    for (const name of arrives.filter((each) => each.endsWith("/"))) {
      const files = readdirSync(join(home, name, "new"));
      assert.ok(files.length > 0, `${extension}: ${name} has mail`);
      for (const file of files) assert.equal(statSync(join(home, name, "new", file)).uid, production.uidOf("joe"));
    }
  }
  rmSync(old, { recursive: true });
});
