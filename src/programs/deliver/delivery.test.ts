import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { deliveredToLine } from "../../protocol/dot-qmail/environment.ts";
import { homeBelow, homeGiven, homeMade } from "../../protocol/wire/worker.ts";
import { nodeFiles } from "../../services/maildir/files.ts";
import { makeMaildir } from "../../services/maildir/folder.ts";
import { type Delivered, deliver, type ProgramRequest, type Ran } from "./delivery.ts";
import { realGround } from "./ground.ts";
import { openHome } from "./home.ts";
import { maxMemoryOctets, receiveMessage } from "./message.ts";
import { createStore } from "./stores.ts";
import type { Task } from "./task.ts";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "postern-deliver-"));
});
afterEach(() => rmSync(home, { recursive: true }));

const taskOf = (changed: Partial<Task>): Task => ({
  name: "m1",
  number: 1,
  octets: 0,
  user: "joe",
  home,
  homeKind: homeGiven,
  local: "joe",
  domain: "example.org",
  dash: "",
  extension: "",
  reversePath: "a@b",
  defaultDelivery: "./Maildir/",
  host: "mx",
  quota: "",
  fullIsPermanent: 0,
  ...changed,
});

interface Played {
  readonly programs?: (request: ProgramRequest) => Ran;
  readonly message?: string;
}

/** Delivers as the worker does; a failure of the home comes back as the delivery's. */
async function play(
  changed: Partial<Task>,
  { programs, message = "Subject: x\n\nbody\n" }: Played = {},
): Promise<Delivered> {
  const task = taskOf({ octets: message.length, ...changed });
  const opened = openHome(task);
  if (opened.kind !== "done") {
    const letter = opened.kind === "permanent" ? "D" : "Z";
    return { letter, status: opened.status, text: `${opened.text}\n`, devices: new Set(), marks: [] };
  }
  const received = receiveMessage(task.octets, opened.value.path, deliveredToLine(task.local, task.domain));
  for (let at = 0; at < message.length; at += 40_000) {
    assert.equal(received.write(Buffer.from(message.slice(at, at + 40_000), "latin1")).kind, "done");
  }
  try {
    return await deliver(task, opened.value, received, {
      store: createStore({ ...realGround(), nowMs: () => 0 }),
      runProgram: async (request) => programs?.(request) ?? { exitCode: 0, signalled: false, output: "" },
      signal: AbortSignal.timeout(60_000),
    });
  } finally {
    received.close();
  }
}

const line = ({ letter, text }: Delivered) => letter + text;
const stored = (...path: string[]) =>
  readdirSync(join(home, ...path, "new")).map((name) => readFileSync(join(home, ...path, "new", name), "latin1"));
const trace = "Return-Path: <a@b>\nDelivered-To: joe@example.org\n";

test("deliver() stores with both trace lines when there is no .qmail", async () => {
  makeMaildir(nodeFiles, join(home, "Maildir"));
  assert.equal(line(await play({})), "Kdid 1+0+0\n");
  assert.deepEqual(stored("Maildir"), [`${trace}Subject: x\n\nbody\n`]);
});

