import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { run } from "../support/commands.ts";
import { without } from "../support/missing.ts";
import { type Server, startServer, temporaryFolder, tree, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

/** qmail's small programs, by their plain names, in .qmail files of a whole server. */
const root = temporaryFolder();
const home = join(root, "home");
const here = "mail.here.example";
let server: Server;
before(async () => {
  const ids = `${process.getuid?.()}:${process.getgid?.()}`;
  mkdirSync(home, { mode: 0o755 });
  server = await startServer({
    folder: root,
    control: { me: `${here}\n`, locals: `${here}\n`, rcpthosts: `${here}\n`, mailboxdomains: "" },
    files: { "users/assign": `=u:u:${ids}:${home}:::\n+u-:u:${ids}:${home}:-::\n.\n` },
  });
});
after(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});
beforeEach(() => {
  for (const name of readdirSync(home)) rmSync(join(home, name), { recursive: true });
});

type Logged = Readonly<Record<string, unknown>>;
const events = (): readonly Logged[] =>
  readFileSync(join(root, "log/current"), "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Logged);

/** Sends one message to u-x and returns what the log says of its delivery, numbers of messages as N. */
async function report(text: string, sender = "s@sender.example"): Promise<string> {
  const client = await SmtpClient.open(server.smtpPort);
  await client.command("EHLO client.example");
  const reply = await client.message(sender, [`u-x@${here}`], text);
  await client.quit();
  const message = Number(/ qp ([0-9]+)$/.exec(reply)?.[1]);
  assert.ok(message > 0, reply);
  const find = (): Logged | undefined => {
    const all = events();
    const starting = all.find((event) => event.event === "starting" && event.message === message);
    return starting && all.find((event) => event.event === "delivery" && event.delivery === starting.delivery);
  };
  await until("the delivery", () => find() !== undefined);
  const { result, text: said } = find() ?? {};
  return `${result}: ${String(said)
    .replaceAll("\n", "/")
    .replace(/qp [0-9]+/g, "qp N")}`;
}
/** What an mbox in the home holds; waits until it is whole. */
async function mbox(name: string): Promise<string> {
  const read = (): string => {
    try {
      return readFileSync(join(home, name), "latin1");
    } catch {
      return "";
    }
  };
  await until(`mail in ${name}`, () => read().endsWith("\n\n"));
  return read();
}

interface Case {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  readonly report: string;
  readonly text?: string;
  /** An mbox that has mail afterwards, and patterns of what is there. */
  readonly mail?: readonly [string, ...RegExp[]];
  readonly skip?: string | false;
}
const message = "Subject: x\n\nbody\n";
const cases: readonly Case[] = [
  {
    name: "§17.238 |forward",
    files: { ".qmail-x": `|forward u-y@${here}\n`, ".qmail-y": "./y\n" },
    report: "success: forward: qp N/did 0+0+1/",
    mail: [
      "y",
      /^Return-Path: <s@sender\.example>\nDelivered-To: u-y@.*\n(?:Received: .*\n(?:[ \t].*\n)*)+Delivered-To: u-x@/m,
    ],
  },
  {
    name: "§17.238 |forward from an owner",
    files: { ".qmail-x": `|forward u-y@${here}\n`, ".qmail-x-owner": "#\n", ".qmail-y": "./y\n" },
    report: "success: forward: qp N/did 0+0+1/",
    mail: ["y", /^Return-Path: <u-x-owner@mail\.here\.example>$/m],
  },
  {
    name: "§17.236 |bouncesaying",
    files: { ".qmail-x": "|bouncesaying 'Go away.' grep -q body\n./x\n" },
    report: "failure: Go away./",
  },
  {
    name: "§17.236 |bouncesaying of nobody",
    files: { ".qmail-x": "|bouncesaying 'Go away.' grep -q other\n./x\n" },
    report: "success: did 1+0+1/",
    mail: ["x", /\nbody\n/],
  },
  {
    name: "§17.235 |condredirect",
    files: { ".qmail-x": `|condredirect u-y@${here} grep -q body\n./x\n`, ".qmail-y": "./y\n" },
    report: "success: condredirect: qp N/did 0+0+1/",
    mail: ["y", /\nSubject: x\n\nbody\n/],
  },
  {
    name: "§17.235 |condredirect of nobody",
    files: { ".qmail-x": `|condredirect u-y@${here} grep -q other\n./x\n` },
    report: "success: did 1+0+1/",
    mail: ["x", /\nbody\n/],
  },
  {
    name: "§17.237 |except",
    files: { ".qmail-x": "|except grep -q body\n./x\n" },
    report: "failure: ",
  },
  {
    name: "§17.239 |preline",
    files: { ".qmail-x": "|preline -r cat >lines; echo >>lines\n" },
    report: "success: did 0+0+1/",
    mail: ["lines", /^From s@sender\.example [A-Z].* [0-9]{4}\nDelivered-To: u-x@mail\.here\.example\nReceived: /],
  },
  {
    name: "§17.240 |qreceipt",
    files: { ".qmail-x": `|qreceipt u-x@${here}\n` },
    text: `Notice-Requested-Upon-Delivery-To: u-x@${here}\n${message}`,
    report: "success: qreceipt: qp N/did 0+0+1/",
  },
  {
    name: "|fastforward",
    files: {
      ".qmail-x": "|DEFAULT=list fastforward -d aliases.cdb\n",
      aliases: `list: u-y@${here}\nowner-list: u-z@${here}\n`,
      ".qmail-y": "./y\n",
    },
    report: "success: fastforward: qp N/did 0+0+1/",
    mail: ["y", /^Return-Path: <owner-list@mail\.here\.example>$/m],
  },
  {
    name: "|dot-forward",
    files: { ".qmail-x": "|dot-forward .forward\n./x\n", ".forward": `u-y@${here}\n`, ".qmail-y": "./y\n" },
    report: "success: dot-forward: qp N/did 0+0+1/",
    mail: ["y", /\nbody\n/],
  },
  {
    name: "|dot-forward without a file",
    files: { ".qmail-x": "|dot-forward .forward\n./x\n" },
    report: "success: did 1+0+1/",
    mail: ["x", /\nbody\n/],
  },
  {
    name: "procmail behind |preline",
    files: {
      ".qmail-x": "|preline procmail -m ./rc\n",
      rc: "LOCKFILE=x.lock\n:0\n* ^Subject: x\n./sorted\n",
    },
    report: "success: did 0+0+1/",
    mail: [
      "sorted",
      /^From s@sender\.example .*\nReturn-Path: <s@sender\.example>\nDelivered-To: u-x@/,
      /\n\nbody\n\n$/,
    ],
    skip: without("procmail"),
  },
  {
    name: "maildrop behind |preline -f",
    files: {
      ".qmail-x": "|preline -f maildrop ./mailfilter\n",
      mailfilter: 'if ( /^Subject: x/ )\n  to "sifted"\nto "unsifted"\n',
    },
    report: "success: did 0+0+1/",
    mail: [
      "sifted",
      /^From s@sender\.example .*\nReturn-Path: <s@sender\.example>\nDelivered-To: u-x@/,
      /\n\nbody\n\n$/,
    ],
    skip: without("maildrop"),
  },
];
for (const { name, files, report: expected, text = message, mail, skip = false } of cases) {
  test(`${name} in a .qmail file`, { skip }, async () => {
    // Not readable for others: maildrop believes no other filter.
    for (const [file, content] of Object.entries(files)) writeFileSync(join(home, file), content, { mode: 0o600 });
    if (files.aliases !== undefined) {
      const made = await run(join(tree, "bin/qmail/newaliases"), [join(home, "aliases")]);
      assert.equal(made.code, 0, made.stderr);
    }
    assert.equal(await report(text), expected);
    if (!mail) return;
    const [box, ...patterns] = mail;
    const found = await mbox(box);
    for (const pattern of patterns) assert.match(found, pattern);
  });
}

test("vacation behind |preline learns from the From_ line whom it answers", { skip: without("vacation") }, async () => {
  writeFileSync(join(home, "answer"), "Subject: away\n\naway\n");
  await run("vacation", ["-i", "-f", join(home, "answered"), "root"]);
  writeFileSync(join(home, ".qmail-x"), "|preline vacation -j -f $HOME/answered -m $HOME/answer root\n");
  await report(message);
  const { stdout } = await run("vacation", ["-l", "-f", join(home, "answered"), "root"]);
  assert.match(stdout, /^s@sender\.example\s/m);
});

test("§17.213 sendmail, mailq and datemail by their plain names", async () => {
  writeFileSync(join(home, ".qmail-x"), "./x\n");
  const env = { POSTERN_ROOT: root, PATH: `${join(tree, "bin/qmail")}:${process.env.PATH}`, USER: "u" };
  const sent = await run("datemail", ["-t"], `To: u-x@${here}\n\nhi\n`, env);
  assert.deepEqual(sent, { code: 0, stdout: "", stderr: "" });
  assert.match(await mbox("x"), /\nDate: [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4}\n/);
  assert.equal((await run("mailq", [], "", env)).code, 0);
});

test("§17.242 qmail-qread and qmail-qstat show a message that waits", async () => {
  const env = { POSTERN_ROOT: root };
  const tool = (name: string) => run(join(tree, "bin/qmail", name), [], "", env);
  writeFileSync(join(home, ".qmail-x"), "|exit 111\n");
  await report(message);
  const listed = (await tool("qmail-qread")).stdout;
  assert.match(
    listed,
    /^[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT {2}#[0-9]+ {2}[0-9]+ {2}<s@sender\.example> \n\tlocal\tu-x@mail\.here\.example\n/m,
  );
  const { stdout } = await tool("qmail-qstat");
  assert.match(stdout, /^messages in queue: [1-9][0-9]*\nmessages in queue but not yet preprocessed: 0\n$/);
});

test("§17.76 qmail-showctl shows every control file, and does not know all", async () => {
  writeFileSync(join(root, "control/mystery"), "?\n");
  const { stdout, code } = await run(join(tree, "bin/qmail/qmail-showctl"), [], "", { POSTERN_ROOT: root });
  rmSync(join(root, "control/mystery"));
  assert.equal(code, 0);
  assert.match(stdout, /^me: mail\.here\.example\.$/m);
  assert.match(stdout, /^locals:\n {2}mail\.here\.example$/m);
  assert.match(stdout, /^queuelifetime: \(Default\.\) 604800\.$/m);
  assert.match(stdout, /^mystery: I have no idea what this file does\.$/m);
});

test("qmail-newu, qmail-newmrh and qmail-pw2u do as qmail's", async () => {
  const env = { POSTERN_ROOT: root };
  const tool = (name: string, args: readonly string[] = [], input = "") =>
    run(join(tree, "bin/qmail", name), args, input, env);
  assert.deepEqual(await tool("qmail-newu"), { code: 0, stdout: "", stderr: "" });
  const { code, stderr } = await tool("qmail-newmrh");
  assert.equal(code, 111);
  assert.match(stderr, /^qmail-newmrh: fatal: there is no /);
  const accounts = "alias:x:7:8::/a:/bin/sh\njoe:x:9:9::/j:/bin/sh\n";
  const assigned = await tool("qmail-pw2u", ["-HC"], accounts);
  assert.deepEqual(assigned, {
    code: 0,
    stdout: "+:alias:7:8:/a:-::\n=alias:alias:7:8:/a:::\n=joe:joe:9:9:/j:::\n.\n",
    stderr: "",
  });
});
