import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "../../protocol/event/event.ts";
import { temporary } from "../../protocol/outcome.ts";
import { expandsVerp } from "../../protocol/wire/delivery.ts";
import { abandon, submissionCredit, submissionWindowOctets } from "../../protocol/wire/submission.ts";
import { MemoryStorage } from "../../services/storage/memory.ts";
import { value } from "../../services/storage/storage.testing.ts";
import { Deliverer, delivers, type Fate, settingsOf, startQueue } from "./queue.testing.ts";

const counts = async (storage: MemoryStorage) => value(await storage.counts());
const texts = (events: readonly Event[]) => events.filter(({ event }) => event !== "status").map(({ event }) => event);

test("queue stores, delivers and forgets a message", async () => {
  const storage = new MemoryStorage();
  const { clock, queue, events, smtpd } = startQueue(storage, settingsOf({ locals: "here.org" }));
  const local = new Deliverer(queue, "local", delivers);
  const stream = smtpd.submit("Subject: x\n\nhello\n", ["user@here.org"]);
  assert.equal(smtpd.answer(stream).id, undefined);
  await clock.settle();
  assert.equal(smtpd.answer(stream).id, 1);
  const [delivery] = local.deliveries;
  assert.equal(delivery?.body, "Subject: x\n\nhello\n");
  assert.equal(delivery?.name, "1700000000.Q0123456789abI1");
  assert.deepEqual([delivery?.attempt, delivery?.numbers, delivery?.settled], [1, [0], true]);
  assert.deepEqual(await counts(storage), { messages: 0, recipients: 0, held: 0 });
  assert.deepEqual(texts(events), ["new", "info", "starting", "delivery", "end"]);
});

test("§17.12 queue says stored only after the commit", async () => {
  const storage = new MemoryStorage();
  const { clock, smtpd } = startQueue(storage);
  await clock.settle();
  const apply = storage.apply.bind(storage);
  const gate = Promise.withResolvers<void>();
  storage.apply = async (changes) => {
    await gate.promise;
    return apply(changes);
  };
  const stream = smtpd.submit("x\n", ["a@far.org"]);
  await clock.settle();
  assert.deepEqual(smtpd.answer(stream), { id: undefined, refused: undefined });
  gate.resolve();
  await clock.settle();
  assert.equal(smtpd.answer(stream).id, 1);
});

const results = [
  { name: "files written", channel: "local", fate: { letter: "K", text: "did 2+0+0\n" }, waits: true },
  { name: "a program run", channel: "local", fate: { letter: "K", text: "said\ndid 0+0+1\n" }, waits: false },
  { name: "another server's promise", channel: "remote", fate: { letter: "K", text: "did 1+0+0\n" }, waits: false },
  { name: "a deferral", channel: "remote", fate: { letter: "Z", text: "later\n" }, waits: true },
] as const;
for (const { name, channel, fate, waits } of results) {
  test(`queue ${waits ? "may wait for company with" : "writes down at once"} ${name}`, async () => {
    const storage = new MemoryStorage();
    const { clock, queue, smtpd } = startQueue(storage, settingsOf({ locals: "here.org" }));
    const deliverer = new Deliverer(queue, channel, () => undefined);
    smtpd.submit("x\n", [channel === "local" ? "a@here.org" : "a@far.org"]);
    await clock.settle();
    const kinds: string[] = [];
    const apply = storage.apply.bind(storage);
    storage.apply = (changes) => {
      kinds.push(...changes.map(({ kind }) => kind));
      return apply(changes);
    };
    deliverer.fate = () => fate;
    for (const delivery of deliverer.running) deliverer.answer(delivery);
    await clock.settle(0);
    assert.equal(kinds.length === 0, waits);
    await clock.settle();
    assert.deepEqual(kinds, [fate.letter === "Z" ? "deferred" : "end"]);
  });
}

