import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { limitsControl, openStage, plainControl, type Stage } from "../../../test/dialogues/stage.ts";
import { Talk } from "../../../test/dialogues/talk.ts";
import { readSettings } from "../../protocol/control/parse.ts";
import { permanent, temporary } from "../../protocol/outcome.ts";
import { flagTlsOptional, submissionWindowOctets } from "../../protocol/wire/submission.ts";

const ticks = (stage: Stage, seconds: number): void => {
  for (let n = 0; n < seconds; n++) stage.service.tick();
};

/** A client that has read its greeting. */
async function greeted(stage: Stage): Promise<Talk> {
  const talk = await Talk.open(stage.port);
  assert.equal(await talk.reply(), "220 localhost ESMTP");
  return talk;
}

/** A client that may send its body now. */
async function atData(stage: Stage): Promise<Talk> {
  const talk = await greeted(stage);
  assert.match(await talk.ask("EHLO client.example"), /^250/);
  assert.match(await talk.ask("MAIL FROM:<a@b.example> BODY=8BITMIME"), /^250/);
  assert.match(await talk.ask("RCPT TO:<c@localhost>"), /^250/);
  assert.match(await talk.ask("DATA"), /^354/);
  return talk;
}

test("§17.149 smtpd hands on envelope and body, with its Received line first", async () => {
  await using stage = await openStage(plainControl);
  const talk = await atData(stage);
  assert.match(await talk.ask("Subject: x\r\n\r\n..dot\r\n\xe4\r\n."), /^250 2\.0\.0 ok \d+ qp 1$/);
  const [message] = stage.queue.messages;
  assert.ok(message);
  const { body, ...envelope } = message;
  assert.deepEqual(envelope, {
    reversePath: "a@b.example",
    forwardPaths: ["c@localhost"],
    bodyKind: 1,
    uid: process.getuid?.() ?? 0,
  });
  const received =
    /^Received: from unknown \(HELO client\.example\) \(127\.0\.0\.1\)\n {2}by localhost with ESMTP; .* -0000\n/;
  assert.match(body, received);
  assert.equal(body.replace(received, ""), "Subject: x\n\n.dot\n\xe4\n");
});

test("smtpd sees in a header that its sender would rather have it arrive without TLS than not at all", async () => {
  await using stage = await openStage(plainControl);
  for (const field of ["TLS-Required: No", "TLS-Required: Yes"]) {
    const talk = await atData(stage);
    assert.match(await talk.ask(`Subject: x\r\n${field}\r\n\r\n.`), /^250 /);
  }
  assert.deepEqual(
    stage.queue.messages.map(({ options }) => options?.flags),
    [flagTlsOptional, undefined],
  );
});

test("smtpd logs what happened on a connection", async () => {
  await using stage = await openStage(plainControl);
  const talk = await atData(stage);
  await talk.ask(".");
  await talk.ask("WHAT now");
  await talk.ask("QUIT");
  talk.close();
  await stage.service.stop();
  const [connection, accepted, refusal, disconnection] = stage.events;
  assert.equal(stage.events.length, 4);
  assert.partialDeepStrictEqual(connection, { event: "connection", address: "127.0.0.1", service: "smtp" });
  assert.deepEqual(accepted, { event: "accepted", connection: 1, message: 1, recipients: 1 });
  assert.partialDeepStrictEqual(refusal, { event: "refusal", connection: 1, command: "WHAT now" });
  assert.deepEqual(disconnection, { event: "disconnection", connection: 1, why: "quit", messages: 1 });
});

const verdicts = [
  { verdict: temporary("3.1", "cannot write: no space"), reply: "451 4.3.1 cannot write: no space" },
  { verdict: permanent("6.0", "no\r\nway"), reply: "554 5.6.0 no??way" },
];
for (const { verdict, reply } of verdicts) {
  test(`§17.150 smtpd says "${reply}" for what queue refuses, and goes on`, async () => {
    await using stage = await openStage(plainControl);
    stage.queue.answer = () => verdict;
    const talk = await atData(stage);
    assert.equal(await talk.ask("text\r\n."), reply);
    assert.equal(await talk.ask("NOOP"), "250 2.0.0 ok");
  });
}

test("smtpd reads on to the end of a message that queue refuses early", async () => {
  await using stage = await openStage(plainControl);
  const talk = await atData(stage);
  talk.send("begin\r\n");
  await stage.queue.until(() => stage.queue.receivedOctets > 0);
  stage.queue.refuse(stage.queue.streams[0] ?? 0, 0, "full");
  assert.equal(await talk.ask("QUIT\r\n."), "451 4.3.1 full");
  assert.equal(await talk.ask("NOOP"), "250 2.0.0 ok");
});

