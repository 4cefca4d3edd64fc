import assert from "node:assert/strict";
import { test } from "node:test";
import { limitsControl, openStage, type Stage } from "../../../test/dialogues/stage.ts";
import { Talk } from "../../../test/dialogues/talk.ts";

const control = { ...limitsControl, databytes: "0", maxhops: "100" };
const pass = (stage: Stage, seconds: number): void => {
  for (let second = 0; second < seconds; second++) stage.service.tick();
};
const greeted = async (stage: Stage): Promise<Talk> => {
  const talk = await Talk.open(stage.port);
  assert.match(await talk.reply(), /^220 /);
  return talk;
};
/** One message; the first reply that refused, or the last. */
async function send(talk: Talk, recipients = 1): Promise<string> {
  const rcpt = new Array<string>(recipients).fill("RCPT TO:<b@localhost>");
  for (const command of ["MAIL FROM:<a@client.example>", ...rcpt, "DATA", "."]) {
    const reply = await talk.ask(command);
    if (!/^[23]/.test(reply)) return reply;
  }
  return "250";
}

test("an address has its share of messages in an hour, and more as time goes", async () => {
  await using stage = await openStage({ ...control, maxmessagesperaddress: "3" });
  const talk = await greeted(stage);
  for (let message = 0; message < 3; message++) assert.equal(await send(talk), "250");
  assert.match(await send(talk), /^452 4\.7\.1 too many messages/);
  pass(stage, 1_200 - 1);
  assert.match(await send(await greeted(stage)), /^452 4\.7\.1/);
  pass(stage, 1);
  assert.equal(await send(await greeted(stage)), "250");
});

test("an address has its share of recipients; what is over it is refused, what is not goes", async () => {
  await using stage = await openStage({ ...control, maxrecipientsperaddress: "3" });
  const talk = await greeted(stage);
  assert.equal(await send(talk, 2), "250");
  await talk.ask("MAIL FROM:<a@client.example>");
  assert.match(await talk.ask("RCPT TO:<b@localhost>"), /^250/);
  assert.match(await talk.ask("RCPT TO:<c@localhost>"), /^452 4\.7\.1 too many recipients/);
  await talk.ask("DATA");
  assert.match(await talk.ask("."), /^250/);
  assert.deepEqual(stage.queue.messages.at(-1)?.forwardPaths, ["b@localhost"]);
});

test("a client that may relay has no such limits", async () => {
  const relayclients = "127.0.0.1";
  await using stage = await openStage({
    ...control,
    relayclients,
    maxmessagesperaddress: "1",
    maxrecipientsperaddress: "1",
  });
  const talk = await greeted(stage);
  for (let message = 0; message < 3; message++) assert.equal(await send(talk, 2), "250");
});

test("who speaks before the greeting is refused; who waits is greeted", async () => {
  await using stage = await openStage({ ...control, greetingdelay: "2" });
  const early = await Talk.open(stage.port);
  early.send("EHLO early.example\r\n");
  assert.equal(await early.reply(), "554 5.5.1 you spoke before the greeting");
  assert.equal(await early.line(), undefined);
  const patient = await Talk.open(stage.port);
  while (stage.events.filter(({ event }) => event === "connection").length < 2) await new Promise(setImmediate);
  pass(stage, 2);
  assert.match(await patient.reply(), /^220 /);
  assert.match(await patient.ask("NOOP"), /^250/);
});

test("a body that never ends is given up, however busy its client is", async () => {
  await using stage = await openStage({ ...control, timeoutmessage: "60", timeoutsmtpd: "50" });
  const talk = await greeted(stage);
  for (const command of ["MAIL FROM:<a@client.example>", "RCPT TO:<b@localhost>", "DATA"]) await talk.ask(command);
  for (let octets = 0; octets < 60; octets += 20) {
    const before = stage.queue.receivedOctets;
    talk.send("still here, and here\r\n");
    await stage.queue.until(() => stage.queue.receivedOctets > before);
    pass(stage, 20);
  }
  assert.equal(await talk.reply(), "421 4.4.2 the message takes too long");
});

test("a header has a size, a body none of that", async () => {
  await using stage = await openStage({ ...control, maxheaderbytes: "100" });
  const talk = await greeted(stage);
  for (const [text, reply] of [
    [`Subject: ${"x".repeat(91)}\r\n\r\n`, "552 5.3.4 its header has more than 100 octets"],
    [`Subject: ${"x".repeat(89)}\r\n\r\n${"x".repeat(1_000)}\r\n`, "250 2.0.0 ok"],
    [`${"x".repeat(50)}\r\n${"y".repeat(50)}\r\n`, "552 5.3.4"],
  ] as const) {
    for (const command of ["MAIL FROM:<a@client.example>", "RCPT TO:<b@localhost>", "DATA"]) await talk.ask(command);
    assert.ok((await talk.ask(`${text}.`)).startsWith(reply));
  }
});