test("queue refuses for now what cannot be written, keeps results, and resumes by itself", async () => {
  const storage = new MemoryStorage();
  const { clock, queue, events, smtpd } = startQueue(storage, settingsOf({ locals: "here.org" }));
  const local = new Deliverer(queue, "local", () => undefined);
  smtpd.submit("x\n", ["a@here.org"]);
  await clock.settle();
  const apply = storage.apply.bind(storage);
  storage.apply = async () => temporary("3.1", "disk full");
  local.fate = delivers;
  for (const delivery of local.running) local.answer(delivery);
  const stream = smtpd.submit("y\n", ["b@here.org"]);
  await clock.settle();
  assert.deepEqual(smtpd.answer(stream).refused, { permanent: 0, status: "3.1", text: "disk full" });
  assert.equal(local.deliveries[0]?.settled, false);
  storage.apply = apply;
  await clock.advance(1_000);
  assert.equal(local.deliveries[0]?.settled, true);
  assert.deepEqual(await counts(storage), { messages: 0, recipients: 0, held: 0 });
  const again = smtpd.submit("z\n", ["c@here.org"]);
  await clock.settle();
  assert.ok(smtpd.answer(again).id);
  assert.deepEqual(
    texts(events).filter((event) => event === "alert" || event === "warning"),
    ["alert", "warning"],
  );
});

for (const how of ["abandons", "breaks off"]) {
  test(`queue keeps nothing when a sender ${how}`, async () => {
    const storage = new MemoryStorage();
    const { clock, smtpd } = startQueue(storage);
    const stream = smtpd.begin("x".repeat(60_000), ["a@far.org"]);
    for (const octets of [60_000, submissionWindowOctets - 120_000]) smtpd.send(bodyFrame(stream, octets));
    await clock.settle();
    assert.ok(value(await storage.chunk(1, 0)));
    if (how === "abandons") smtpd.send(abandon.encode(stream, {}));
    else smtpd.close();
    await clock.settle();
    assert.equal(value(await storage.chunk(1, 0)), undefined);
    assert.deepEqual(await counts(storage), { messages: 0, recipients: 0, held: 0 });
  });
}

function bodyFrame(stream: number, octets: number): Buffer {
  const frame = Buffer.alloc(9 + octets, 0x79);
  frame.writeUInt32BE(octets, 0);
  frame[4] = 2;
  frame.writeUInt32BE(stream, 5);
  return frame;
}

test("queue streams a large message through, by credit", async () => {
  const storage = new MemoryStorage();
  const { clock, queue, smtpd } = startQueue(storage, settingsOf({ locals: "here.org" }));
  const local = new Deliverer(queue, "local", delivers);
  const stream = smtpd.begin("", ["a@here.org"]);
  let credit = 131_072;
  let sent = 0;
  const total = 1_000_000;
  while (sent < total) {
    const octets = Math.min(50_000, credit, total - sent);
    if (octets > 0) smtpd.send(bodyFrame(stream, octets));
    sent += octets;
    credit -= octets;
    smtpd.frames = [];
    if (credit === 0) await clock.settle();
    for (const { type, payload } of smtpd.frames) {
      if (type === submissionCredit.type) credit += submissionCredit.decode(payload)?.octets ?? 0;
    }
  }
  smtpd.commit(stream);
  await clock.settle();
  assert.equal(smtpd.answer(stream).id, 1);
  assert.equal(local.deliveries[0]?.body.length, total);
  assert.ok(/^y+$/.test(local.deliveries[0]?.body ?? ""));
  assert.deepEqual(await counts(storage), { messages: 0, recipients: 0, held: 0 });
});

test("queue closes the channel of a sender that ignores its credit", async () => {
  const { smtpd } = startQueue(new MemoryStorage());
  const stream = smtpd.begin("", ["a@far.org"]);
  for (let n = 0; n < 3; n++) smtpd.send(bodyFrame(stream, 60_000));
  assert.equal(smtpd.closed, true);
});

for (const { name, reversePath, forwardPath } of [
  { name: "a control character in a recipient", reversePath: "a@b.org", forwardPath: "x\ny@b.org" },
  { name: "a control character in the sender", reversePath: "a\0@b.org", forwardPath: "x@b.org" },
  { name: "an endless address", reversePath: "a@b.org", forwardPath: `${"x".repeat(1_000)}@b.org` },
]) {
  test(`queue refuses ${name}`, async () => {
    const { clock, smtpd } = startQueue(new MemoryStorage());
    const stream = smtpd.submit("x\n", [forwardPath], reversePath);
    await clock.settle();
    assert.equal(smtpd.answer(stream).refused?.permanent, 1);
  });
}

