import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStorage } from "../../services/storage/memory.ts";
import { value } from "../../services/storage/storage.testing.ts";
import { Deliverer, delivers, type Fate, settingsOf, startQueue } from "./queue.testing.ts";

const failing = (forwardPath: string): Fate =>
  forwardPath.endsWith("@here.org") ? delivers() : { letter: "D", status: "1.1", text: `no ${forwardPath}\n` };
const settings = (files: Record<string, string> = {}) =>
  settingsOf({ locals: "here.org", bouncehost: "here.org", doublebouncehost: "here.org", ...files });

async function run(
  files: Record<string, string>,
  reversePath: string,
  forwardPaths: string[],
  body = "A: b\n\nbody\n",
) {
  const storage = new MemoryStorage();
  const bench = startQueue(storage, settings(files));
  const local = new Deliverer(bench.queue, "local", failing);
  const remote = new Deliverer(bench.queue, "remote", failing);
  bench.smtpd.submit(body, forwardPaths, reversePath);
  await bench.clock.settle();
  assert.deepEqual(value(await storage.counts()), { messages: 0, recipients: 0, held: 0 });
  assert.equal(value(await storage.chunk(1, 0)), undefined);
  return { ...bench, local, remote, storage };
}
const names = (events: readonly { event: string }[]) =>
  events.map(({ event }) => event).filter((event) => ["new", "bounce", "end", "triple bounce"].includes(event));

test("§17.215 queue sends one bounce of all failed recipients, in order, behind qmail's text", async () => {
  const { local, events } = await run({ bounceformat: "qsbmf" }, "me@here.org", [
    "x@far.org",
    "u@here.org",
    "y@far.org",
  ]);
  const bounce = local.deliveries.find(({ reversePath }) => reversePath === "");
  assert.deepEqual(bounce?.forwardPaths, ["me@here.org"]);
  assert.equal(
    bounce?.body,
    `Received: (postern 2 invoked for bounce); 14 Nov 2023 22:13:20 -0000
Date: 14 Nov 2023 22:13:20 -0000
From: MAILER-DAEMON@here.org
To: me@here.org
Subject: failure notice

Hi. This is the qmail-send program at here.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<x@far.org>:
no x@far.org

<y@far.org>:
no y@far.org

--- Below this line is a copy of the message.

Return-Path: <me@here.org>
A: b

body
`,
  );
  assert.deepEqual(names(events), ["new", "bounce", "end", "new", "end"]);
});

test("queue sends multipart/report by default, whose parts end where they should", async () => {
  const { local } = await run({}, "me@here.org", ["x@far.org"]);
  const body = local.deliveries[0]?.body ?? "";
  const boundary = /boundary="([^"]+)"/.exec(body)?.[1] ?? "?";
  assert.match(boundary, /^=_[0-9a-f-]{36}$/);
  const parts = body.split(`\n--${boundary}`);
  assert.equal(parts.length, 5);
  assert.ok(parts[3]?.endsWith("Return-Path: <me@here.org>\nA: b\n\nbody\n"));
  assert.equal(parts[4], "--\n");
  assert.equal(local.deliveries[0]?.octets, body.length);
});

test("§17.219 §17.220 queue bounces a double bounce to its postmaster, and a triple one to nobody", async () => {
  const double = await run({ bounceformat: "qsbmf" }, "", ["x@far.org"]);
  assert.deepEqual(double.local.deliveries[0]?.forwardPaths, ["postmaster@here.org"]);
  assert.equal(double.local.deliveries[0]?.reversePath, "#@[]");
  const triple = await run({}, "#@[]", ["x@far.org"]);
  assert.deepEqual(names(triple.events), ["new", "triple bounce", "end"]);
  const discarded = await run({ doublebounceto: "" }, "", ["x@far.org"]);
  assert.deepEqual(names(discarded.events), ["new", "end"]);
});

test("queue follows a bounce that bounces to its end", async () => {
  const { events, remote } = await run({ doublebouncehost: "far.org" }, "me@far.org", ["x@far.org"]);
  assert.deepEqual(names(events), ["new", "bounce", "end", "new", "bounce", "end", "new", "triple bounce", "end"]);
  assert.deepEqual(
    remote.deliveries.map(({ reversePath }) => reversePath),
    ["me@far.org", "", "#@[]"],
  );
});

