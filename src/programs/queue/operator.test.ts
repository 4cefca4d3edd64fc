import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStorage } from "../../services/storage/memory.ts";
import { ask, Deliverer, delivers, settingsOf, startQueue } from "./queue.testing.ts";

const settings = settingsOf({ locals: "here.org", concurrencyremote: "1" });

/** A store that answers for a message as it was when it was asked, but not before it is told to. */
class SlowStorage extends MemoryStorage {
  answers = Promise.withResolvers<void>();

  override async message(id: number) {
    const message = await super.message(id);
    await this.answers.promise;
    return message;
  }
}

/** A store that shows what it was given at once, and says that it has it when it is told to. */
class SlowFlush extends MemoryStorage {
  flushes = Promise.withResolvers<void>();

  override async apply(...args: Parameters<MemoryStorage["apply"]>) {
    const outcome = await super.apply(...args);
    await this.flushes.promise;
    return outcome;
  }
}

async function filled() {
  const bench = startQueue(new MemoryStorage(), settings);
  const remote = new Deliverer(bench.queue, "remote", () => ({ letter: "Z", text: "later\n", reached: 1 }));
  bench.smtpd.submit("x\n", ["a@one.org", "b@two.org"], "Me@Here.org");
  bench.smtpd.submit("y\n", ["c@two.org"], "you@there.org");
  await bench.clock.settle();
  return { ...bench, remote, ask: (request: unknown) => ask(bench.queue, bench.clock, request) };
}
const ids = (rows: readonly Record<string, unknown>[]) =>
  rows.flatMap(({ row }) => (row && typeof row === "object" && "id" in row ? [row.id] : []));

test("operator sees what is there", async () => {
  const { ask, clock } = await filled();
  const rows = await ask({ command: "list" });
  assert.deepEqual(rows[0], {
    row: {
      id: 1,
      arrivedMs: clock.wall,
      octets: 2,
      reversePath: "Me@Here.org",
      uid: 7,
      held: false,
      recipientCount: 2,
      recipients: ["one.org", "two.org"].map((destination, number) => ({
        number,
        forwardPath: `${"ab"[number]}@${destination}`,
        channel: "remote",
        destination,
        attempts: 1,
        nextAttemptMs: clock.wall + 400_000,
        lastReply: "later\n",
        state: "waiting",
      })),
    },
  });
  assert.deepEqual(rows.at(-1), { end: { count: 2 } });
  assert.deepEqual((await ask({ command: "count" }))[0], { row: { messages: 2, recipients: 3, held: 0, inFlight: 0 } });
});

const filters = [
  { filter: {}, found: [1, 2] },
  { filter: { ids: [2, 9] }, found: [2] },
  { filter: { sender: "me@here.org" }, found: [1] },
  { filter: { sender: "@there.org" }, found: [2] },
  { filter: { recipient: "b@two.org" }, found: [1] },
  { filter: { recipient: "@two.org" }, found: [1, 2] },
  { filter: { destination: "one.org" }, found: [1] },
  { filter: { destination: "one.org", sender: "@there.org" }, found: [] },
  { filter: { olderThanS: 1 }, found: [] },
  { filter: { olderThanS: 0 }, found: [1, 2] },
] as const;
for (const { filter, found } of filters) {
  test(`operator finds ${found.length} by ${JSON.stringify(filter)}`, async () => {
    const { ask } = await filled();
    assert.deepEqual(ids(await ask({ command: "list", filter })), found);
    assert.deepEqual(ids(await ask({ command: "show", filter, limit: 1 })), found.slice(0, 1));
  });
}

const wrong = [
  "",
  "[]",
  "{}",
  '{"command":"drop"}',
  '{"command":"list","filter":[]}',
  '{"command":"list","filter":{"ids":["1"]}}',
  '{"command":"list","filter":{"ids":[-1]}}',
  '{"command":"list","filter":{"sender":1}}',
  '{"command":"list","filter":{"age":1}}',
  '{"command":"list","limit":"1"}',
  '{"command":"delete","fliter":{"ids":[1]}}',
];
for (const line of wrong) {
  test(`operator is told what is wrong with ${line}`, async () => {
    const { ask } = await filled();
    const rows = await ask(line);
    assert.equal(rows.length, 1);
    assert.equal(typeof rows[0]?.error, "string");
  });
}

test("operator retries now, also a blocked destination", async () => {
  const { ask, remote, clock } = await filled();
  assert.equal(remote.deliveries.length, 3);
  remote.fate = () => ({ letter: "Z", text: "gone\n", reached: 2 });
  assert.deepEqual(await ask({ command: "retry" }), [{ end: { count: 2 } }]);
  const tried = remote.deliveries.length;
  assert.ok(tried > 3);
  remote.fate = delivers;
  await ask({ command: "retry", filter: { ids: [1, 2] } });
  await clock.settle();
  assert.deepEqual((await ask({ command: "count" }))[0], { row: { messages: 0, recipients: 0, held: 0, inFlight: 0 } });
});