interface Case {
  readonly name: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly modes?: Readonly<Record<string, number>>;
  readonly task?: Partial<Task>;
  readonly message?: string;
  readonly report: string;
}
const looping = "Subject: x\nDelivered-To: joe@example.org\n\n";
const cases: readonly Case[] = [
  { name: "a missing Maildir", report: "ZUnable to chdir to maildir. (#4.2.1)\n" },
  {
    name: "an extension nobody has",
    task: { dash: "-", extension: "x" },
    report: "DSorry, no mailbox here by that name. (#5.1.1)\n",
  },
  {
    name: "a missing home",
    task: { home: "/nonexistent/joe" },
    report: "ZUnable to switch to /nonexistent/joe: file does not exist. (#4.3.0)\n",
  },
  { name: "a writable home", modes: { ".": 0o777 }, report: "ZUh-oh: home directory is writable. (#4.7.0)\n" },
  {
    name: "a sticky home",
    modes: { ".": 0o1755 },
    report: "ZHome directory is sticky: user is editing his .qmail file. (#4.2.1)\n",
  },
  {
    name: "a writable .qmail",
    files: { ".qmail": "#\n" },
    modes: { ".qmail": 0o602 },
    report: "ZUh-oh: .qmail file is writable. (#4.7.0)\n",
  },
  {
    name: "a loop",
    message: looping,
    report: "DThis message is looping: it already has my Delivered-To line. (#5.4.6)\n",
  },
  {
    name: "a loop before the .qmail file counts",
    files: { ".qmail": "\n" },
    message: looping,
    report: "DThis message is looping: it already has my Delivered-To line. (#5.4.6)\n",
  },
  { name: "a comment alone", files: { ".qmail": "# gone\n" }, report: "Kdid 0+0+0\n" },
  {
    name: "a blank first line",
    files: { ".qmail": "\n./Maildir/\n" },
    report: "ZUh-oh: first line of .qmail file is blank. (#4.2.1)\n",
  },
  {
    name: "files where only forwards may be",
    files: { ".qmail": "./box\n" },
    modes: { ".qmail": 0o700 },
    report: "ZUh-oh: .qmail has file delivery but has x bit set. (#4.7.0)\n",
  },
  {
    name: "an empty .qmail-x as the default",
    files: { ".qmail-x": "" },
    task: { dash: "-", extension: "x", defaultDelivery: "./box" },
    report: "Kdid 1+0+0\n",
  },
  {
    name: "a folder that is no .qmail",
    files: { ".qmail/x": "" },
    task: { defaultDelivery: "./box" },
    report: "Kdid 1+0+0\n",
  },
  {
    name: "-default",
    files: { ".qmail-a-default": "#\n" },
    task: { dash: "-", extension: "A-b" },
    report: "Kdid 0+0+0\n",
  },
  {
    name: "an mbox that is a folder",
    files: { "box/x": "", ".qmail": "./box\n" },
    report: "ZUnable to open ./box: is a directory. (#4.2.1)\n",
  },
  {
    name: "an mbox in no folder",
    files: { ".qmail": "./no/box\n" },
    report: "ZUnable to open ./no/box: file does not exist. (#4.2.1)\n",
  },
];
for (const { name, files = {}, modes = {}, task = {}, message, report } of cases) {
  test(`deliver() reports ${name}: ${report.trim()}`, async () => {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(join(home, file, ".."), { recursive: true });
      writeFileSync(join(home, file), text);
    }
    for (const [file, mode] of Object.entries(modes)) chmodSync(join(home, file), mode);
    assert.equal(line(await play(task, message === undefined ? {} : { message })), report);
  });
}

test("deliver() sends forwards last, all together, with the owner's address and Delivered-To on top", async () => {
  writeFileSync(join(home, ".qmail-l"), "&one@x\n./box\ntwo@x\n");
  writeFileSync(join(home, ".qmail-l-owner"), "");
  const task = { local: "joe-L", dash: "-", extension: "L" };
  const first = await play(task);
  assert.equal(line(first), "Kdid 1+2+0\n");
  assert.deepEqual(
    { ...first.forwards, prefix: String(first.forwards?.prefix) },
    {
      reversePath: "joe-L-owner@example.org",
      prefix: "Delivered-To: joe-L@example.org\n",
      forwardPaths: ["one@x", "two@x"],
    },
  );
  symlinkSync("nowhere", join(home, ".qmail-l-owner-default"));
  assert.equal((await play(task)).forwards?.reversePath, "joe-L-owner@example.org");
  writeFileSync(join(home, "nowhere"), "");
  assert.equal((await play(task)).forwards?.reversePath, "joe-L-owner-@example.org-@[]");
  assert.equal((await play({ ...task, reversePath: "" })).forwards?.reversePath, "");
});

test("deliver() forwards nothing when a later line fails", async () => {
  writeFileSync(join(home, ".qmail"), "one@x\n./Maildir/\n");
  const result = await play({});
  assert.equal(result.letter, "Z");
  assert.equal(result.forwards, undefined);
});

for (const forwardPath of [`${"x".repeat(1_000)}@y`, "x\r@y", "x\x1b[2J@y"]) {
  test(`deliver() forwards nothing to ${JSON.stringify(forwardPath).slice(0, 20)}, which nobody could queue`, async () => {
    writeFileSync(join(home, ".qmail"), `one@x\n${forwardPath}\n`, "latin1");
    const result = await play({});
    assert.equal(
      line(result),
      "DUnable to forward message: address of more than 1000 octets or with control characters. (#5.1.3)\n",
    );
    assert.equal(result.forwards, undefined);
  });
}

