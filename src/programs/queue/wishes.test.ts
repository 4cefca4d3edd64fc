import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeFrame } from "../../protocol/wire/frame.ts";
import { commit, dsnRecipients, noOptions, options, recipients } from "../../protocol/wire/submission.ts";
import { MemoryStorage } from "../../services/storage/memory.ts";
import { ask, Deliverer, delivers, startQueue } from "./queue.testing.ts";

const one = { forwardPaths: ["a@b"], notify: [1], originalRecipients: [""] };
const long = "x".repeat(1_001);

const submissions: readonly {
  name: string;
  frames: (stream: number) => Buffer[];
  ends: "stored" | "refused" | "broken";
}[] = [
  {
    name: "what was asked, in any order",
    frames: (s) => [dsnRecipients.encode(s, one), options.encode(s, noOptions)],
    ends: "stored",
  },
  {
    name: "the most there is",
    frames: (s) => [options.encode(s, { ...noOptions, ret: 2, flags: 7, priority: 18 })],
    ends: "stored",
  },
  {
    name: "a hold of a year",
    frames: (s) => [options.encode(s, { ...noOptions, holdUntilMs: 1_731_000_000_000 })],
    ends: "stored",
  },
  {
    name: "a hold for ever",
    frames: (s) => [options.encode(s, { ...noOptions, holdUntilMs: 2 ** 53 - 1 })],
    ends: "refused",
  },
  {
    name: "options twice",
    frames: (s) => [options.encode(s, noOptions), options.encode(s, noOptions)],
    ends: "broken",
  },
  { name: "a RET that is none", frames: (s) => [options.encode(s, { ...noOptions, ret: 3 })], ends: "broken" },
  { name: "a flag that is none", frames: (s) => [options.encode(s, { ...noOptions, flags: 8 })], ends: "broken" },
  { name: "a priority over 9", frames: (s) => [options.encode(s, { ...noOptions, priority: 19 })], ends: "broken" },
  {
    name: "an ENVID with a line end",
    frames: (s) => [options.encode(s, { ...noOptions, envelopeId: "a\nb" })],
    ends: "broken",
  },
  {
    name: "an ENVID without end",
    frames: (s) => [options.encode(s, { ...noOptions, envelopeId: long })],
    ends: "broken",
  },
  { name: "half a frame", frames: (s) => [encodeFrame(options.type, s, Buffer.from([0, 0]))], ends: "broken" },
  { name: "NEVER and more", frames: (s) => [dsnRecipients.encode(s, { ...one, notify: [9] })], ends: "broken" },
  { name: "a NOTIFY that is none", frames: (s) => [dsnRecipients.encode(s, { ...one, notify: [16] })], ends: "broken" },
  { name: "a NOTIFY too many", frames: (s) => [dsnRecipients.encode(s, { ...one, notify: [1, 1] })], ends: "broken" },
  {
    name: "an ORCPT too few",
    frames: (s) => [dsnRecipients.encode(s, { ...one, originalRecipients: [] })],
    ends: "broken",
  },
  {
    name: "an ORCPT without end",
    frames: (s) => [dsnRecipients.encode(s, { ...one, originalRecipients: [long] })],
    ends: "broken",
  },
  {
    name: "an ORCPT with a NUL",
    frames: (s) => [dsnRecipients.encode(s, { ...one, originalRecipients: ["a\0"] })],
    ends: "broken",
  },
  {
    name: "a recipient that is none",
    frames: (s) => [dsnRecipients.encode(s, { ...one, forwardPaths: [""] })],
    ends: "refused",
  },
  {
    name: "a body of no known kind",
    frames: (s) => [commit.encode(s, { reversePath: "", bodyKind: 3, uid: 0 })],
    ends: "broken",
  },
];

for (const { name, frames, ends } of submissions) {
  test(`Intake takes ${name}: ${ends}`, async () => {
    const { clock, smtpd } = startQueue(new MemoryStorage());
    const stream = smtpd.begin("Subject: x\n\n", ["user@far.example"]);
    smtpd.send(...frames(stream));
    if (!smtpd.closed) smtpd.commit(stream);
    await clock.settle();
    const { id, refused } = smtpd.answer(stream);
    assert.equal(smtpd.closed ? "broken" : id ? "stored" : refused?.permanent ? "refused" : "nothing", ends);
  });
}

test("Intake keeps what was asked with whom it was asked for, and shows it", async () => {
  const { queue, clock, smtpd } = startQueue(new MemoryStorage());
  const stream = smtpd.begin("Subject: x\n\n", ["plain@far.example", "@nobody.example"]);
  const forwardPaths = ["b@far.example", "c@far.example", "d@far.example"];
  const originalRecipients = ["rfc822;b", "", ""];
  smtpd.send(dsnRecipients.encode(stream, { forwardPaths, notify: [0, 8, 0], originalRecipients }));
  smtpd.send(options.encode(stream, { ...noOptions, envelopeId: "QQ" }));
  smtpd.send(recipients.encode(stream, { forwardPaths: ["e@far.example"] }));
  smtpd.commit(stream);
  await clock.settle();
  const [answer] = await ask(queue, clock, { command: "show" });
  const row = answer?.row as { options: unknown; recipients: { forwardPath: string; dsn?: unknown }[] };
  assert.deepEqual(row.options, { ...noOptions, envelopeId: "QQ" });
  assert.deepEqual(
    row.recipients.map(({ forwardPath, dsn }) => [forwardPath, dsn]),
    [
      ["plain@far.example", undefined],
      ["b@far.example", { notify: 0, originalRecipient: "rfc822;b" }],
      ["c@far.example", { notify: 8, originalRecipient: "" }],
      ["d@far.example", undefined],
      ["e@far.example", undefined],
    ],
  );
});

test("a message is not tried before its time, whatever the operator and the clock do, and ages from then", async () => {
  const storage = new MemoryStorage();
  const { queue, clock, smtpd, events } = startQueue(storage);
  const hour = 3_600_000;
  const remote = new Deliverer(queue, "remote", () => ({ letter: "Z", text: "not now\n" }));
  smtpd.ask("user@far.example", { holdUntilMs: clock.wall + 200 * hour });
  await clock.advance(hour);
  await ask(queue, clock, { command: "retry" });
  clock.wall -= 10_000 * hour; // the clock was ahead when it came
  await clock.advance(198 * hour);
  assert.equal(remote.deliveries.length, 0);
  await clock.advance(3 * hour); // what had passed before the clock was set is not known any more
  assert.ok(remote.deliveries.length > 0);
  assert.ok(!events.some(({ event }) => event === "bounce"));
  remote.fate = delivers;
  await clock.advance(24 * hour);
  assert.deepEqual(await ask(queue, clock, { command: "list" }), [{ end: { count: 0 } }]);
});

test("a message that waits for its time survives a restart, and waits on", async () => {
  const storage = new MemoryStorage();
  const first = startQueue(storage);
  first.smtpd.ask("user@far.example", { holdUntilMs: first.clock.wall + 7_200_000 });
  await first.clock.advance(60_000);
  const { queue, clock } = startQueue(storage.reopen());
  const remote = new Deliverer(queue, "remote", delivers);
  await clock.advance(7_190_000);
  assert.equal(remote.deliveries.length, 0);
  await clock.advance(60_000);
  assert.equal(remote.deliveries.length, 1);
});
