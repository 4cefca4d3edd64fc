import assert from "node:assert/strict";
import { test } from "node:test";
import { unlessLong } from "../support/missing.ts";
import {
  closed,
  type Damage,
  empty,
  fifo,
  flipBit,
  folder,
  foreign,
  half,
  link,
  makeVictim,
  messages,
  spoilPage,
  startDamaged,
  text,
  zeros,
} from "./damage.ts";

const database = "queue/queue.sqlite";
const wal = `${database}-wal`;

/** `least`: so many of the old messages are delivered, or "all". `aside`: the file is kept, and an alert says so. */
interface Row {
  readonly file: string;
  readonly damage: Damage;
  readonly least: number;
  readonly aside: boolean;
}
const row = (file: string, damage: Damage, least: number, aside: boolean): Row => ({ file, damage, least, aside });

const stopped: readonly Row[] = [
  ...[1, 2].map((seed) => row(database, spoilPage(seed), 1, true)),
  row(database, half, 1, true),
  row(database, empty, 0, false), // SQLite takes it for a new one
  row(database, text, 0, true),
  row(database, zeros, 0, true),
  row(database, folder, 0, true),
  row(database, fifo, 0, true),
  ...[text, zeros, half].map((damage) => row("run/lock.queue", damage, messages, false)),
  row("run/control", text, messages, false),
  ...[text, zeros, empty, half].map((damage) => row("log/current", damage, messages, false)),
];

/** A torn log is what a crash leaves: what is whole of it counts, and nothing is set aside. */
const killed: readonly Row[] = [
  row(wal, half, 0, false),
  row(wal, empty, 0, false),
  row(wal, zeros, 0, false),
  row(wal, text, 0, false),
  row(wal, flipBit(3), 0, false),
];

for (const [end, rows] of [
  ["stopped", stopped],
  ["killed", killed],
] as const) {
  test(`files damaged after the server was ${end}: it starts, says what it set aside, and serves the rest`, async (t) => {
    using victim = await makeVictim(end);
    for (const { file, damage, least, aside } of rows) {
      await t.test(`${file}: ${damage.name}`, async (t) => {
        const outcome = await startDamaged(victim, file, damage);
        t.diagnostic(`${outcome.saved} of ${messages} saved`);
        assert.deepEqual(outcome.wrong, []);
        assert.ok(outcome.saved >= least, `${outcome.saved} saved`);
        assert.equal(outcome.aside.length > 0, aside, String(outcome.aside));
        if (aside) assert.match(outcome.said, /"alert".*was damaged.*corrupt-/);
        if (damage.name.includes("page"))
          assert.ok(outcome.saved + outcome.told >= messages, "none is lost without a word");
      });
    }
  });
}

/** Nothing of ours is thrown away, and nothing of others' touched: this wants somebody, and says for what. */
const refused = [
  { file: database, damage: link },
  { file: database, damage: closed },
  { file: database, damage: foreign },
  { file: wal, damage: folder },
] as const;

test("a queue that cannot be opened is not replaced: it is named, with the reason, and mail is refused for now", async (t) => {
  using victim = await makeVictim("killed");
  for (const { file, damage } of refused) {
    await t.test(`${file}: ${damage.name}`, async () => {
      const { wrong, said } = await startDamaged(victim, file, damage);
      assert.match(wrong.join(), /^answered: 4\d\d /);
      assert.match(said, /cannot open .*queue\.sqlite: /);
    });
  }
});

test("one bit flipped anywhere in the queue's file: at most that message suffers", {
  skip: unlessLong(),
}, async (t) => {
  using victim = await makeVictim("stopped");
  for (let seed = 1; seed <= 60; seed++) {
    const { wrong, saved, said } = await startDamaged(victim, database, flipBit(seed));
    assert.deepEqual(wrong, [], `seed ${seed}`);
    if (saved < messages) assert.match(said, /"alert"/, `seed ${seed}`);
    t.diagnostic(`seed ${seed}: ${saved} of ${messages}`);
  }
});