test("queue throws mail for an empty local part away, and keeps duplicates", async () => {
  const { clock, queue, smtpd, events } = startQueue(new MemoryStorage(), settingsOf({ locals: "here.org" }));
  const local = new Deliverer(queue, "local", delivers);
  smtpd.submit("x\n", ["@here.org"]);
  smtpd.submit("y\n", ["a@here.org", "@here.org", "a@here.org"]);
  await clock.settle();
  assert.deepEqual(
    local.deliveries.map(({ body, numbers }) => [body, numbers]),
    [
      ["y\n", [0]],
      ["y\n", [1]],
    ],
  );
  assert.equal(texts(events).filter((event) => event === "end").length, 2);
});

test("§17.30 queue retries by qmail's rule and tells the attempt", async () => {
  const { clock, queue, smtpd } = startQueue(new MemoryStorage());
  const remote = new Deliverer(queue, "remote", () => ({ letter: "Z", text: "later\n", reached: 1 }));
  smtpd.submit("x\n", ["a@far.org"]);
  await clock.settle();
  await clock.advance(390_000);
  assert.equal(remote.deliveries.length, 1);
  await clock.advance(30_000);
  assert.equal(remote.deliveries.length, 2);
  await clock.advance(1_170_000);
  assert.equal(remote.deliveries.length, 2);
  await clock.advance(120_000);
  assert.deepEqual(
    remote.deliveries.map(({ attempt }) => attempt),
    [1, 2, 3],
  );
});

test("queue gives recipients of one destination to remote together, VERP ones alone", async () => {
  const { clock, queue, smtpd } = startQueue(
    new MemoryStorage(),
    settingsOf({ maxtransactionrecipients: "2" }),
    undefined,
  );
  const remote = new Deliverer(queue, "remote", delivers);
  smtpd.submit("x\n", ["a@far.org", "b@far.org", "c@far.org", "d@other.org"]);
  await clock.settle();
  assert.deepEqual(remote.deliveries.map(({ forwardPaths }) => forwardPaths).sort(), [
    ["a@far.org", "b@far.org"],
    ["c@far.org"],
    ["d@other.org"],
  ]);
  smtpd.submit("x\n", ["a@far.org", "b@far.org"], "list-@here.org-@[]");
  await clock.settle();
  assert.deepEqual(
    remote.deliveries.slice(3).map(({ reversePath }) => reversePath),
    ["list-a=far.org@here.org", "list-b=far.org@here.org"],
  );
});

for (const { peer, tried, expected } of [
  { peer: "expands it", tried: 3, expected: ["list-a=far.org@here.org a", "list-@here.org-@[] b,c,d"] },
  {
    peer: "no longer does",
    tried: 1,
    expected: [
      "list-a=far.org@here.org a",
      "list-@here.org-@[] b,c,d",
      "list-c=far.org@here.org c",
      "list-d=far.org@here.org d",
    ],
  },
]) {
  test(`queue gives recipients with VERP to remote together where the destination ${peer}`, async () => {
    const settings = settingsOf({ concurrencydestination: "1" });
    const { clock, queue, smtpd, events } = startQueue(new MemoryStorage(), settings);
    const remote = new Deliverer(queue, "remote", (_, { numbers }) => ({
      letter: "K",
      text: "taken\n",
      reached: numbers.length > tried ? 1 : expandsVerp,
    }));
    remote.tries = tried;
    smtpd.submit("x\n", ["a@far.org", "b@far.org", "c@far.org", "d@far.org"], "list-@here.org-@[]");
    await clock.settle();
    const shown = remote.deliveries.map(
      ({ reversePath, forwardPaths }) => `${reversePath} ${forwardPaths.map((path) => path[0]).join()}`,
    );
    assert.deepEqual(shown, expected);
    assert.equal(texts(events).at(-1), "end");
  });
}

test("queue sends at once what a server did not take with the others, and no more together than it takes", async () => {
  const settings = settingsOf({ concurrencydestination: "1" });
  const { clock, queue, smtpd, events } = startQueue(new MemoryStorage(), settings);
  const remote = new Deliverer(queue, "remote", delivers);
  remote.tries = 2;
  smtpd.submit(
    "x\n",
    ["a", "b", "c", "d", "e"].map((name) => `${name}@far.org`),
  );
  await clock.settle();
  const shown = remote.deliveries.map(({ forwardPaths }) => forwardPaths.map((path) => path[0]).join(""));
  assert.deepEqual(shown, ["abcde", "cd", "e"]);
  assert.equal(texts(events).at(-1), "end");
});

