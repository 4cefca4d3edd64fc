import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { type Server, startServer, temporaryFolder, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

/** qmail's checklist for .qmail files, on a whole server: a message goes in by SMTP, the log tells what became of it. */
const root = temporaryFolder();
const home = join(root, "home");
let server: Server;
before(async () => {
  const ids = `${process.getuid?.()}:${process.getgid?.()}`;
  const assign = ["", "writable", "sticky"].flatMap((name) => {
    const user = name || "u";
    return [
      `=${user}:${user}:${ids}:${join(root, name || "home")}:::\n`,
      `+${user}-:${user}:${ids}:${join(root, name || "home")}:-::\n`,
    ];
  });
  for (const name of ["home", "writable", "sticky"]) mkdirSync(join(root, name), { mode: 0o755 });
  chmodSync(join(root, "writable"), 0o757);
  chmodSync(join(root, "sticky"), 0o1755);
  server = await startServer({
    folder: root,
    control: {
      locals: "mail.here.example\n",
      rcpthosts: "mail.here.example\n",
      mailboxdomains: "",
      recipientcheck: "accept",
    },
    files: { "users/assign": `${assign.join("")}.\n` },
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

interface Sent {
  /** What the log says of its first delivery, `success: did 1+0+0/`. */
  readonly report: string;
  readonly message: number;
}

async function send(
  localPart: string,
  { sender = "s@sender.example", text = "Subject: x\n\nbody\n" } = {},
): Promise<Sent> {
  const client = await SmtpClient.open(server.smtpPort);
  await client.command("EHLO client.example");
  const reply = await client.message(sender, [`${localPart}@mail.here.example`], text);
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
  return { message, report: `${result}: ${String(said).replaceAll("\n", "/")}` };
}
const report = async (localPart: string, more?: Parameters<typeof send>[1]): Promise<string> =>
  (await send(localPart, more)).report;
const write = (name: string, text: string, mode = 0o644): void => {
  writeFileSync(join(home, name), text);
  chmodSync(join(home, name), mode);
};
const read = (name: string): string => readFileSync(join(home, name), "latin1");
const maildir = (name: string): void => {
  for (const sub of ["tmp", "new", "cur"]) mkdirSync(join(home, name, sub), { recursive: true });
};
const says = (word: string): string => `|echo ${word}; exit 100\n`;

interface Case {
  readonly name: string;
  readonly to: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly mode?: number;
  readonly text?: string;
  readonly sender?: string;
  readonly report: string;
}
const noMailbox = "failure: Sorry, no mailbox here by that name. (#5.1.1)/";
const looping = "failure: This message is looping: it already has my Delivered-To line. (#5.4.6)/";
const here = "mail.here.example";
const cases: readonly Case[] = [
  {
    name: "91 Foo.Bar is .qmail-foo:bar",
    to: "u-Foo.Bar",
    files: { ".qmail-foo:bar": "#\n" },
    report: "success: did 0+0+0/",
  },
  {
    name: "92 the exact file first",
    to: "u-a-b-c",
    files: { ".qmail-a-b-c": says("1"), ".qmail-a-b-default": says("2") },
    report: "failure: 1/",
  },
  {
    name: "92 a-b-default second",
    to: "u-a-b-c",
    files: { ".qmail-a-b-default": says("2"), ".qmail-a-default": says("3") },
    report: "failure: 2/",
  },
  {
    name: "92 a-default third",
    to: "u-a-b-c",
    files: { ".qmail-a-default": says("3"), ".qmail-default": says("4") },
    report: "failure: 3/",
  },
  {
    name: "92 default last",
    to: "u-a-b-c",
    files: { ".qmail-default": says("4"), ".qmail": says("5") },
    report: "failure: 4/",
  },
  { name: "93 no file for an extension", to: "u-nobody", report: noMailbox },
  {
    name: "95 a blank first line",
    to: "u-x",
    files: { ".qmail-x": "\n./Box\n" },
    report: "deferral: Uh-oh: first line of .qmail file is blank. (#4.2.1)/",
  },
  {
    name: "96 comments and later empty lines",
    to: "u-x",
    files: { ".qmail-x": "# one\n\n#two\n\n./Box\n" },
    report: "success: did 1+0+0/",
  },
  {
    name: "99 a comment alone throws away",
    to: "u-x",
    files: { ".qmail-x": "# nobody\n" },
    report: "success: did 0+0+0/",
  },
  {
    name: "101 a failing line ends it all",
    to: "u-x",
    files: { ".qmail-x": "&u-y@h\n|exit 111\n./Box\n" },
    report: "deferral: ",
  },
  {
    name: "104 a command that is not there",
    to: "u-x",
    files: { ".qmail-x": "|/nonexistent/command 2>/dev/null\n" },
    report: "deferral: ",
  },
  {
    name: "104 a file that cannot be run",
    to: "u-x",
    files: { ".qmail-x": "|./.qmail-x 2>/dev/null\n" },
    report: "deferral: ",
  },
  {
    name: "106 a program killed by a signal",
    to: "u-x",
    files: { ".qmail-x": "|kill -9 $$\n" },
    report: "deferral: Aack, child crashed. (#4.3.0)/",
  },
  {
    name: "107 +list, then a file",
    to: "u-x",
    files: { ".qmail-x": "|true\n+list\n./Box\n" },
    report: "deferral: Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)/",
  },
  {
    name: "107 +list, then a program",
    to: "u-x",
    files: { ".qmail-x": "+list\n|true\n" },
    report: "deferral: Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)/",
  },
  {
    name: "107 an executable .qmail with a file",
    to: "u-x",
    files: { ".qmail-x": "./Box\n" },
    mode: 0o744,
    report: "deferral: Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)/",
  },
  {
    name: "107 an executable .qmail with a program",
    to: "u-x",
    files: { ".qmail-x": "|true\n" },
    mode: 0o744,
    report: "deferral: Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)/",
  },
  {
    name: "108 a home that others may write to",
    to: "writable",
    report: "deferral: Uh-oh: home directory is writable. (#4.7.0)/",
  },
  {
    name: "109 a sticky home",
    to: "sticky",
    report: "deferral: Home directory is sticky: user is editing his .qmail file. (#4.2.1)/",
  },
  {
    name: "110 a .qmail that others may write to",
    to: "u-x",
    files: { ".qmail-x": "#\n" },
    mode: 0o646,
    report: "deferral: Uh-oh: .qmail file is writable. (#4.7.0)/",
  },
  {
    name: "111 our Delivered-To in the header",
    to: "u-x",
    files: { ".qmail-x": "#\n" },
    text: `Subject: x\nDelivered-To: u-x@${here}\n\n`,
    report: looping,
  },
  {
    name: "111 our Delivered-To in the body",
    to: "u-x",
    files: { ".qmail-x": "#\n" },
    text: `Subject: x\n\nDelivered-To: u-x@${here}\n`,
    report: "success: did 0+0+0/",
  },
  {
    name: "112 Delivered-To in another case",
    to: "u-x",
    files: { ".qmail-x": "#\n" },
    text: `Delivered-To: U-x@${here}\n\n`,
    report: "success: did 0+0+0/",
  },
  {
    name: "125 a Maildir that is not there",
    to: "u-x",
    files: { ".qmail-x": "./None/\n" },
    report: "deferral: Unable to chdir to maildir. (#4.2.1)/",
  },
  {
    name: "128 a forward that can never be queued",
    to: "u-x",
    files: { ".qmail-x": `&${"x".repeat(2_000)}@h\n` },
    report:
      "failure: Unable to forward message: address of more than 1000 octets or with control characters. (#5.1.3)/",
  },
];
for (const { name, to, files = {}, mode, report: expected, ...more } of cases) {
  test(`§17.${name}: ${expected}`, async () => {
    for (const [file, text] of Object.entries(files)) write(file, text, mode);
    assert.equal(await report(to, more), expected);
    assert.equal(existsSync(join(home, "None")), false);
    assert.equal(existsSync(join(home, "Box")), expected === "success: did 1+0+0/");
  });
}

test("§17.94 no .qmail, or an empty one, is the default delivery", async () => {
  maildir("Maildir");
  assert.equal(await report("u"), "success: did 1+0+0/");
  write(".qmail", "");
  assert.equal(await report("u"), "success: did 1+0+0/");
  write(".qmail-x", "", 0o744);
  assert.equal(await report("u-x"), "success: did 1+0+0/");
  assert.equal(readdirSync(join(home, "Maildir/new")).length, 3);
});

test("§17.97 trailing blanks are cut; with a leading one a line is an address", async () => {
  write(".qmail-x", "./Box \t\n ./Other\n");
  assert.match(await report("u-x"), /^success: did 1\+1\+0\/qp [0-9]+\/$/);
  assert.equal(existsSync(join(home, "Box")), true);
  assert.equal(existsSync(join(home, "Other")), false);
});

test("§17.98 a path is an mbox, with a slash at its end a Maildir", async () => {
  maildir("Maildir");
  write(".qmail-x", `./Mailbox\n${home}/Maildir/\n`);
  assert.equal(await report("u-x"), "success: did 2+0+0/");
  assert.match(read("Mailbox"), /^From s@sender\.example /);
  assert.equal(readdirSync(join(home, "Maildir/new")).length, 1);
});

test("§17.100 §17.127 forwards go out once, together, after all else; the report has their number", async () => {
  write(".qmail-x", "&u-one@mail.here.example\n./Box\nu-two@mail.here.example\n");
  for (const name of ["one", "two"]) write(`.qmail-${name}`, "#\n");
  const { report: said } = await send("u-x");
  const forward = Number(/^success: did 1\+2\+0\/qp ([0-9]+)\/$/.exec(said)?.[1]);
  const starts = () => events().filter(({ event, message }) => event === "starting" && message === forward);
  await until("both forwards", () => starts().length === 2);
  assert.deepEqual(
    starts()
      .map(({ recipient }) => recipient)
      .sort(),
    ["u-one@mail.here.example", "u-two@mail.here.example"],
  );
});

test("§17.102 exit 99 skips the lines after it, not the forwards before", async () => {
  write(".qmail-x", "&u-one@mail.here.example\n|exit 99\n./Box\n&u-two@mail.here.example\n");
  write(".qmail-one", "#\n");
  assert.match(await report("u-x"), /^success: did 0\+1\+1\/qp [0-9]+\/$/);
  assert.equal(existsSync(join(home, "Box")), false);
});

for (const code of [100, 64, 65, 70, 76, 77, 78, 112]) {
  test(`§17.103 exit ${code} is for good`, async () => {
    write(".qmail-x", `|echo why; exit ${code}\n`);
    assert.equal(await report("u-x"), "failure: why/");
  });
}
for (const code of [1, 2, 63, 71, 75, 98, 111, 113, 255]) {
  test(`§17.103 exit ${code} is for now`, async () => {
    write(".qmail-x", `|echo why; exit ${code}\n`);
    assert.equal(await report("u-x"), "deferral: why/");
  });
}

test("§17.105 a program reads the message from its first Received line, in the home", async () => {
  write(".qmail-x", "|cat >seen; pwd >where\n");
  assert.equal(await report("u-x"), "success: did 0+0+1/");
  assert.match(read("seen"), /^Received: [\s\S]*\nSubject: x\n\nbody\n$/);
  assert.equal(read("where"), `${home}\n`);
});

const variables = [
  { extension: "One.A-two-three-four", EXT2: "two-three-four", EXT3: "three-four", EXT4: "four" },
  { extension: "One.A-two", EXT2: "two", EXT3: "", EXT4: "" },
  { extension: "one", EXT2: "", EXT3: "", EXT4: "" },
];
for (const { extension, ...expected } of variables) {
  test(`§17.113 §17.114 the environment for the extension ${extension}`, async () => {
    write(".qmail-default", "|env >environment\n");
    assert.equal(await report(`u-${extension}`), "success: did 0+0+1/");
    const environment = new Map(
      read("environment")
        .split("\n")
        .map((line) => line.split(/=(.*)/s, 2) as [string, string]),
    );
    const all = {
      USER: "u",
      HOME: home,
      LOCAL: `u-${extension}`,
      HOST: here,
      RECIPIENT: `u-${extension}@${here}`,
      SENDER: "s@sender.example",
      NEWSENDER: "s@sender.example",
      EXT: extension,
      DEFAULT: extension,
      HOST2: "mail.here",
      HOST3: "mail",
      HOST4: "mail",
      ...expected,
    };
    for (const [name, value] of Object.entries(all)) assert.equal(environment.get(name), value, name);
  });
}

test("§17.114 DEFAULT is not set for a file found by its own name", async () => {
  write(".qmail-x", "|env >environment\n");
  await send("u-x");
  assert.doesNotMatch(read("environment"), /^DEFAULT=/m);
});

test("§17.115 the empty sender is MAILER-DAEMON in the From_ line", async () => {
  write(".qmail-x", "./Box\n");
  assert.equal(await report("u-x", { sender: "" }), "success: did 1+0+0/");
  assert.match(
    read("Box"),
    /^From MAILER-DAEMON [A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{2} [0-9:]{8} [0-9]{4}\nReturn-Path: <>\n/,
  );
});

const owners = [
  { name: "116 with -owner", files: ["list-owner"], to: "list", becomes: `u-list-owner@${here}` },
  {
    name: "117 with -owner-default too",
    files: ["list-owner", "list-owner-default"],
    to: "list",
    becomes: `u-list-owner-u-sink=${here}@${here}`,
  },
  {
    name: "118 never for the empty sender",
    files: ["list-owner", "list-owner-default"],
    to: "list",
    sender: "",
    becomes: "",
  },
  {
    name: "119 not by the name of the default file",
    files: ["list-default", "list-owner"],
    to: "list-any",
    becomes: "s@sender.example",
  },
  {
    name: "119 with the whole extension",
    files: ["list-default", "list-any-owner"],
    to: "list-any",
    becomes: `u-list-any-owner@${here}`,
  },
];
for (const { name, files, to, becomes, sender } of owners) {
  test(`§17.${name}: forwards leave with <${becomes}>`, async () => {
    for (const file of files) write(`.qmail-${file}`, "");
    write(to === "list" ? ".qmail-list" : ".qmail-list-default", `&u-sink@${here}\n`);
    write(".qmail-sink", "./Sink\n");
    assert.match(await report(`u-${to}`, sender === undefined ? {} : { sender }), /^success: did 0\+1\+0\//);
    await until("the forward", () => existsSync(join(home, "Sink")) && read("Sink").endsWith("body\n\n"));
    assert.match(read("Sink"), new RegExp(`^From [^\n]*\nReturn-Path: <${becomes.replaceAll(".", "\\.")}>\n`));
  });
}

test("§17.120 a forward has Delivered-To on top of the message, and no Return-Path", async () => {
  write(".qmail-x", `&u-sink@${here}\n`);
  write(".qmail-sink", "|cat >seen.part; mv seen.part seen\n");
  await send("u-x");
  await until("the forward", () => existsSync(join(home, "seen")));
  assert.match(read("seen"), new RegExp(`^Received: [^\n]*\nDelivered-To: u-x@${here}\nReceived: `));
  assert.doesNotMatch(read("seen"), /^Return-Path/m);
});

test("§17.121 an mbox entry: From_, Return-Path, Delivered-To, the message quoted, an empty line", async () => {
  write(".qmail-x", "./Box\n");
  await send("u-x", { text: "Subject: x\n\nFrom here\n>From there\nFromage\n" });
  const date = "[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{2} [0-9:]{8} [0-9]{4}";
  const top = `From s@sender\\.example ${date}\nReturn-Path: <s@sender\\.example>\nDelivered-To: u-x@${here}\n`;
  assert.match(
    read("Box"),
    new RegExp(`^${top}Received: [\\s\\S]*\nSubject: x\n\n>From here\n>>From there\nFromage\n\n$`),
  );
});

test("§17.124 §17.126 Maildir files are the owner's alone, one for each line, whole, without From_ and quoting", async () => {
  maildir("Maildir");
  write(".qmail-x", "./Maildir/\n./Maildir/\n");
  assert.equal(await report("u-x", { text: "Subject: x\n\nFrom here" }), "success: did 2+0+0/");
  const names = readdirSync(join(home, "Maildir/new"));
  assert.equal(names.length, 2);
  for (const name of names) {
    const text = read(join("Maildir/new", name));
    assert.match(text, new RegExp(`^Return-Path: <s@sender\\.example>\nDelivered-To: u-x@${here}\nReceived: `));
    assert.match(text, /\nSubject: x\n\nFrom here\n$/);
    assert.equal(statSync(join(home, "Maildir/new", name)).mode & 0o777, 0o600);
  }
});
