import assert from "node:assert/strict";
import { test } from "node:test";
import { openStage, type Stage } from "../../../test/dialogues/stage.ts";
import { Talk } from "../../../test/dialogues/talk.ts";

const mine = 1;
const base = { me: "localhost", authonport25: "1", authwithouttls: "1", idhost: "id.example" };

async function loggedIn(stage: Stage): Promise<Talk> {
  const talk = await Talk.open(stage.port);
  await talk.reply();
  await talk.ask("EHLO c.example");
  assert.match(await talk.ask("AUTH PLAIN AGpvZUBsb2NhbGhvc3QAc2VjcmV0"), /^235/);
  return talk;
}

async function send(talk: Talk, text: string, parameters = ""): Promise<string> {
  assert.match(await talk.ask(`MAIL FROM:<joe@localhost>${parameters}`), /^250/);
  assert.match(await talk.ask("RCPT TO:<b@else.example>"), /^250/);
  if (parameters !== "") {
    talk.send(`BDAT ${text.length} LAST\r\n${text}`);
    return talk.reply();
  }
  assert.match(await talk.ask("DATA"), /^354/);
  return talk.ask(`${text}.`);
}

const received =
  /^Received: from unknown \(HELO c\.example\) \(127\.0\.0\.1\)\r?\n {2}by localhost with ESMTPA; .*\r?\n/;
const added =
  /^Subject: x\r?\nDate: \d.* -0000\r?\nFrom: joe@localhost\r?\nMessage-ID: <[0-9a-f-]{36}@id\.example>\r?\n\r?\nbody\r?\n$/;

test("smtpd adds what the header of mail from an account lacks", async () => {
  await using stage = await openStage(base);
  const talk = await loggedIn(stage);
  assert.match(await send(talk, "Subject: x\r\n\r\nbody\r\n"), /^250/);
  assert.match(await send(talk, "Subject: x\r\n\r\nbody\r\n", " BODY=BINARYMIME"), /^250/);
  const [text = "", binary = ""] = stage.queue.messages.map(({ body }) => body);
  assert.match(text.replace(received, ""), added);
  assert.match(binary.replace(received, ""), added);
  assert.doesNotMatch(text, /\r/);
  assert.doesNotMatch(binary, /[^\r]\n/);
  talk.close();
});

test("smtpd names the account as Sender where a message has several authors and no Sender", async () => {
  await using stage = await openStage(base);
  stage.directory.sender = () => mine;
  const talk = await loggedIn(stage);
  const both = "From: jill@localhost,\r\n joe@localhost\r\n";
  for (const text of [both, `${both}Sender: jill@localhost\r\n`, "From: jill@localhost\r\n"]) {
    assert.match(await send(talk, `${text}\r\nbody\r\n`), /^250/);
  }
  const senders = stage.queue.messages.map(({ body }) => body.match(/^Sender: .*$/gm) ?? []);
  assert.deepEqual(senders, [["Sender: joe@localhost"], ["Sender: jill@localhost"], []]);
  talk.close();
});

test("smtpd adds nothing for others, nor where it is switched off", async () => {
  await using stage = await openStage({ ...base, relayclients: "127.0.0.1" });
  const talk = await Talk.open(stage.port);
  await talk.reply();
  await talk.ask("EHLO c.example");
  assert.match(await send(talk, "Subject: x\r\n\r\n"), /^250/);
  assert.match(stage.queue.messages[0]?.body ?? "", /-0000\nSubject: x\n\n$/);
  await using off = await openStage({ ...base, completeheader: "0", fromcheck: "accept" });
  const other = await loggedIn(off);
  assert.match(await send(other, "From: b@else.example\r\n\r\n"), /^250/);
  assert.match(off.queue.messages[0]?.body ?? "", /-0000\nFrom: b@else.example\n\n$/);
  for (const one of [talk, other]) one.close();
});

test("smtpd does not tell where an account's mail comes from, if switched on", async () => {
  await using stage = await openStage({ ...base, hideclient: "1" });
  const talk = await loggedIn(stage);
  assert.match(await send(talk, "Subject: x\r\n\r\n"), /^250/);
  const body = stage.queue.messages[0]?.body ?? "";
  assert.match(body, /^Received: from unknown\n {2}by localhost with ESMTPA; .*\n/);
  assert.doesNotMatch(body, /127\.0\.0\.1|c\.example/);
  talk.close();
});

for (const [from, reply] of [
  ["From: Joe <joe@localhost>", /^250/],
  ["From: joe@localhost, jill@localhost", /^250/],
  ["From: joe@localhost, boss@localhost", /^554 5\.7\.1 you may not send as boss@localhost$/],
  ["Sender: boss@localhost\r\nFrom: joe@localhost", /^554 5\.7\.1 you may not send as boss@localhost$/],
  ["From: joe@localhost\r\nSender: jill@localhost", /^250/],
  ["Sender: joe@localhost, jill@localhost", /^554 5\.6\.0 its Sender field has more than 1 address$/],
  ["Sender: later@localhost", /^451 4\.3\.0 cannot tell/],
  ["From: later@localhost", /^451 4\.3\.0 cannot tell/],
  ["From: a@b (", /^554 5\.6\.0 cannot read/],
  ["From: joe@localhost\r\nFrom: joe@localhost", /^554 5\.6\.0 more than one From field/],
] as const) {
  test(`smtpd says ${reply} for mail of an account with ${JSON.stringify(from)}, and goes on`, async () => {
    await using stage = await openStage(base);
    stage.directory.sender = (_, address) => (address.startsWith("j") ? mine : address.startsWith("l") ? 0 : 2);
    const talk = await loggedIn(stage);
    for (const text of [`${from}\r\n\r\nbody\r\n`, `${from}\r\n`]) {
      assert.match(await send(talk, text), reply);
      assert.match(await send(talk, text, " BODY=BINARYMIME"), reply);
    }
    assert.match(await send(talk, "Subject: x\r\n\r\n"), /^250/);
    assert.equal(stage.queue.messages.length, reply.test("250") ? 5 : 1);
    talk.close();
  });
}

test("smtpd refuses a lone CR in the header of an account's binary message", async () => {
  await using stage = await openStage(base);
  const talk = await loggedIn(stage);
  assert.match(await send(talk, "X: y\rFrom: boss@x\r\n\r\n", " BODY=BINARYMIME"), /^554 5\.6\.11/);
  talk.close();
});

test("smtpd waits for the answer about From, and says so when none comes", async () => {
  await using stage = await openStage(base);
  const talk = await loggedIn(stage);
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  stage.directory.sender = (_, address) => {
    if (address === "joe@localhost") return mine;
    resolve();
    return undefined;
  };
  const reply = send(talk, "From: jill@localhost\r\n\r\nbody\r\n");
  await asked;
  assert.equal(stage.queue.messages.length, 0);
  for (let seconds = 0; seconds < 550; seconds++) stage.service.tick(); // header and end came in one piece
  assert.match(await reply, /^451 4\.3\.0 cannot tell/);
  assert.equal(await talk.ask("NOOP"), "250 2.0.0 ok");
  assert.equal(stage.queue.messages.length, 0);
  talk.close();
});