const ends: readonly { ran: Partial<Ran>; report: string }[] = [
  { ran: { exitCode: 0, output: "hello\n" }, report: "Khello\ndid 1+2+1\n" },
  { ran: { exitCode: 99 }, report: "Kdid 0+1+1\n" },
  { ran: { exitCode: 100, output: "no such list\n" }, report: "Dno such list\n" },
  { ran: { exitCode: 111, output: "later\n" }, report: "Zlater\n" },
  { ran: { exitCode: 127 }, report: "Z" },
  { ran: { signalled: true, output: "x\n" }, report: "Zx\nAack, child crashed. (#4.3.0)\n" },
];
for (const { ran, report } of ends) {
  test(`deliver() reports ${JSON.stringify(report)} after a program that ended with ${JSON.stringify(ran)}`, async () => {
    writeFileSync(join(home, ".qmail"), "one@x\n|command line\n./box\ntwo@x\n");
    const programs = ({ command, home: cwd, file, environment }: ProgramRequest): Ran => {
      assert.deepEqual([command, cwd], ["command line", home]);
      assert.ok(environment.includes("SENDER=a@b"));
      const start = Buffer.alloc(11);
      readSync(file, start, 0, 11, 0);
      assert.equal(start.toString(), "Subject: x\n");
      return { exitCode: 0, signalled: false, output: "", ...ran };
    };
    assert.equal(line(await play({}, { programs })), report);
  });
}

test("deliver() keeps Maildir lines done when a later line is deferred, until the last attempt", async () => {
  makeMaildir(nodeFiles, join(home, "Maildir"));
  writeFileSync(join(home, ".qmail"), "./Maildir/\n./box\n./Maildir/\n|later\n");
  const later = { programs: () => ({ exitCode: 111, signalled: false, output: "" }) };
  for (let attempt = 0; attempt < 3; attempt++) assert.equal(line(await play({}, later)), "Z");
  const last = await play({});
  assert.equal(line(last), "Kdid 3+0+1\n");
  assert.equal(stored("Maildir").length, 2);
  assert.equal(readFileSync(join(home, "box"), "latin1").match(/^From /gm)?.length, 1);
  assert.equal(new Set(last.marks).size, 3);
  for (const mark of last.marks) unlinkSync(mark);
  assert.deepEqual(readdirSync(join(home, "Maildir/tmp")), []);
});

test("deliver() keeps a long message in a file without a name, for every line", async () => {
  makeMaildir(nodeFiles, join(home, "Maildir"));
  writeFileSync(join(home, ".qmail"), "./Maildir/\n./box\n|x\n");
  const message = `Subject: long\n\n${"From here\n".repeat(maxMemoryOctets / 5)}`;
  assert.equal(line(await play({}, { message })), "Kdid 2+0+1\n");
  assert.deepEqual(stored("Maildir"), [trace + message]);
  const mbox = `From a@b Thu Jan 01 00:00:00 1970\n${trace}${message.replaceAll("From here", ">From here")}\n`;
  assert.equal(readFileSync(join(home, "box"), "latin1"), mbox);
  assert.deepEqual(readdirSync(join(home, "Maildir/tmp")).length, 1);
});

