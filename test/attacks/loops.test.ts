import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { mailboxOf, readMaildir, type Server, startServer, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import { startSmtpPeer } from "../support/smtp-peer.ts";

let server: Server;
let other: Server;
const stack = new AsyncDisposableStack();
/** Answers to whoever wrote, as bad vacation programs do: also to bounces, and as somebody who can be written to. */
const answers = (root: string, who: string): string =>
  `|test "$SENDER" = "" || exec '${join(import.meta.dirname, "../../bin/postern")}' sendmail --root '${root}' -f '${who}' -- "$SENDER"\n`;

before(async () => {
  const refusing = stack.use(await startSmtpPeer({ script: { RCPT: "550 5.1.1 nobody here" } }));
  const mailboxes: Record<string, string> = {
    "self/.qmail": "&self@localhost\n",
    "self/.qmail-default": "&self-more@localhost\n",
    "ping/.qmail": "&pong@localhost\n",
    "pong/.qmail": "&ping@localhost\n",
    "capitals/.qmail": "&CAPITALS@localhost\n",
    "both/.qmail": "&both@localhost\n./mbox\n&both-x@LOCALHOST\n",
    "both/.qmail-x": "&both@localhost\n",
    "a/.qmail": "&b@localhost\n&c@localhost\n",
    "b/.qmail": "&c@localhost\n&a@localhost\n",
    "c/.qmail": "&a@localhost\n&b@localhost\n",
    "there/.qmail": "&back@other.example\n",
    "postmaster/.qmail": "|exit 100\n",
  };
  const files = Object.fromEntries(Object.entries(mailboxes).map(([name, text]) => [`mail/localhost/${name}`, text]));
  const control = { me: "other.example\n", mailboxdomains: "other.example:create\n" };
  const back = { "mail/other.example/back/.qmail": "&there@localhost\n" };
  other = stack.use(await startServer({ control, files: back }));
  const smtproutes = `far.example:127.0.0.1:${refusing.port}\nother.example:127.0.0.1:${other.smtpPort}\n`;
  const mailboxdomains = "localhost:create\nfirst.example:create\n";
  server = stack.use(await startServer({ control: { smtproutes, mailboxdomains, recipientcheck: "accept\n" }, files }));
  const ours = ["localhost", "first.example"].map((domain) => `${domain}:127.0.0.1:${server.smtpPort}\n`);
  writeFileSync(join(other.root, "control/smtproutes"), ours.join(""));
  await other.postern(["reload"]);
});
after(() => stack.disposeAsync());

const logged = (of: Server, event: string): number =>
  readFileSync(join(of.root, "log/current"), "utf8").split(`"event":"${event}"`).length - 1;
const isEmpty = async (of: Server): Promise<boolean> => (await of.postern(["queue", "list", "--json"])).stdout === "";

async function send(to: readonly string[], from: string, text = "Subject: loop\n\nbody\n"): Promise<string> {
  const client = await SmtpClient.open(server.smtpPort);
  await client.command("EHLO c.example");
  const reply = await client.message(from, to, text);
  await client.quit();
  return reply;
}

const huge = "X-Long: ".padEnd(900, "x").concat("\n").repeat(1_200);
/** `most`: how many messages may come of the one. */
const rows = [
  { name: "a .qmail that forwards to itself", to: "self@localhost", most: 3 },
  { name: "one that forwards to itself under another extension", to: "self-any@localhost", most: 4 },
  { name: "two that forward to each other", to: "ping@localhost", most: 4 },
  { name: "one that changes case to get past Delivered-To", to: "capitals@localhost", most: 5 },
  { name: "one that also keeps a copy each time", to: "both@localhost", most: 12 },
  { name: "three that each forward to the two others", to: "a@localhost", most: 40 },
  {
    name: "one that begins behind a header of a megabyte",
    to: "ping@localhost",
    text: `${huge}Subject: long\n\n`,
    most: 4,
  },
  {
    name: "one with a Delivered-To that is folded",
    to: "self@localhost",
    text: "Delivered-To:\n self@localhost\n\n",
    most: 3,
  },
  {
    name: "one with a Delivered-To in capitals",
    to: "self@localhost",
    text: "DELIVERED-TO: self@localhost\n\n",
    most: 3,
  },
] as const;
for (const { name, to, most, ...more } of rows) {
  test(`${name}: ends, with no more than ${most} messages and a bounce`, async () => {
    const [messages, bounces] = [logged(server, "new"), readMaildir(mailboxOf(server, "writer")).length];
    assert.match(await send([to], "writer@localhost", "text" in more ? more.text : undefined), /^250/);
    await until("an empty queue", () => isEmpty(server));
    const came = logged(server, "new") - messages;
    assert.ok(came >= 2 && came <= most, `${came} messages`);
    const told = readMaildir(mailboxOf(server, "writer")).slice(bounces);
    assert.ok(told.length >= 1 && told.every(({ text }) => text.startsWith("Return-Path: <>\n")));
  });
}

test("two servers that forward to each other end with one bounce", async () => {
  const [here, there] = [logged(server, "new"), logged(other, "new")];
  const client = await SmtpClient.open(other.smtpPort);
  await client.command("EHLO c.example");
  assert.match(await client.message("writer@other.example", ["back@other.example"], "Subject: between\n\n"), /^250/);
  await client.quit();
  const box = join(other.root, "mail/other.example/writer/Maildir");
  await until("the bounce", async () => (await isEmpty(server)) && (await isEmpty(other)) && logged(other, "end") > 0);
  assert.ok(logged(server, "new") - here <= 3 && logged(other, "new") - there <= 4);
  assert.ok(readMaildir(box).length <= 1);
});

test("a bounce that bounces goes to the postmaster, and if that fails nowhere", async () => {
  const before = logged(server, "new");
  assert.match(await send(["x@far.example"], "y@far.example"), /^250/);
  await until("the end of it", async () => (await isEmpty(server)) && logged(server, "triple bounce") === 1);
  assert.equal(logged(server, "new") - before, 3);
});

/** A mailbox whose owner is away: what comes stays, and is answered. */
function makeAway(of: Server, domain: string, name: string, answer: string): void {
  const home = join(of.root, "mail", domain, name);
  for (const part of ["tmp", "new", "cur"]) mkdirSync(join(home, "Maildir", part), { recursive: true });
  writeFileSync(join(home, ".qmail"), `./Maildir/\n${answer}`);
}

test("two programs that answer every message, also each other, stop at the first that has no sender", async () => {
  for (const name of ["away", "gone"]) makeAway(server, "localhost", name, answers(server.root, ""));
  const before = logged(server, "new");
  assert.match(await send(["away@localhost"], "gone@localhost"), /^250/);
  await until("the answer", () => readMaildir(mailboxOf(server, "gone")).length === 1);
  await until("an empty queue", () => isEmpty(server));
  assert.equal(logged(server, "new") - before, 2);
});

/** As `vacation` does: nobody is answered twice. */
const once = (answer: string): string => answer.replace("|", '|test -e "./$SENDER" && exit 0; touch "./$SENDER"; ');

/** `copies`: of all that came of one message, which is counted too: here, there. */
for (const [name, answer, copies] of [
  ["answer every message, with no sender", (root: string) => answers(root, ""), [1, 1]],
  ["answer as themselves, everybody once", (root: string, who: string) => once(answers(root, who)), [2, 1]],
] as const) {
  test(`two programs on two servers that ${name}, come to an end`, async () => {
    const who = name.split(" ")[1] ?? "";
    makeAway(server, "first.example", who, answer(server.root, `${who}@first.example`));
    makeAway(other, "other.example", who, answer(other.root, `${who}@other.example`));
    assert.match(await send([`${who}@first.example`], `${who}@other.example`), /^250/);
    const boxes = [
      join(server.root, `mail/first.example/${who}/Maildir`),
      join(other.root, `mail/other.example/${who}/Maildir`),
    ];
    const counts = (): number[] => boxes.map((box) => readMaildir(box).length);
    await until("the answers", () => counts().join() === copies.join());
    await until("empty queues", async () => (await isEmpty(server)) && (await isEmpty(other)));
    assert.deepEqual(counts(), copies);
  });
}

for (const field of ["Received: x", "RECEIVED: x", "Received : x", "Delivered-To: a@b"]) {
  test(`a message with 100 fields "${field}" is not taken`, async () => {
    assert.match(await send(["hops@localhost"], "w@c.example", `${`${field}\n`.repeat(100)}\n`), /^554 5\.4\.6/);
    assert.match(await send(["hops@localhost"], "w@c.example", `${`${field}\n`.repeat(98)}\n`), /^250/);
  });
}
