import assert from "node:assert/strict";
import { test } from "node:test";
import { exhaust, settings } from "./exhaust.ts";
import { type Fault, simulate } from "./simulate.ts";

const isLong = process.env.POSTERN_LONG === "1";
const runsForEachPlace = isLong ? 5_000 : 8;
const runs = isLong ? 200_000 : 2_000;

/** Runs that once failed, and what they found. What a seed means changes with the code. */
const found: readonly { seed: number; steps: number; without: readonly Fault[]; bug: string }[] = [
  {
    seed: 734,
    steps: 4,
    without: ["ENOSPC", "short", "move", "delete"],
    bug: "appends to an mbox of which the mark could not be written",
  },
];
for (const { seed, steps, without, bug } of found) {
  test(`a delivery no longer ${bug}`, async () => {
    assert.equal((await simulate(seed, { steps, without: new Set(without) })).violation, undefined);
  });
}

for (const [name, setting] of Object.entries(settings)) {
  test(`${name}: one whole copy, whichever call is the last, twice`, async (t) => {
    const { story, ...seen } = await exhaust(setting, runsForEachPlace);
    t.diagnostic(JSON.stringify(seen));
    assert.equal(seen.violation, undefined, story.join("\n"));
    assert.ok(seen.calls > 15);
  });
}

test("the checker needs a file system that keeps the order of names: one that does not, loses mail", async () => {
  const { violation } = await exhaust({ qmail: "./Maildir/\n", bodyOctets: 60, keeping: "any" }, 20);
  assert.match(violation ?? "", /lost|copies|torn though it was reported/);
});

test("a delivery loses, repeats and tears nothing", async () => {
  for (let seed = 1; seed <= runs; seed++) {
    const { violation } = await simulate(seed, { steps: 6, without: new Set() });
    assert.equal(violation, undefined, `node test/simulation/deliver/run.ts --seed ${seed}`);
  }
});

test("simulate() does the same again for the same seed", async () => {
  const stories: string[][] = [[], []];
  for (const story of stories) {
    for (let seed = 1; seed <= 20; seed++) {
      await simulate(seed, { steps: 6, without: new Set(), trace: (line) => void story.push(line) });
    }
  }
  assert.ok((stories[0]?.length ?? 0) > 500);
  assert.deepEqual(stories[0], stories[1]);
});