interface MailboxCase {
  readonly name: string;
  readonly exist: readonly string[];
  readonly local: string;
  readonly homeKind: number;
  readonly report: string;
  readonly maildir?: string;
  /** What may divide the name. */
  readonly delimiters?: string;
}
const none = "DSorry, no mailbox here by that name. (#5.1.1)\n";
const mailboxes: readonly MailboxCase[] = [
  { name: "that exists", exist: ["joe"], local: "Joe", homeKind: homeBelow, report: "Kdid 1+0+0\n", maildir: "joe" },
  { name: "that does not", exist: ["jo"], local: "joe", homeKind: homeBelow, report: none },
  { name: "made at once", exist: [], local: "Joe", homeKind: homeMade, report: "Kdid 1+0+0\n", maildir: "joe" },
  { name: "with an extension nobody has", exist: ["joe"], local: "joe-x", homeKind: homeBelow, report: none },
  {
    name: "with an extension somebody has",
    exist: ["joe/.qmail-x"],
    local: "joe-x",
    homeKind: homeBelow,
    report: "Kdid 0+0+0\n",
  },
  {
    name: "with an extension, where they are made",
    exist: ["joe/.qmail-x"],
    local: "joe-x",
    homeKind: homeMade,
    report: "Kdid 0+0+0\n",
  },
  {
    name: "made beside one that is its beginning",
    exist: ["joe"],
    local: "joe-x",
    homeKind: homeMade,
    report: "Kdid 1+0+0\n",
    maildir: "joe-x",
  },
  {
    name: "with a tag",
    ...{ exist: ["joe"], local: "joe+x", homeKind: homeBelow, delimiters: "-+" },
    ...{ report: "Kdid 1+0+0\n", maildir: "joe" },
  },
  {
    name: "with a tag, where they are made",
    ...{ exist: ["joe"], local: "Joe+x", homeKind: homeMade, delimiters: "+" },
    ...{ report: "Kdid 1+0+0\n", maildir: "joe" },
  },
  {
    name: "with a tag that has a file",
    ...{ exist: ["joe/.qmail-x"], local: "joe+x", homeKind: homeBelow, delimiters: "+" },
    report: "Kdid 0+0+0\n",
  },
  {
    name: "with a tag, and a file for the name alone",
    ...{ exist: ["joe/.qmail"], local: "joe+x", homeKind: homeBelow, delimiters: "+" },
    report: "Kdid 0+0+0\n",
  },
  {
    name: "with what is no tag here",
    ...{ exist: ["joe"], local: "joe+x", homeKind: homeBelow, report: none },
  },
  { name: "above the folder", exist: [], local: "..", homeKind: homeMade, report: none },
  { name: "below another", exist: ["joe"], local: "joe/x", homeKind: homeMade, report: none },
  { name: "whose name is no text", exist: [], local: "jo\xff", homeKind: homeMade, report: none },
];
for (const { name, exist, local, homeKind, report, maildir, delimiters = "-" } of mailboxes) {
  test(`deliver() to a virtual mailbox ${name}: ${report.trim()}`, async () => {
    for (const path of exist) {
      const isFile = path.includes(".qmail");
      mkdirSync(join(home, isFile ? join(path, "..") : path), { recursive: true });
      if (isFile) writeFileSync(join(home, path), "#\n");
    }
    assert.equal(line(await play({ local, homeKind, dash: delimiters })), report);
    if (maildir) assert.equal(stored(maildir, "Maildir").length, 1);
    assert.equal(existsSync(join(home, "..", "Maildir")), false);
  });
}

test("deliver() defers mail for a domain whose folder is not there", async () => {
  const result = await play({ home: join(home, "unmounted"), homeKind: homeBelow });
  assert.equal(result.letter, "Z");
});

const fullLine = "The mailbox is full. (#5.2.2)\n";
const quotas: readonly { name: string; task: Partial<Task>; file?: string; report: string; after?: RegExp }[] = [
  { name: "with room", task: {}, file: "1000S\n0 0\n", report: "Kdid 1+0+0\n", after: /^1000S\n0 0\n[0-9]+ 1\n$/ },
  { name: "that is full", task: {}, file: "10S\n10 1\n", report: `Z${fullLine}`, after: /^10S\n10 1\n$/ },
  { name: "that is full for good", task: { fullIsPermanent: 1 }, file: "10S\n10 1\n", report: `D${fullLine}` },
  { name: "of an account with a quota", task: { quota: "10S" }, report: `Z${fullLine}`, after: /^10S\n0 0\n$/ },
  {
    name: "of an account with room",
    task: { quota: "1000S" },
    report: "Kdid 1+0+0\n",
    after: /^1000S\n0 0\n[0-9]+ 1\n$/,
  },
  { name: "without a quota", task: {}, report: "Kdid 1+0+0\n" },
];
for (const { name, task, file, report, after } of quotas) {
  test(`deliver() to a Maildir ${name}: ${report.trim()}`, async () => {
    makeMaildir(nodeFiles, join(home, "Maildir"));
    const path = join(home, "Maildir/maildirsize");
    if (file !== undefined) writeFileSync(path, file);
    assert.equal(line(await play(task)), report);
    assert.equal(stored("Maildir").length, report.startsWith("K") ? 1 : 0);
    if (after) assert.match(readFileSync(path, "latin1"), after);
    else if (file === undefined) assert.equal(existsSync(path), false);
  });
}

test("deliver() again to a Maildir that its own first attempt has filled is no failure, and counts once", async () => {
  makeMaildir(nodeFiles, join(home, "Maildir"));
  const path = join(home, "Maildir/maildirsize");
  writeFileSync(path, "1C\n0 0\n");
  for (const attempt of [1, 2]) assert.equal(line(await play({})), "Kdid 1+0+0\n", `attempt ${attempt}`);
  assert.equal(stored("Maildir").length, 1);
  assert.match(readFileSync(path, "latin1"), /^1C\n[0-9]+ 1\n$/);
  assert.equal(line(await play({ name: "m2" })), `Z${fullLine}`);
});