test("§17.221 queue bounces a VERP message to the plain address, naming recipients as they were written", async () => {
  const { local } = await run({ virtualdomains: "v.org:pre\nx.org:", bounceformat: "qsbmf" }, "l-@here.org-@[]", [
    "u@x.org",
  ]);
  assert.deepEqual(local.deliveries[0]?.forwardPaths, ["l-@here.org"]);
  assert.match(local.deliveries[0]?.body ?? "", /\nReturn-Path: <l-@here.org>\n/);
});

test("§17.217 queue cuts the virtual prefix from the recipient of a bounce", async () => {
  const bench = startQueue(new MemoryStorage(), settings({ virtualdomains: "v.org:pre", bounceformat: "qsbmf" }));
  const local = new Deliverer(bench.queue, "local", (forwardPath) =>
    forwardPath === "pre-u@v.org" ? { letter: "D", text: "no\n" } : delivers(),
  );
  bench.smtpd.submit("x\n", ["u@v.org"], "me@here.org");
  await bench.clock.settle();
  assert.match(local.deliveries[1]?.body ?? "", /\n<u@v.org>:\nno\n/);
});

for (const format of ["dsn", "qsbmf"]) {
  test(`queue returns only the header of a long message (${format})`, async () => {
    const { local } = await run(
      { bounceformat: format, bouncemaxbytes: "100" },
      "me@here.org",
      ["x@far.org"],
      `A: b\n\n${"body\n".repeat(100)}`,
    );
    const body = local.deliveries[0]?.body ?? "";
    assert.match(body, /\nThe message is longer than 100 octets: only its header comes back\.\n/);
    assert.match(body, /\nReturn-Path: <me@here.org>\nA: b\n(\n--.*--\n)?$/);
  });
}

test("§17.32 queue gives up a message over its lifetime at its next attempt, with qmail's sentence", async () => {
  const { clock, queue, smtpd } = startQueue(
    new MemoryStorage(),
    settings({ queuelifetime: "300", bounceformat: "qsbmf" }),
  );
  const local = new Deliverer(queue, "local", delivers);
  const remote = new Deliverer(queue, "remote", () => ({ letter: "Z", text: "busy\n", reached: 1 }));
  smtpd.submit("x\n", ["a@far.org"], "me@here.org");
  await clock.settle();
  await clock.advance(390_000);
  assert.equal(local.deliveries.length, 0);
  await clock.advance(30_000);
  assert.equal(remote.deliveries.length, 2);
  const sentence = "I'm not going to try again; this message has been in the queue too long.";
  assert.ok(local.deliveries[0]?.body.includes(`<a@far.org>:\nbusy\n${sentence}\n\n`));
});

test("queue gives nothing up for an hour after the clock jumped", async () => {
  const { clock, queue, smtpd } = startQueue(new MemoryStorage(), settings());
  const local = new Deliverer(queue, "local", delivers);
  const remote = new Deliverer(queue, "remote", () => ({ letter: "Z", text: "busy\n", reached: 1 }));
  smtpd.submit("x\n", ["a@far.org"], "me@here.org");
  await clock.settle();
  clock.wall += 10 * 365 * 86_400_000;
  await clock.advance(120_000);
  assert.equal(remote.deliveries.length, 2);
  assert.equal(local.deliveries.length, 0);
  clock.wall -= 10 * 365 * 86_400_000;
  await clock.advance(86_400_000);
  assert.ok(remote.deliveries.length > 2, "tried again within the longest wait of the right clock");
  assert.equal(local.deliveries.length, 0);
});

test("queue ends what waits for a blocked destination beyond its lifetime", async () => {
  const storage = new MemoryStorage();
  const { clock, queue, smtpd } = startQueue(
    storage,
    settings({ queuelifetime: "7200", concurrencydestination: "1", bounceformat: "qsbmf" }),
  );
  const local = new Deliverer(queue, "local", delivers);
  const remote = new Deliverer(queue, "remote", () => ({ letter: "Z", text: "out of reach\n", reached: 2 }));
  for (let n = 0; n < 30; n++) smtpd.submit("x\n", [`u${n}@far.org`], "me@here.org");
  await clock.settle();
  assert.equal(remote.deliveries.length, 1);
  await clock.advance(7_000_000);
  assert.equal(local.deliveries.length, 0);
  const before = remote.deliveries.length;
  assert.ok(before < 10, `${before} attempts while the destination is out of reach`);
  await clock.advance(4 * 3_600_000);
  assert.equal(local.deliveries.length, 30);
  assert.deepEqual(value(await storage.counts()), { messages: 0, recipients: 0, held: 0 });
  assert.match(local.deliveries[5]?.body ?? "", /could not be reached.*\nI'm not going to try again/);
});
