import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { without } from "../../../test/support/missing.ts";
import { encodeNetstring } from "../../protocol/netstring.ts";
import { localDateField } from "./predate.ts";
import { parsePrelineOptions } from "./preline.ts";
import { summaryOf } from "./qbiff.ts";
import { syslogPackets } from "./splogger.ts";
import { openSyslog } from "./syslog-socket.ts";

/** The programs as processes, before a server that only takes mail. */
const main = join(import.meta.dirname, "main.ts");
const root = mkdtempSync(join(tmpdir(), "postern-tools-"));
let received: string[] = [];
let answer = "Kok 1 qp 7";
let server: Server;

before(async () => {
  mkdirSync(join(root, "run/submission"), { recursive: true });
  mkdirSync(join(root, "control"));
  server = createServer((socket) => {
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      const length = Number(text.slice(0, text.indexOf(":")));
      if (text.length < text.indexOf(":") + 2 + length) return;
      received.push(text.slice(text.indexOf(":") + 1, -1));
      socket.end(encodeNetstring(answer));
    });
  }).listen(join(root, "run/submission/qmqp"));
  await once(server, "listening");
});
after(() => {
  server.close();
  rmSync(root, { recursive: true });
});
beforeEach(() => {
  received = [];
  answer = "Kok 1 qp 7";
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
const variables = {
  POSTERN_ROOT: root,
  SENDER: "s@x",
  NEWSENDER: "n@x",
  DTLINE: "Delivered-To: me@here\n",
  RPLINE: "Return-Path: <s@x>\n",
  UFLINE: "From s@x Thu Jan 01 00:00:00 1970\n",
  RECIPIENT: "me@here",
  USER: "me",
  LOCAL: "me",
  HOST: "here",
  DEFAULT: "team",
};
const message = "Subject: x\n\nbody\n";

/** Runs a program with the message on a pipe, or `asFile` in a file, as deliveries have it. */
async function call(
  name: string,
  args: readonly string[],
  { input = message, asFile = true, env = {} as Readonly<Record<string, string | undefined>>, cwd = root } = {},
): Promise<Ended> {
  const stdin = join(root, "stdin");
  writeFileSync(stdin, input, "latin1");
  const shell = asFile ? 'exec "$@" <"$0"' : 'cat "$0" | "$@"';
  const command = ["-c", shell, stdin, process.execPath, "--disable-warning=ExperimentalWarning", main, name, ...args];
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const environment = { PATH: process.env.PATH, ...variables, ...env };
  const child = execFile("/bin/sh", command, { env: environment, cwd, encoding: "latin1" }, (_error, out, err) =>
    resolve({ code: child.exitCode ?? -1, out, err }),
  );
  return await promise;
}
/** A message as the server got it by QMQP. */
const sent = (text: string, reversePath: string, ...forwardPaths: readonly string[]): string =>
  [text, reversePath, ...forwardPaths].map((part) => encodeNetstring(part).toString("latin1")).join("");
const forwarded = `Delivered-To: me@here\n${message}`;

interface Case {
  readonly name: string;
  readonly run: readonly [string, ...string[]];
  readonly code: number;
  readonly out?: string;
  readonly err?: string;
  readonly sent?: readonly string[];
  readonly more?: Parameters<typeof call>[2];
  readonly answer?: string;
}
const exits = (code: number): readonly [string, string, string] => ["sh", "-c", `exit ${code}`];

const cases: readonly Case[] = [
  {
    name: "§17.235 condredirect forwards from SENDER and exits 99 after 0",
    run: ["condredirect", "a@b", "grep", "-q", "body"],
    code: 99,
    err: "condredirect: qp 7\n",
    sent: [sent(forwarded, "s@x", "a@b")],
  },
  {
    name: "§17.235 condredirect does so when the message comes by a pipe",
    run: ["condredirect", "a@b", "true"],
    code: 99,
    err: "condredirect: qp 7\n",
    sent: [sent(forwarded, "s@x", "a@b")],
    more: { asFile: false },
  },
  { name: "§17.235 condredirect exits 111 after 111", run: ["condredirect", "a@b", ...exits(111)], code: 111 },
  { name: "§17.235 condredirect exits 0 after 1", run: ["condredirect", "a@b", ...exits(1)], code: 0 },
  { name: "§17.235 condredirect exits 0 after 100", run: ["condredirect", "a@b", ...exits(100)], code: 0 },
  {
    name: "§17.235 condredirect exits 111 after a crash",
    run: ["condredirect", "a@b", "sh", "-c", "kill -9 $$"],
    code: 111,
    err: "condredirect: fatal: sh crashed\n",
  },
  {
    name: "§17.235 condredirect exits 100 when the server refuses",
    run: ["condredirect", "a@b", "true"],
    code: 100,
    err: "condredirect: fatal: no\n",
    answer: "Dno (#5.1.1)",
    sent: [sent(forwarded, "s@x", "a@b")],
  },
  {
    name: "§17.235 condredirect exits 111 when the server cannot now",
    run: ["condredirect", "a@b", "true"],
    code: 111,
    err: "condredirect: fatal: later\n",
    answer: "Zlater (#4.3.0)",
    sent: [sent(forwarded, "s@x", "a@b")],
  },
  {
    name: "§17.236 bouncesaying bounces with its text",
    run: ["bouncesaying", "Go away."],
    code: 100,
    err: "Go away.\n",
  },
  { name: "§17.236 bouncesaying bounces after 0", run: ["bouncesaying", "No.", ...exits(0)], code: 100, err: "No.\n" },
  { name: "§17.236 bouncesaying exits 111 after 111", run: ["bouncesaying", "No.", ...exits(111)], code: 111 },
  { name: "§17.236 bouncesaying exits 0 after 1", run: ["bouncesaying", "No.", ...exits(1)], code: 0 },
  { name: "§17.237 except exits 100 after 0", run: ["except", ...exits(0)], code: 100 },
  { name: "§17.237 except exits 111 after 111", run: ["except", ...exits(111)], code: 111 },
  { name: "§17.237 except exits 0 after 1", run: ["except", ...exits(1)], code: 0 },
  { name: "§17.237 except exits 0 after 100", run: ["except", ...exits(100)], code: 0 },
  {
    name: "§17.237 except exits 0 for a program that is not there",
    run: ["except", "/nonexistent/program"],
    code: 0,
    err: "except: fatal: unable to run /nonexistent/program: file does not exist\n",
  },
  {
    name: "§17.238 forward sends from NEWSENDER, DTLINE first",
    run: ["forward", "a@b", "plain", "list-@h-@[]"],
    code: 0,
    err: "forward: qp 7\n",
    sent: [sent(forwarded, "n@x", "a@b", "plain", "list-@h-@[]")],
  },
  { name: "§17.238 forward takes no address at all", run: ["forward"], code: 0 },
  {
    name: "§17.238 forward needs NEWSENDER",
    run: ["forward", "a@b"],
    code: 100,
    err: "forward: fatal: NEWSENDER is not set: this runs from a .qmail file\n",
    more: { env: { NEWSENDER: undefined } },
  },
  {
    name: "§17.238 forward needs DTLINE",
    run: ["forward", "a@b"],
    code: 100,
    err: "forward: fatal: DTLINE is not set: this runs from a .qmail file\n",
    more: { env: { DTLINE: undefined } },
  },
  {
    name: "§17.238 forward exits 111 when the server does not run",
    run: ["forward", "a@b"],
    code: 111,
    err: "forward: fatal: postern is not running: nobody listens on /nonexistent/run/submission/qmqp\n",
    more: { env: { POSTERN_ROOT: "/nonexistent" } },
  },
  {
    name: "§17.239 preline gives all three lines",
    run: ["preline", "cat"],
    code: 0,
    out: `${variables.UFLINE}${variables.RPLINE}${variables.DTLINE}${message}`,
  },
  {
    name: "§17.239 preline leaves the From_ line out",
    run: ["preline", "-f", "cat"],
    code: 0,
    out: `${variables.RPLINE}${variables.DTLINE}${message}`,
  },
  {
    name: "§17.239 preline leaves two out and takes one in again",
    run: ["preline", "-rdR", "--", "cat"],
    code: 0,
    out: `${variables.UFLINE}${variables.RPLINE}${message}`,
  },
  { name: "§17.239 preline exits as its program", run: ["preline", ...exits(77)], code: 77 },
  {
    name: "§17.239 preline needs UFLINE, asked for or not",
    run: ["preline", "-f", "cat"],
    code: 100,
    err: "preline: fatal: UFLINE is not set: this runs from a .qmail file\n",
    more: { env: { UFLINE: undefined } },
  },
  {
    name: "§17.239 preline does not mind a program that reads nothing",
    run: ["preline", "true"],
    code: 0,
    more: { input: "x".repeat(1_000_000) },
  },
  {
    name: "dot-forward does what .forward says and stops",
    run: ["dot-forward", ".nothing", ".forward"],
    code: 99,
    out: "ran\n",
    err: "dot-forward: qp 7\n",
    sent: [sent(forwarded, "n@x", "a@b", "c")],
  },
  { name: "dot-forward without a file changes nothing", run: ["dot-forward", ".nothing"], code: 0 },
  {
    name: "dot-forward goes on when the user is among the recipients",
    run: ["dot-forward", ".forward-self"],
    code: 0,
    err: "dot-forward: qp 7\n",
    sent: [sent(forwarded, "n@x", "a@b")],
  },
  {
    name: "dot-forward waits for a file with a mistake",
    run: ["dot-forward", ".forward-bad"],
    code: 111,
    err: "dot-forward: fatal: .forward-bad: cannot read the recipient <a\n",
  },
  {
    name: "dot-forward delivers to no file",
    run: ["dot-forward", ".forward-file"],
    code: 111,
    err: "dot-forward: fatal: /var/mail/x: files belong into .qmail, where they are locked\n",
  },
  {
    name: "fastforward -d forwards an alias from its owner",
    run: ["fastforward", "-d", "aliases.cdb"],
    code: 0,
    err: "fastforward: qp 7\n",
    sent: [sent(forwarded, "owner-team@here", "joe", "far@x")],
  },
  {
    name: "fastforward -p stops after what it knows",
    run: ["fastforward", "-dp", "aliases.cdb"],
    code: 99,
    err: "fastforward: qp 7\n",
    sent: [sent(forwarded, "owner-team@here", "joe", "far@x")],
  },
  {
    name: "fastforward bounces what it does not know",
    run: ["fastforward", "aliases.cdb"],
    code: 100,
    err: "fastforward: fatal: Sorry, no mailbox here by that name. (#5.1.1)\n",
  },
  { name: "fastforward -p passes what it does not know", run: ["fastforward", "-p", "aliases.cdb"], code: 0 },
  {
    name: "fastforward keeps the null sender",
    run: ["fastforward", "-d", "aliases.cdb"],
    code: 0,
    err: "fastforward: qp 7\n",
    sent: [sent(forwarded, "", "joe", "far@x")],
    more: { env: { SENDER: "" } },
  },
  {
    name: "fastforward waits for a table that is damaged",
    run: ["fastforward", "-d", "aliases"],
    code: 111,
    err: "fastforward: fatal: aliases: not a cdb, or damaged\n",
  },
  {
    name: "fastforward -n only says what it would do",
    run: ["fastforward", "-dn", "aliases.cdb"],
    code: 0,
    out: "owner owner-team\nforward joe\nforward far@x\n",
  },
  { name: "qbiff always exits 0", run: ["qbiff"], code: 0, more: { env: { LOCAL: undefined } } },
  {
    name: "an unknown name is refused",
    run: ["nothing"],
    code: 100,
    err: "qmail-tools: there is no program nothing\n",
  },
];

before(async () => {
  writeFileSync(join(root, ".forward"), '# mine\na@b, c\n"|echo ran; cat >/dev/null"\n');
  writeFileSync(join(root, ".forward-self"), "\\me\na@b\n");
  writeFileSync(join(root, ".forward-bad"), "<a\n");
  writeFileSync(join(root, ".forward-file"), "/var/mail/x\n");
  writeFileSync(join(root, "aliases"), "team: joe, far@x\nowner-team: ann\n");
  const made = await call("newaliases", ["aliases"]);
  assert.deepEqual(made, { code: 0, out: "", err: "" });
});

for (const { name, run, code, out = "", err = "", sent: taken = [], more, answer: reply } of cases) {
  test(name, async () => {
    answer = reply ?? answer;
    const [program, ...args] = run;
    assert.deepEqual({ ...(await call(program, args, more)), sent: received }, { code, out, err, sent: taken });
  });
}

for (const [name, ...args] of [
  ["bouncesaying"],
  ["condredirect", "a@b"],
  ["except"],
  ["preline"],
  ["preline", "-x", "cat"],
  ["qreceipt"],
  ["maildirmake"],
  ["mailsubj", "x"],
  ["predate"],
  ["mbox2maildir", "x"],
  ["fastforward"],
  ["dot-forward"],
] as const) {
  test(`${name} ${args.join(" ")} is wrong use: 100`, async () => {
    const ended = await call(name, args);
    assert.equal(ended.code, 100);
    assert.match(ended.err, new RegExp(`^${name}: usage: ${name} `));
  });
}

const asking = "Message-ID: <1@x>\nNotice-Requested-Upon-Delivery-To: (me) Me <me@here>, other@here\n\nbody\n";
const receipts: readonly { name: string; address: string; input?: string; sender?: string; answered: boolean }[] = [
  { name: "answers the address that is listed", address: "me@here", answered: true },
  { name: "answers no other address", address: "you@here", answered: false },
  { name: "answers no other case", address: "Me@here", answered: false },
  { name: "answers nobody's mail", address: "me@here", sender: "", answered: false },
  { name: "answers no double bounce", address: "me@here", sender: "#@[]", answered: false },
  { name: "answers nothing unasked", address: "me@here", input: message, answered: false },
  {
    name: "answers no field it cannot read",
    address: "me@here",
    input: "Notice-Requested-Upon-Delivery-To: <me@here\n\n",
    answered: false,
  },
];
for (const { name, address, input = asking, sender = "s@x", answered } of receipts) {
  test(`§17.240 qreceipt ${name}`, async () => {
    const ended = await call("qreceipt", [address], { input, env: { SENDER: sender } });
    assert.equal(ended.code, 0);
    assert.equal(received.length, answered ? 1 : 0);
    if (!answered) return;
    const [notice = ""] = received;
    assert.match(
      notice,
      /^[0-9]+:Delivered-To: me@here\nDate: .*\nFrom: .*<me@here>\nTo: <s@x>\nSubject: success notice\n\n/,
    );
    assert.match(notice, /me@here\. [^\n]*\nYour Message-ID: <1@x>\n,0:,3:s@x,$/);
  });
}

test("§17.241 maildirmake makes four folders with mode 0700, and none twice", async () => {
  assert.equal((await call("maildirmake", ["Box"])).code, 0);
  const modes = ["", "tmp", "new", "cur"].map((part) => statSync(join(root, "Box", part)).mode & 0o7777);
  assert.deepEqual(modes, [0o700, 0o700, 0o700, 0o700]);
  const again = await call("maildirmake", ["Box"]);
  assert.deepEqual(again, { code: 111, out: "", err: "maildirmake: fatal: unable to make Box: file already exists\n" });
});

test("maildir2mbox moves new and old messages, oldest first, quoted, behind what is there", async () => {
  const box = join(root, "Box2");
  for (const part of ["", "tmp", "new", "cur"]) mkdirSync(join(box, part));
  const put = (path: string, text: string, seconds: number): void => {
    writeFileSync(join(box, path), text);
    utimesSync(join(box, path), seconds, seconds);
  };
  put("new/later", "Return-Path: <>\nSubject: 2\n\nFrom me\n", 86_400);
  put("cur/first:2,S", "Return-Path: <a@b>\nSubject: 1", 0);
  writeFileSync(join(root, "mbox"), "From x Thu Jan  1 00:00:00 1970\n\nold");
  const env = { MAILDIR: box, MAIL: join(root, "mbox"), MAILTMP: join(root, "mbox.tmp") };
  assert.deepEqual(await call("maildir2mbox", [], { env }), { code: 0, out: "", err: "" });
  assert.equal(
    readFileSync(join(root, "mbox"), "latin1"),
    `From x Thu Jan  1 00:00:00 1970

old
From a@b Thu Jan 01 00:00:00 1970
Return-Path: <a@b>
Subject: 1

From MAILER-DAEMON Fri Jan 02 00:00:00 1970
Return-Path: <>
Subject: 2

>From me

`,
  );
  assert.deepEqual([...readdirSync(join(box, "new")), ...readdirSync(join(box, "cur"))], []);
  assert.deepEqual(
    readdirSync(root).filter((name) => name.startsWith("mbox")),
    ["mbox"],
  );
});

test("mbox2maildir says how many there were, and maildirwatch's list shows them", async () => {
  writeFileSync(
    join(root, "in"),
    "From a Thu Jan  1 00:00:00 1970\nFrom: A\nSubject: one\n\n\nFrom b Fri Jan  2 00:00:00 1970\nSubject: two\n\n",
  );
  const ended = await call("mbox2maildir", ["in", "Box3"]);
  assert.deepEqual(ended, { code: 0, out: "2 messages from in are in Box3\n", err: "" });
  const { newMail } = await import("./maildirwatch.ts");
  assert.equal(newMail(join(root, "Box3")), "2 new\n\nFROM A\nSUBJ one\n\nFROM \nSUBJ two\n");
  const [first = ""] = readdirSync(join(root, "Box3/new")).sort();
  assert.equal(statSync(join(root, "Box3/new", first)).mtimeMs, 0);
});

test("mailsubj sends what it is told, under these two fields", async () => {
  writeFileSync(join(root, "control/me"), "here.example\n");
  const ended = await call("mailsubj", ["On\nX", "a@b.c", "d@e.f"], { input: "text\n", env: { USER: "joe" } });
  assert.deepEqual(ended, { code: 0, out: "", err: "" });
  assert.match(
    received[0] ?? "",
    /\nSubject: On X\nTo: a@b\.c, d@e\.f\n\ntext\n,16:joe@here\.example,5:d@e\.f,5:a@b\.c,$/,
  );
});

test("predate gives a Date field in local time first", async () => {
  const ended = await call("predate", ["cat"], { env: { TZ: "Asia/Kolkata" } });
  assert.match(ended.out, /^Date: [1-3]?[0-9] [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} \+0530\nSubject: x\n/);
  assert.equal(localDateField(new Date(0), -90), "Date: 31 Dec 1969 22:30:00 -0130\n");
  assert.equal(localDateField(new Date("1995-09-06T02:46:54Z"), 120), "Date: 6 Sep 1995 04:46:54 +0200\n");
});

test("setforward and printforward go there and back; newinclude's file is used", async () => {
  writeFileSync(join(root, "list"), "# who\nann@x\nbob@y, cat@z\n");
  assert.equal((await call("newinclude", ["list"])).code, 0);
  const text = `team: <${join(root, "list")}, &d@e;\n`;
  assert.equal((await call("setforward", ["f.cdb", "f.tmp"], { input: text })).code, 0);
  const table = readFileSync(join(root, "f.cdb"), "latin1");
  assert.equal((await call("printforward", [], { input: table })).out, text);
  await call("fastforward", ["-d", "f.cdb"]);
  assert.deepEqual(received, [sent(forwarded, "s@x", "ann@x", "bob@y", "cat@z", "d@e")]);
});

test("newaliases leaves the old table when the file is wrong", async () => {
  writeFileSync(join(root, "a2"), "a: b\n");
  await call("newaliases", ["a2"]);
  const before = readFileSync(join(root, "a2.cdb"));
  writeFileSync(join(root, "a2"), "a: |sh\n");
  const ended = await call("newaliases", ["a2"]);
  assert.equal(ended.code, 111);
  assert.match(ended.err, /a2: line 1: program sh: put it into/);
  assert.deepEqual(readFileSync(join(root, "a2.cdb")), before);
});

test("parsePrelineOptions() lets letters stand together and apart", () => {
  assert.deepEqual(parsePrelineOptions(["-fd", "-F", "x", "-r"]), { without: new Set(["d"]), program: ["x", "-r"] });
});

test("summaryOf() shows a subject and the beginning of a body, and no escapes", () => {
  const summary = summaryOf(Buffer.from(`A: b\nSubject: hi\x1b[2J\n\none\n two ${"x".repeat(100)}`, "latin1"));
  assert.equal(summary, `hi_[2J one two ${"x".repeat(63)}`);
});

test("qbiff writes to a terminal of the user's that wants it", { skip: without("script") }, async () => {
  writeFileSync(join(root, "stdin"), message);
  const line = `chmod u+x "$(tty)"; "${process.execPath}" "${main}" qbiff <"${join(root, "stdin")}"; sleep 0`;
  const { promise, resolve } = Promise.withResolvers<string>();
  execFile("script", ["-qec", line, "/dev/null"], { env: { ...process.env, ...variables } }, (_error, out) =>
    resolve(out),
  );
  assert.match(await promise, /\*\*\* TO <me> FROM <s@x>\r\r?\nx body\r/);
});

const logged: readonly { line: string; priority: number; texts: readonly string[] }[] = [
  { line: "status: local 0/10", priority: 22, texts: [" status: local 0/10"] },
  { line: "alert: no disk", priority: 17, texts: [" alert: no disk"] },
  { line: "warning: slow", priority: 20, texts: [" warning: slow"] },
  { line: "a warning: b", priority: 22, texts: [" a warning: b"] },
  { line: "\x1b[2J\xe9\t", priority: 22, texts: [" ?[2J??"] },
  { line: "", priority: 22, texts: [] },
  {
    line: `alert: ${"x".repeat(1_600)}`,
    priority: 17,
    texts: [` alert: ${"x".repeat(792)}`, `+${"x".repeat(799)}`, `+${"x".repeat(9)}`],
  },
];
for (const { line, priority, texts } of logged) {
  test(`§17.234 splogger gives ${JSON.stringify(line.slice(0, 30))} priority ${priority}`, () => {
    const packets = syslogPackets(line, { tag: "qmail", facility: 2, atUs: 1_000_000_000_000_042 });
    const plain = packets.map((packet) => packet.replace(/>.{15} qmail: /, ">"));
    assert.deepEqual(
      plain,
      texts.map((text) => `<${priority}>1000000000.000042${text}`),
    );
  });
}

test("§17.234 splogger's socket sends one packet a write", { skip: without("python3") }, async () => {
  const path = join(root, "log");
  const script = `import socket,sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
print(repr([s.recv(99), s.recv(99)]), flush=True)`;
  const listener = execFile("python3", ["-c", script, path]);
  let said = "";
  listener.stdout?.on("data", (chunk) => (said += chunk));
  await once(listener.stdout ?? listener, "data");
  const log = openSyslog(path);
  assert.ok(log.kind === "done", JSON.stringify(log));
  writeSync(log.value, "<22>one");
  writeSync(log.value, "<17>two");
  await once(listener, "close");
  closeSync(log.value);
  assert.equal(said, "bound\n[b'<22>one', b'<17>two']\n");
  assert.equal(openSyslog(join(root, "nothing")).kind, "temporary");
});

test("the scripts in bin/qmail are all alike, one for each program", async () => {
  const { tools } = await import("./main.ts");
  const folder = join(import.meta.dirname, "../../../bin/qmail");
  const names = readdirSync(folder).sort();
  assert.deepEqual(names, [...tools.keys(), "mailq", "qmail-inject", "qmail-queue", "sendmail"].sort());
  const texts = new Set(names.map((name) => readFileSync(join(folder, name), "latin1")));
  assert.equal(texts.size, 1);
  for (const name of names) assert.equal(statSync(join(folder, name)).mode & 0o111, 0o111, name);
});
