import assert from "node:assert/strict";
import { test } from "node:test";
import { limitsControl, openStage, type Stage } from "../../../test/dialogues/stage.ts";
import { Talk } from "../../../test/dialogues/talk.ts";
import * as wire from "../../protocol/wire/directory.ts";

const control = { ...limitsControl, unknownrecipientdelay: "2", maxunknownrecipients: "0" };
const greeted = async (stage: Stage): Promise<Talk> => {
  const talk = await Talk.open(stage.port);
  assert.match(await talk.reply(), /^220 /);
  await talk.ask("MAIL FROM:<a@client.example>");
  return talk;
};
const knowing = async (files: Readonly<Record<string, string>> = {}): Promise<Stage> => {
  const stage = await openStage({ ...control, ...files });
  stage.directory.recipient = (address) => (address.startsWith("no") ? wire.doesNotExist : wire.exists);
  return stage;
};
/** Lets the seconds go by that a pause has, once the question was answered. */
const passTarpit = async (stage: Stage, asked: number): Promise<void> => {
  while (stage.directory.asked.length < asked) await new Promise(setImmediate);
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
};

test("RCPT asks about recipients that would be delivered here, and about one that is there not again for a while", async () => {
  await using stage = await knowing();
  const talk = await greeted(stage);
  for (const path of ["b@localhost", "B@LOCALHOST", "c@virtual.example", "b@localhost", "d@else.example"]) {
    await talk.ask(`RCPT TO:<${path}>`);
  }
  assert.deepEqual(stage.directory.asked, ["b@localhost", "c@virtual.example"]);
  for (let second = 0; second < 10; second++) stage.service.tick();
  await talk.ask("RCPT TO:<b@localhost>");
  assert.equal(stage.directory.asked.length, 3);
  talk.close();
});

test("control/recipientcheck accept asks nobody", async () => {
  await using stage = await knowing({ recipientcheck: "accept" });
  const talk = await greeted(stage);
  assert.match(await talk.ask("RCPT TO:<nobody@localhost>"), /^250/);
  assert.deepEqual(stage.directory.asked, []);
  talk.close();
});

test("RCPT waits for a directory that is on its way back, and answers 451 when it stays away", async () => {
  await using stage = await knowing();
  const talk = await greeted(stage);
  await stage.directory.hangUp();
  talk.send("RCPT TO:<b@localhost>\r\nNOOP\r\n");
  await stage.directory.connect(stage.service.attachDirectory);
  assert.match(await talk.reply(), /^250 2\.1\.5/);
  assert.match(await talk.reply(), /^250 2\.0\.0/);
  await stage.directory.hangUp();
  talk.send("RCPT TO:<c@localhost>\r\n");
  const answer = talk.reply();
  while (stage.events.filter(({ event }) => event === "refusal").length === 0) {
    stage.service.tick();
    await new Promise(setImmediate);
  }
  assert.match(await answer, /^451 4\.3\.0/);
  talk.close();
});

test("AUTH waits for a directory that is on its way, and answers 454 when it stays away", async () => {
  await using stage = await knowing({ authonport25: "1", authwithouttls: "1" });
  const login = "AUTH PLAIN AGpvZUBsb2NhbGhvc3QAc2VjcmV0"; // joe@localhost, secret
  const talk = await greeted(stage);
  await stage.directory.hangUp();
  assert.match(await talk.ask("EHLO x"), /^250/);
  talk.send(`${login}\r\nNOOP\r\n`);
  await stage.directory.connect(stage.service.attachDirectory);
  assert.match(await talk.reply(), /^235 2\.7\.0/);
  assert.match(await talk.reply(), /^250 2\.0\.0/);
  talk.close();
  await stage.directory.hangUp();
  const other = await greeted(stage);
  assert.match(await other.ask("EHLO x"), /^250/);
  const answer = other.ask(login);
  let isAnswered = false;
  void answer.finally(() => {
    isAnswered = true;
  });
  let ticks = 0;
  for (; !isAnswered; ticks++) {
    stage.service.tick();
    await new Promise(setImmediate);
  }
  assert.match(await answer, /^454 4\.7\.0 nobody can look up passwords/);
  assert.ok(ticks >= 20);
  assert.match(await other.ask("NOOP"), /^250/);
  await stage.directory.connect(stage.service.attachDirectory);
  assert.match(await other.ask(login), /^235/);
  other.close();
});

test("a client that goes while its login waits for directory is forgotten", async () => {
  await using stage = await knowing({ authonport25: "1", authwithouttls: "1" });
  const talk = await greeted(stage);
  await stage.directory.hangUp();
  assert.match(await talk.ask("EHLO x"), /^250/);
  talk.send("AUTH PLAIN AGpvZUBsb2NhbGhvc3QAc2VjcmV0\r\n");
  talk.close();
  while (stage.events.filter(({ event }) => event === "disconnection").length === 0) {
    stage.service.tick();
    await new Promise(setImmediate);
  }
  await stage.directory.connect(stage.service.attachDirectory);
  assert.deepEqual(stage.directory.begun, []);
});