test("smtpd answers 451 when queue goes away after the commit, and in the middle of a body", async () => {
  await using stage = await openStage(plainControl);
  stage.queue.answer = () => undefined;
  const committed = await atData(stage);
  const midway = await atData(stage);
  midway.send("begin\r\n");
  committed.send("text\r\n.\r\n");
  await stage.queue.until(() => stage.queue.receivedOctets > 0 && stage.queue.messages.length === 1);
  await stage.queue.hangUp();
  assert.match(await committed.reply(), /^451 4\.3\.0 the queue went away/);
  assert.match(await midway.ask("end\r\n."), /^451 4\.3\.0 the queue went away/);
});

test("smtpd lets a message wait while queue is away, before 354 and after", async () => {
  await using stage = await openStage(plainControl);
  const after = await atData(stage);
  const before = await greeted(stage);
  await stage.queue.hangUp();
  before.send("MAIL FROM:<>\r\nRCPT TO:<c@localhost>\r\nDATA\r\n");
  assert.deepEqual([await before.reply(), await before.reply()], ["250 2.1.0 ok", "250 2.1.5 ok"]);
  after.send("text\r\n.\r\n");
  ticks(stage, 4);
  await stage.queue.connect(stage.service.attachQueue);
  assert.match(await before.reply(), /^354/);
  assert.match(await after.reply(), /^250 2\.0\.0 ok/);
  assert.match(await before.ask("."), /^250 2\.0\.0 ok/);
});

test("smtpd gives up waiting for queue after 5 seconds", async () => {
  await using stage = await openStage(plainControl);
  const after = await atData(stage);
  const before = await greeted(stage);
  await stage.queue.hangUp();
  before.send("MAIL FROM:<>\r\nRCPT TO:<c@localhost>\r\nDATA\r\n");
  assert.deepEqual([await before.reply(), await before.reply()], ["250 2.1.0 ok", "250 2.1.5 ok"]);
  ticks(stage, 5);
  assert.match(await before.reply(), /^451 4\.3\.0/);
  assert.match(await before.ask("MAIL FROM:<>"), /^250/);
  after.send("text\r\n.\r\n");
  let reply: string | undefined;
  const replied = after.reply().then((line) => {
    reply = line;
  });
  for (let seconds = 0; seconds < 200 && reply === undefined; seconds++) {
    stage.service.tick();
    await new Promise(setImmediate);
  }
  await replied;
  assert.match(reply ?? "", /^421 4\.3\.0/);
});

test("smtpd sends no more than the window without credit, then all of a big message", async () => {
  await using stage = await openStage(plainControl);
  stage.queue.givesCredit = false;
  const talk = await atData(stage);
  const line = `${"0123456789".repeat(7)}\r\n`;
  talk.send(line.repeat(150_000));
  await stage.queue.until(() => stage.queue.receivedOctets >= submissionWindowOctets);
  assert.equal(stage.queue.receivedOctets, submissionWindowOctets);
  assert.ok(talk.unsentOctets > 0, "the client is held back");
  stage.queue.giveCredit();
  assert.match(await talk.ask("."), /^250/);
  const body = stage.queue.messages[0]?.body ?? "";
  assert.equal(body.slice(body.indexOf("0123")), line.replace("\r", "").repeat(150_000));
});

test("smtpd hands on more recipients than one frame holds", async () => {
  await using stage = await openStage({ ...plainControl, maxrecipients: "1000" });
  const talk = await greeted(stage);
  const forwardPaths = Array.from({ length: 1_000 }, (_, n) => `${String(n).padStart(200, "r")}@localhost`);
  talk.send(`MAIL FROM:<>\r\n${forwardPaths.map((path) => `RCPT TO:<${path}>\r\n`).join("")}DATA\r\n.\r\nQUIT\r\n`);
  let line = await talk.line();
  while (line !== undefined && !line.startsWith("221")) line = await talk.line();
  assert.deepEqual(stage.queue.messages[0]?.forwardPaths, forwardPaths);
});