test("§17.34 queue counts the wait for the next attempt from when the last one began", async () => {
  const { clock, queue, smtpd } = startQueue(new MemoryStorage());
  const remote = new Deliverer(queue, "remote", () => undefined);
  smtpd.submit("x\n", ["a@far.org"]);
  await clock.settle();
  await clock.advance(60_000);
  remote.fate = () => ({ letter: "Z", text: "later\n" });
  for (const delivery of remote.running) remote.answer(delivery);
  await clock.advance(339_000);
  assert.equal(remote.deliveries.length, 1);
  await clock.advance(1_000);
  assert.equal(remote.deliveries.length, 2);
});

test("queue does not wait for a time of before the clock was set back", async () => {
  const { clock, queue, smtpd } = startQueue(new MemoryStorage());
  const remote = new Deliverer(queue, "remote", () => undefined);
  smtpd.submit("x\n", ["a@far.org"]);
  await clock.settle();
  clock.wall -= 86_400_000;
  await clock.advance(120_000);
  remote.fate = () => ({ letter: "Z", text: "later\n" });
  for (const delivery of remote.running) remote.answer(delivery);
  await clock.advance(400_000);
  assert.equal(remote.deliveries.length, 2);
});

test("queue delivers again at once what a broken channel left open, and defers it when that repeats", async () => {
  const { clock, queue, smtpd, events } = startQueue(new MemoryStorage());
  const first = new Deliverer(queue, "remote", () => undefined);
  smtpd.submit("x\n", ["a@far.org"]);
  await clock.settle();
  first.close();
  const second = new Deliverer(queue, "remote", () => undefined);
  await clock.settle();
  assert.equal(second.deliveries.length, 1);
  assert.equal(second.deliveries[0]?.attempt, 1);
  assert.equal(second.deliveries[0]?.name, first.deliveries[0]?.name);
  second.close();
  const third = new Deliverer(queue, "remote", () => undefined);
  await clock.settle();
  third.close();
  const fourth = new Deliverer(queue, "remote", delivers);
  await clock.settle();
  assert.equal(fourth.deliveries.length, 0);
  await clock.advance(400_000);
  assert.equal(fourth.deliveries[0]?.attempt, 2);
  assert.equal(texts(events).at(-1), "end");
});

test("queue queues a forward in the transaction of its report", async () => {
  const storage = new MemoryStorage();
  const { clock, queue, smtpd, events } = startQueue(storage, settingsOf({ locals: "here.org" }));
  const batches: string[][] = [];
  const apply = storage.apply.bind(storage);
  storage.apply = (changes) => {
    batches.push(changes.map(({ kind }) => kind));
    return apply(changes);
  };
  const local = new Deliverer(queue, "local", (forwardPath): Fate => {
    const prefix = "Delivered-To: a@here.org\n";
    const forwards = [{ reversePath: "sender@example.org", prefix, forwardPaths: ["b@here.org", "c@far.org"] }];
    return forwardPath === "a@here.org" ? { letter: "K", text: "did 0+1+0\n", forwards } : delivers();
  });
  const remote = new Deliverer(queue, "remote", delivers);
  smtpd.submit("Subject: x\n\nhello\n", ["a@here.org"]);
  await clock.settle();
  assert.ok(
    batches.some((kinds) => kinds.join() === "message,end"),
    JSON.stringify(batches),
  );
  const expected =
    "Received: (postern 2 invoked by local); 14 Nov 2023 22:13:20 -0000\nDelivered-To: a@here.org\nSubject: x\n\nhello\n";
  assert.deepEqual(
    [...local.deliveries.slice(1), ...remote.deliveries].map(({ body }) => body),
    [expected, expected],
  );
  const texts = events.flatMap((event) => (event.event === "delivery" ? [event.text] : []));
  assert.equal(texts[0], "did 0+1+0\nqp 2\n", "§17.127 the forward's number in the success text");
  assert.deepEqual(await counts(storage), { messages: 0, recipients: 0, held: 0 });
  assert.equal(value(await storage.chunk(1, 0)), undefined);
});

test("queue does not queue the forwards of a delivery that is to be repeated", async () => {
  const { clock, queue, smtpd } = startQueue(new MemoryStorage(), settingsOf({ locals: "here.org" }));
  const forwards = [{ reversePath: "", prefix: "x: y\n", forwardPaths: ["c@far.org"] }];
  new Deliverer(queue, "local", () => ({ letter: "Z", text: "later\n", forwards }));
  const remote = new Deliverer(queue, "remote", delivers);
  smtpd.submit("x\n", ["a@here.org"]);
  await clock.settle();
  assert.equal(remote.deliveries.length, 0);
});