test("operator sees which destinations are left alone, and has them tried again", async () => {
  const { ask, remote, clock } = await filled();
  remote.fate = () => ({ letter: "Z", text: "gone\n", reached: 2 });
  await ask({ command: "retry" });
  const blocked = async (filter = {}): Promise<readonly unknown[]> =>
    (await ask({ command: "blocked", filter })).flatMap(
      ({ row }) => (row as { destination: string })?.destination ?? [],
    );
  const all = (await blocked()).toSorted();
  assert.ok(all.length > 1);
  const [one] = all;
  assert.deepEqual(await blocked({ destination: one }), [one]);
  remote.fate = delivers;
  assert.deepEqual(await ask({ command: "open", filter: { destination: one } }), [{ end: { count: 1 } }]);
  assert.deepEqual((await blocked()).toSorted(), all.slice(1));
  assert.deepEqual(await ask({ command: "open" }), [{ end: { count: all.length - 1 } }]);
  assert.deepEqual(await blocked(), []);
  await clock.settle();
});

test("operator holds and releases", async () => {
  const { ask, remote, clock } = await filled();
  remote.fate = delivers;
  await ask({ command: "hold", filter: { ids: [1] } });
  await clock.advance(500_000);
  assert.deepEqual(ids(await ask({ command: "list" })), [1]);
  assert.deepEqual((await ask({ command: "count" }))[0], { row: { messages: 1, recipients: 2, held: 1, inFlight: 0 } });
  await ask({ command: "release", filter: {} });
  await clock.settle();
  assert.deepEqual(ids(await ask({ command: "list" })), []);
});

test("operator holds what is under way only after it has ended", async () => {
  const { ask, remote, smtpd, clock } = await filled();
  remote.fate = () => undefined;
  smtpd.submit("z\n", ["d@one.org", "e@two.org"]);
  await clock.settle();
  const running = remote.running;
  assert.equal(running.length, 1);
  await ask({ command: "hold", filter: { ids: [3] } });
  remote.fate = () => ({ letter: "Z", text: "later\n" });
  for (const delivery of running) remote.answer(delivery);
  await clock.advance(2_000_000);
  assert.equal(remote.deliveries.filter(({ queueId }) => queueId === 3).length, 1);
  remote.fate = delivers;
  await ask({ command: "release", filter: { ids: [3] } });
  await clock.settle();
  assert.equal(remote.deliveries.filter(({ queueId }) => queueId === 3).length, 3);
});

test("operator deletes without a bounce, also what is under way", async () => {
  const { ask, remote, smtpd, clock, events } = await filled();
  await ask({ command: "delete", filter: { ids: [1] } });
  assert.deepEqual(ids(await ask({ command: "list" })), [2]);
  remote.fate = () => undefined;
  smtpd.submit("z\n", ["d@one.org", "e@two.org"]);
  await clock.settle();
  await ask({ command: "delete", filter: { ids: [3] } });
  remote.fate = () => ({ letter: "D", text: "no\n" });
  for (const delivery of remote.running) remote.answer(delivery);
  await clock.settle();
  assert.deepEqual(ids(await ask({ command: "list" })), [2]);
  assert.ok(!events.some(({ event }) => event === "bounce"));
  assert.deepEqual(
    events.filter(({ event }) => event === "operator").map((event) => ({ ...event })),
    [1, 1].map((count) => ({ event: "operator", action: "delete", count, uid: 0 })),
  );
});

test("operator reads a long queue by pages", async () => {
  const { ask, smtpd, clock } = await filled();
  for (let n = 0; n < 1_200; n++) smtpd.submit("", [`u${n}@one.org`]);
  await clock.settle();
  const rows = await ask({ command: "list" });
  assert.deepEqual(rows.at(-1), { end: { count: 1_202 } });
  assert.equal(rows.length, 1_203);
});

for (const command of ["hold", "delete"]) {
  test(`operator's ${command} counts for a message that is being read from disk`, async () => {
    const storage = new SlowStorage();
    const before = startQueue(storage, settings);
    before.smtpd.submit("x\n", ["a@one.org"]);
    await before.clock.settle();
    storage.reopen();
    const { queue, clock } = startQueue(storage, settings);
    await clock.settle();
    await ask(queue, clock, { command, filter: { ids: [1] } });
    storage.answers.resolve();
    await clock.settle();
    const remote = new Deliverer(queue, "remote", delivers);
    await clock.settle();
    assert.equal(remote.deliveries.length, 0);
  });
}

test("operator's delete of what was stored at this moment leaves no forward of it without a body", async () => {
  const storage = new SlowFlush();
  const { queue, clock, smtpd, events } = startQueue(storage, settings);
  const remote = new Deliverer(queue, "remote", delivers);
  const forwards = [{ reversePath: "me@here.org", prefix: "", forwardPaths: ["b@one.org"] }];
  new Deliverer(queue, "local", () => ({ ...delivers(), forwards }));
  smtpd.submit("x\n", ["a@here.org"]);
  await clock.settle();
  const asked = ask(queue, clock, { command: "delete", filter: { ids: [1] } });
  await clock.settle();
  storage.flushes.resolve();
  await clock.settle();
  assert.deepEqual(await asked, [{ end: { count: 1 } }]);
  await clock.settle();
  assert.ok(remote.deliveries.every(({ body }) => body.endsWith("x\n")));
  assert.deepEqual(ids(await ask(queue, clock, { command: "list" })), []);
  assert.ok(!events.some(({ event }) => event === "alert"));
});