test("§17.153 smtpd takes a pipelined session at every cut", async () => {
  await using stage = await openStage(plainControl);
  const wire =
    "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<c@localhost>\r\nDATA\r\na\r\n..\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c@localhost>\r\nDATA\r\n.\r\nQUIT\r\n";
  for (let cut = 1; cut < wire.length; cut += 3) {
    const talk = await greeted(stage);
    talk.send(wire.slice(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    talk.send(wire.slice(cut));
    const codes: string[] = [];
    for (let line = await talk.line(); line !== undefined; line = await talk.line()) {
      if (line.charAt(3) === " ") codes.push(line.slice(0, 3));
    }
    assert.deepEqual(codes.join(" "), "250 250 250 354 250 250 250 354 250 221", `cut at ${cut}`);
    talk.close();
  }
  assert.ok(stage.queue.messages.every(({ body }, at) => body.endsWith(at % 2 === 0 ? "-0000\na\n.\n" : "-0000\n")));
});

test("§17.151 smtpd keeps nothing of a message whose client goes away", async () => {
  await using stage = await openStage(plainControl);
  const talk = await atData(stage);
  talk.send("text\r\n");
  await stage.queue.until(() => stage.queue.receivedOctets > 0);
  talk.close();
  await stage.queue.until(() => stage.queue.abandoned === 1);
  assert.equal(stage.queue.messages.length, 0);
});

test("smtpd answers a client that has said its last", async () => {
  await using stage = await openStage(plainControl);
  const talk = await atData(stage);
  talk.send("text\r\n.\r\nQUIT\r\n");
  talk.endOutput();
  assert.match(await talk.reply(), /^250 2\.0\.0 ok/);
  assert.match(await talk.reply(), /^221/);
});

test("§17.135 smtpd abandons a body with a stray line end", async () => {
  await using stage = await openStage(plainControl);
  const talk = await atData(stage);
  talk.send("text\r\n");
  await stage.queue.until(() => stage.queue.receivedOctets > 0);
  talk.send("stray\n.\r\nMAIL FROM:<>\r\n");
  assert.match(await talk.reply(), /^550 5\.6\.11/);
  assert.equal(await talk.line(), undefined);
  await stage.queue.until(() => stage.queue.abandoned === 1);
});

test("§17.152 smtpd gives silent clients up: at a command, in a command, in a body, after its own last word", async () => {
  await using stage = await openStage({ ...plainControl, timeoutsmtpd: "100" });
  const silent = await greeted(stage);
  const slow = await greeted(stage);
  const midway = await atData(stage);
  ticks(stage, 50);
  slow.send("NO");
  midway.send("text\r\n");
  await stage.queue.until(() => stage.queue.receivedOctets > 0);
  ticks(stage, 50);
  assert.equal(await silent.reply(), "421 4.4.2 timeout");
  assert.equal(await slow.reply(), "421 4.4.2 timeout");
  ticks(stage, 50);
  assert.equal(await midway.reply(), "421 4.4.2 timeout");
  await stage.queue.until(() => stage.queue.abandoned === 1);
  ticks(stage, 5);
  await stage.service.stop();
  assert.equal(stage.events.filter(({ event }) => event === "disconnection").length, 3);
});

test("smtpd waits long for a verdict, but not for ever", async () => {
  await using stage = await openStage(plainControl);
  stage.queue.answer = () => undefined;
  const talk = await atData(stage);
  talk.send(".\r\n");
  await stage.queue.until(() => stage.queue.messages.length === 1);
  ticks(stage, 539);
  ticks(stage, 1);
  assert.match(await talk.reply(), /^451 4\.3\.0/);
});

test("smtpd turns away connections over its limit", async () => {
  await using stage = await openStage({ ...plainControl, maxconnectionsperaddress: "2" });
  const first = await greeted(stage);
  await greeted(stage);
  const third = await Talk.open(stage.port);
  assert.match(await third.reply(), /^421 4\.7\.0/);
  assert.equal(await third.line(), undefined);
  await first.ask("QUIT");
  first.close();
  while (!stage.events.some(({ event }) => event === "disconnection")) await new Promise(setImmediate);
  await greeted(stage);
});

test("smtpd says goodbye to idle clients when it stops, and lets transactions finish", async () => {
  await using stage = await openStage(plainControl);
  const idle = await greeted(stage);
  const busy = await atData(stage);
  const stopped = stage.service.stop();
  assert.match(await idle.reply(), /^421 4\.3\.2/);
  idle.endOutput();
  assert.match(await busy.ask("text\r\n."), /^250/);
  assert.match(await busy.reply(), /^421 4\.3\.2/);
  busy.endOutput();
  await stopped;
  assert.equal(stage.queue.messages.length, 1);
});

test("smtpd takes new settings for new connections, and keeps the old ones when they are wrong", async () => {
  await using stage = await openStage(plainControl);
  const settings = readSettings(new Map([["smtpgreeting", "fresh.example"]]));
  assert.ok(settings.kind === "done");
  assert.equal(stage.service.reload({ ...settings.value, relayclients: ["nonsense"] }, []).kind, "permanent");
  await greeted(stage);
  assert.equal(stage.service.reload(settings.value, []).kind, "done");
  assert.equal(await (await Talk.open(stage.port)).reply(), "220 fresh.example ESMTP");
});

test("smtpd sends away whom smtprules denies, and treats others as their line says; a reload counts", async () => {
  await using stage = await openStage({ ...plainControl, smtprules: "127.0.0.1:deny" });
  const denied = await Talk.open(stage.port);
  assert.equal(await denied.reply(), "554 5.7.1 this server takes no mail from your address");
  denied.close();
  assert.partialDeepStrictEqual(stage.events, [{ event: "refusal", address: "127.0.0.1" }]);
  const files = { ...plainControl, relayclients: "", smtprules: '127.:allow,RELAYCLIENT="",DATABYTES="4000"' };
  const settings = readSettings(new Map(Object.entries({ ...files, badrcptto: "no@localhost" })));
  assert.ok(settings.kind === "done" && stage.service.reload(settings.value, []).kind === "done");
  const talk = await greeted(stage);
  await talk.ask("EHLO c");
  assert.match(await talk.ask("MAIL FROM:<> SIZE=4001"), /^552/);
  assert.match(await talk.ask("MAIL FROM:<> SIZE=4000"), /^250/);
  assert.match(await talk.ask("RCPT TO:<any@far.example>"), /^250/);
  assert.match(await talk.ask("RCPT TO:<no@localhost>"), /^550 5\.7\.1 .*badrcptto/);
  talk.close();
});

test("smtpd hands on what RFC 3461 has a client ask, and asks for nothing else", async () => {
  await using stage = await openStage(plainControl);
  const talk = await greeted(stage);
  await talk.ask("MAIL FROM:<a@b> RET=HDRS ENVID=QQ+2B1");
  await talk.ask("RCPT TO:<c@localhost>");
  await talk.ask("RCPT TO:<d@localhost> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;D@x");
  await talk.ask("DATA");
  assert.match(await talk.ask("."), /^250/);
  assert.partialDeepStrictEqual(stage.queue.messages[0], {
    forwardPaths: ["c@localhost", "d@localhost"],
    notify: [0, 5],
    originalRecipients: ["", "rfc822;D@x"],
    options: { envelopeId: "QQ+2B1", ret: 2, flags: 0, priority: 9, holdUntilMs: 0 },
  });
});

/** A client that may send chunks now. */
async function atChunks(stage: Stage, parameters = ""): Promise<Talk> {
  const talk = await greeted(stage);
  assert.match(await talk.ask(`MAIL FROM:<a@b.example>${parameters}`), /^250/);
  assert.match(await talk.ask("RCPT TO:<c@localhost>"), /^250/);
  return talk;
}

const bodyOf = (stage: Stage, at: number): string =>
  stage.queue.messages[at]?.body.replace(/^.*\r?\n.*-0000\r?\n/, "") ?? "";
const everyOctet = String.fromCharCode(...Array.from({ length: 256 }, (_, octet) => octet));

test("smtpd takes a pipelined session with chunks at every cut, and makes of it the same messages", async () => {
  await using stage = await openStage(plainControl);
  const start = (parameters: string): string => `MAIL FROM:<>${parameters}\r\nRCPT TO:<c@localhost>\r\n`;
  const wire = [
    `${start("")}BDAT 4\r\na\r\nbBDAT 0\r\nBDAT 5 LAST\r\n\r\n.\r\n`,
    `${start(" BODY=BINARYMIME")}BDAT 5\r\n\n.\n\0\rBDAT 6 LAST\r\nQUIT\r\n`,
    `${start("")}BDAT 2\r\na\nBDAT 6 LAST\r\nQUIT\r\n${start("")}DATA\r\nx\r\n.\r\nQUIT\r\n`,
  ].join("");
  for (let cut = 1; cut < wire.length; cut++) {
    const talk = await greeted(stage);
    talk.send(wire.slice(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    talk.send(wire.slice(cut));
    const codes: string[] = [];
    for (let line = await talk.line(); line !== undefined; line = await talk.line()) codes.push(line.slice(0, 3));
    const expected = "250 250 250 250 250 250 250 250 250 250 250 554 503 250 250 354 250 221";
    assert.equal(codes.join(" "), expected, `cut at ${cut}`);
    talk.close();
    const bodies = [0, 1, 2].map((at) => bodyOf(stage, 3 * (cut - 1) + at));
    assert.deepEqual(bodies, ["a\nb\n.\n", "\n.\n\0\rQUIT\r\n", "x\n"], `cut at ${cut}`);
  }
  assert.equal(stage.queue.messages.length, 3 * (wire.length - 1));
});

test("smtpd hands on a binary body octet for octet, and says what it is", async () => {
  await using stage = await openStage(plainControl);
  const talk = await atChunks(stage, " BODY=BINARYMIME");
  talk.send(`BDAT 256\r\n${everyOctet}BDAT 256\r\n${everyOctet}`);
  assert.deepEqual([await talk.reply(), await talk.reply()], ["250 2.0.0 256 octets", "250 2.0.0 256 octets"]);
  assert.match(await talk.ask("BDAT 0 LAST"), /^250 2\.0\.0 ok/);
  assert.equal(bodyOf(stage, 0), everyOctet + everyOctet);
  assert.equal(stage.queue.messages[0]?.bodyKind, 2);
  assert.match(
    stage.queue.messages[0]?.body ?? "",
    /^Received: from unknown \(127\.0\.0\.1\)\r\n {2}by localhost with SMTP; .* -0000\r\n/,
  );
});

test("smtpd holds back a client whose chunk is larger than the window", async () => {
  await using stage = await openStage(plainControl);
  stage.queue.givesCredit = false;
  const talk = await atChunks(stage, " BODY=BINARYMIME");
  const line = "x".repeat(3_000_000);
  talk.send(`BDAT 9000000 LAST\r\n${line.repeat(3)}`);
  await stage.queue.until(() => stage.queue.receivedOctets >= submissionWindowOctets);
  assert.equal(stage.queue.receivedOctets, submissionWindowOctets);
  assert.ok(talk.unsentOctets > 0, "the client is held back");
  stage.queue.giveCredit();
  assert.match(await talk.reply(), /^250/);
  assert.equal(bodyOf(stage, 0), line.repeat(3));
});

for (const way of ["RSET", "EHLO x", "QUIT", "closing"]) {
  test(`smtpd keeps nothing of a message whose client goes on by ${way} between its chunks`, async () => {
    await using stage = await openStage(plainControl);
    const talk = await atChunks(stage);
    assert.match(await talk.ask("BDAT 3\r\na"), /^250/);
    if (way === "closing") talk.close();
    else assert.match(await talk.ask(way), /^2/);
    await stage.queue.until(() => stage.queue.abandoned === 1);
    assert.equal(stage.queue.messages.length, 0);
  });
}

test("smtpd refuses at the end of a chunk what queue refused meanwhile, and the next chunk belongs to nothing", async () => {
  await using stage = await openStage(plainControl);
  const talk = await atChunks(stage);
  assert.match(await talk.ask("BDAT 3\r\na"), /^250/);
  await stage.queue.until(() => stage.queue.receivedOctets > 0);
  stage.queue.refuse(stage.queue.streams[0] ?? 0, 0, "full");
  let reply = "250";
  while (reply.startsWith("250")) reply = await talk.ask("BDAT 3\r\nb"); // it is on its way
  assert.equal(reply, "451 4.3.1 full");
  assert.match(await talk.ask("BDAT 6 LAST\r\nQUIT"), /^503/);
  assert.equal(await talk.ask("NOOP"), "250 2.0.0 ok");
});

test("smtpd lets the first chunk wait while queue is away, and refuses one in the middle of a message", async () => {
  await using stage = await openStage(plainControl);
  const begun = await atChunks(stage);
  const waiting = await atChunks(stage);
  assert.match(await begun.ask("BDAT 3\r\na"), /^250/);
  await stage.queue.until(() => stage.queue.receivedOctets > 0);
  await stage.queue.hangUp();
  waiting.send("BDAT 0 LAST\r\n");
  ticks(stage, 4);
  await stage.queue.connect(stage.service.attachQueue);
  assert.match(await waiting.reply(), /^250/);
  assert.match(await begun.ask("BDAT 3 LAST\r\nb"), /^451 4\.3\.0 the queue went away/);
});

test("smtpd ends a session of ever smaller chunks", async () => {
  await using stage = await openStage(plainControl);
  const talk = await atChunks(stage);
  talk.send("BDAT 0\r\n".repeat(1_001));
  let last: string | undefined;
  for (let line = await talk.line(); line !== undefined; line = await talk.line()) last = line;
  assert.equal(last, "421 4.7.0 too many commands without a message");
});

test("smtpd takes LMTP on a socket in the file system, from a client of this host, and its log and trace say so", async () => {
  await using stage = await openStage({ ...plainControl, relayclients: "127.0.0.1" });
  const folder = mkdtempSync(join(tmpdir(), "postern-lmtp-"));
  const path = join(folder, "lmtp");
  assert.equal((await stage.service.listen({ path }, "lmtp")).kind, "done");
  const talk = await Talk.open(path);
  assert.equal(await talk.reply(), "220 localhost LMTP");
  assert.equal(await talk.ask("LHLO store.example"), "250 HELP");
  await talk.ask("MAIL FROM:<a@b.example>");
  assert.match(await talk.ask("RCPT TO:<c@elsewhere.example>"), /^250/);
  await talk.ask("DATA");
  assert.match(await talk.ask("."), /^250/);
  talk.close();
  const received = /^Received: from unknown \(HELO store\.example\) \(127\.0\.0\.1\)\n {2}by localhost with LMTP;/;
  assert.match(stage.queue.messages[0]?.body ?? "", received);
  assert.partialDeepStrictEqual(stage.events[0], { event: "connection", address: "127.0.0.1", service: "lmtp" });
  rmSync(folder, { recursive: true });
});

const needs = [
  { name: "its header", path: "a@b", header: "Subject: \xc3\xa4", flags: 1 },
  { name: "its sender", path: "\xc3\xa4@b", header: "Subject: a", flags: 1 },
  { name: "nothing", path: "a@b", header: "Subject: a", flags: 0 },
  { name: "nothing, as its domain is sent in A-labels", path: "a@\xc3\xa4.b", header: "Subject: a", flags: 0 },
];
for (const { name, path, header, flags } of needs) {
  test(`smtpd says that a message needs SMTPUTF8 on its way for ${name}`, async () => {
    await using stage = await openStage(plainControl);
    const talk = await greeted(stage);
    await talk.ask("EHLO c");
    await talk.ask(`MAIL FROM:<${path}> SMTPUTF8`);
    await talk.ask("RCPT TO:<c@localhost>");
    await talk.ask("DATA");
    assert.match(await talk.ask(`${header}\r\n\r\n\xc3\xa4\r\n.`), /^250/);
    assert.equal(stage.queue.messages[0]?.options?.flags, flags);
    assert.match(stage.queue.messages[0]?.body ?? "", /\n {2}by localhost with UTF8SMTP; /);
  });
}

test("smtpd believes a proxy of control/proxyclients, which must say who its client is, and nobody else", async () => {
  await using stage = await openStage({ ...limitsControl, proxyclients: "127.0.0.1", relayclients: "192.0.2.7" });
  const talk = await Talk.open(stage.port);
  talk.send("PROXY TCP4 192.0.2.7 198.51.100.2 12345 25\r\nEHLO c\r\nMAIL FROM:<a@b>\r\n");
  for (const begin of ["220", "250", "250"]) assert.ok((await talk.reply()).startsWith(begin));
  assert.match(await talk.ask("RCPT TO:<x@else.example>"), /^250/);
  assert.partialDeepStrictEqual(stage.events[0], { event: "connection", address: "192.0.2.7", port: 12_345 });
  const stranger = await Talk.open(stage.port);
  stranger.send("PROXY TCP4 192.0.2.8 198.51.100.2 12345 25\r\nMAIL FROM:<a@b>\r\n");
  for (const begin of ["220", "250"]) assert.ok((await stranger.reply()).startsWith(begin));
  assert.match(await stranger.ask("RCPT TO:<x@else.example>"), /^550/);
  const silent = await Talk.open(stage.port);
  silent.send("EHLO c\r\n");
  assert.equal(await silent.line(), undefined);
  const slow = await Talk.open(stage.port);
  slow.send("PROXY TCP4 ");
  await talk.ask("NOOP");
  for (let second = 0; second < 10; second++) stage.service.tick();
  assert.equal(await slow.line(), undefined);
  await using plain = await openStage(limitsControl);
  const nobody = await Talk.open(plain.port);
  await nobody.reply();
  assert.match(await nobody.ask("PROXY TCP4 192.0.2.7 198.51.100.2 12345 25"), /^500/);
});