test("§17.40 queue stops: no new deliveries, running ones end, the rest stays", async () => {
  const storage = new MemoryStorage();
  const settings = settingsOf({ locals: "here.org", concurrencylocal: "1" });
  const { clock, queue, smtpd } = startQueue(storage, settings);
  const local = new Deliverer(queue, "local", () => undefined);
  smtpd.submit("x\n", ["a@here.org", "b@here.org"]);
  await clock.settle();
  const stopped = queue.stop();
  const late = smtpd.submit("y\n", ["c@here.org"]);
  local.fate = delivers;
  for (const delivery of local.running) local.answer(delivery);
  await clock.advance(9_000);
  await stopped;
  assert.equal(smtpd.answer(late).refused?.permanent, 0);
  assert.deepEqual(
    local.deliveries.map(({ forwardPaths }) => forwardPaths),
    [["a@here.org"]],
  );
  assert.deepEqual(await counts(storage), { messages: 1, recipients: 1, held: 0 });
});

test("queue tries the rest of a destination as soon as it is no longer left alone", async () => {
  const { clock, queue, smtpd } = startQueue(new MemoryStorage(), settingsOf({ concurrencydestination: "1" }));
  const unreachable: Fate = { letter: "Z", text: "no\n", reached: 2 };
  const remote = new Deliverer(queue, "remote", () => unreachable);
  smtpd.submit("1\n", ["a@far.org"]);
  smtpd.submit("2\n", ["b@far.org"]);
  await clock.settle();
  assert.deepEqual(
    remote.deliveries.map(({ queueId }) => queueId),
    [1],
  );
  await clock.advance(90_000); // left alone for a minute; the first is due again after 400 seconds
  assert.deepEqual(
    remote.deliveries.map(({ queueId }) => queueId),
    [1, 2],
  );
});

test("queue tries again what became due while its result could not be written", async () => {
  const storage = new MemoryStorage();
  const { clock, queue, smtpd } = startQueue(storage, settingsOf({ locals: "here.org" }));
  const local = new Deliverer(queue, "local", () => undefined);
  smtpd.submit("x\n", ["user@here.org"]);
  await clock.settle();
  const apply = storage.apply.bind(storage);
  const gate = Promise.withResolvers<void>();
  storage.apply = async (changes) => {
    await gate.promise;
    return apply(changes);
  };
  local.fate = () => ({ letter: "Z", text: "later\n" });
  for (const delivery of local.running) local.answer(delivery);
  await clock.advance(150_000); // due after 100 seconds
  gate.resolve();
  await clock.advance(60_000);
  assert.equal(local.deliveries.length, 2);
});

test("queue gives nothing up for its age in the moment the clock jumps", async () => {
  const { clock, queue, events, smtpd } = startQueue(new MemoryStorage(), settingsOf({ locals: "here.org" }));
  const local = new Deliverer(queue, "local", () => undefined);
  smtpd.submit("x\n", ["user@here.org"]);
  await clock.settle();
  local.close();
  clock.wall += 3_650 * 86_400_000;
  const again = new Deliverer(queue, "local", () => ({ letter: "Z", text: "later\n" }));
  await clock.settle();
  assert.equal(again.deliveries.length, 1);
  assert.deepEqual(texts(events).slice(-1), ["delivery"]); // and no bounce
});

test("queue ends a message that was read from disk before its last results were written there", async () => {
  const storage = new MemoryStorage();
  const settings = settingsOf({ locals: "here.org" });
  const before = startQueue(storage, settings);
  before.smtpd.submit("x\n", ["user@here.org", "a@far.org"]);
  await before.clock.settle();
  const read = storage.message.bind(storage);
  const second = Promise.withResolvers<void>();
  let reads = 0;
  storage.message = async (id) => {
    const message = await read(id); // that of the first channel is answered at once, the other one's later
    if (++reads === 2) await second.promise;
    return message;
  };
  const { clock, queue } = startQueue(storage.reopen(), settings);
  const channels = [new Deliverer(queue, "local", delivers), new Deliverer(queue, "remote", delivers)];
  await clock.settle();
  second.resolve();
  await clock.settle();
  assert.deepEqual(
    channels.map(({ deliveries }) => deliveries.length),
    [1, 1],
  );
  assert.deepEqual(await counts(storage), { messages: 0, recipients: 0, held: 0 });
});