test("the fourth unknown recipient of a session is answered after a pause, and what comes behind it waits", async () => {
  await using stage = await knowing();
  const talk = await greeted(stage);
  for (let guess = 0; guess < 3; guess++)
    assert.match(await talk.ask(`RCPT TO:<no${guess}@localhost>`), /^550 5\.1\.1/);
  let isAnswered = false;
  talk.send("RCPT TO:<no3@localhost>\r\nRCPT TO:<b@localhost>\r\n");
  const answer = talk.reply().finally(() => {
    isAnswered = true;
  });
  await passTarpit(stage, 4);
  stage.service.tick();
  await passTarpit(stage, 4);
  assert.equal(isAnswered, false);
  stage.service.tick();
  assert.match(await answer, /^550 5\.1\.1/);
  assert.match(await talk.reply(), /^250/);
  talk.close();
});

test("an address that guessed too often within an hour is sent away, later sessions at their greeting; then forgiven", async () => {
  await using stage = await knowing({ maxunknownperaddress: "5", unknownrecipientdelay: "0" });
  const talk = await greeted(stage);
  for (let guess = 0; guess < 4; guess++)
    assert.match(await talk.ask(`RCPT TO:<no${guess}@localhost>`), /^550 5\.1\.1/);
  assert.match(await talk.ask("RCPT TO:<no4@localhost>"), /^421 4\.7\.1/);
  assert.match(await (await Talk.open(stage.port)).reply(), /^421 4\.7\.1/);
  for (let second = 0; second < 3_600 / 5; second++) stage.service.tick();
  assert.match(await (await greeted(stage)).ask("RCPT TO:<b@localhost>"), /^250/);
});

test("a network of guessing addresses is sent away as one", async () => {
  await using stage = await knowing({ maxunknownpernetwork: "2", unknownrecipientdelay: "0" });
  const talk = await greeted(stage);
  await talk.ask("RCPT TO:<no1@localhost>");
  assert.match(await talk.ask("RCPT TO:<no2@localhost>"), /^421/);
});

test("a client that may relay is told the truth, as often as it asks", async () => {
  await using stage = await knowing({
    relayclients: "127.0.0.1",
    maxunknownrecipients: "2",
    maxunknownperaddress: "2",
  });
  const talk = await greeted(stage);
  for (let guess = 0; guess < 10; guess++) assert.match(await talk.ask("RCPT TO:<no@localhost>"), /^550 5\.1\.1/);
  talk.close();
});

const rcpts = (names: readonly string[]): string => names.map((name) => `RCPT TO:<${name}@localhost>\r\n`).join("");
const untilAsked = async (stage: Stage, count: number): Promise<void> => {
  while (stage.directory.asked.length < count) await new Promise(setImmediate);
};

test("those a client names ahead are asked about together, as many as were there in a row before, each once", async () => {
  await using stage = await knowing();
  const talk = await greeted(stage);
  for (const name of ["a", "b", "c"]) await talk.ask(`RCPT TO:<${name}@localhost>`);
  stage.directory.recipient = () => undefined;
  const next = ["d", "e", "E", "a", "f", "g"];
  talk.send(`${rcpts(next)}VRFY <h@localhost>\r\n`);
  const other = await greeted(stage);
  await untilAsked(stage, 5);
  other.send(rcpts(["e", "other"]));
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  assert.deepEqual(stage.directory.asked.slice(3), ["d@localhost", "e@localhost"]);
  stage.directory.recipient = (address) => (address.startsWith("no") ? wire.doesNotExist : wire.exists);
  await stage.directory.hangUp();
  for (const each of [talk, other]) assert.match(await each.reply(), /^451 4\.3\.0/);
  await stage.directory.connect(stage.service.attachDirectory);
  for (const _ of next.slice(1)) assert.match(await talk.reply(), /^250 2\.1\.5/);
  assert.match(await talk.reply(), /^252 /);
  talk.close();
  other.close();
});

test("who names recipients that are not there has none of those that follow asked about before their turn", async () => {
  await using stage = await knowing({ relayclients: "127.0.0.1" });
  const talk = await greeted(stage);
  for (const name of ["a", "b", "c"]) await talk.ask(`RCPT TO:<${name}@localhost>`);
  await talk.ask("RCPT TO:<no@localhost>");
  stage.directory.recipient = () => undefined;
  talk.send(rcpts(["d", "e", "f"]));
  await untilAsked(stage, 5);
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  assert.deepEqual(stage.directory.asked.slice(4), ["d@localhost"]);
  talk.close();
});

test("an answer that never comes is given up with the last who waits for it", async () => {
  await using stage = await knowing();
  stage.directory.recipient = () => undefined;
  const talk = await greeted(stage);
  talk.send(rcpts(["a"]));
  await untilAsked(stage, 1);
  for (let second = 0; second < 20; second++) stage.service.tick();
  assert.match(await talk.reply(), /^451 4\.3\.0/);
  stage.directory.recipient = () => wire.exists;
  assert.match(await talk.ask("RCPT TO:<a@localhost>"), /^250/);
  talk.close();
});
