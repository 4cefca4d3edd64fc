import assert from "node:assert/strict";
import { test } from "node:test";
import { mutants } from "./mutants.ts";
import { simulate } from "./simulate.ts";

const maxSeeds = 40;

for (const { name, promise, mutant } of mutants) {
  test(`the simulation notices a queue that ${name} (${promise})`, async (t) => {
    for (let seed = 1; seed <= maxSeeds; seed++) {
      const flood = mutant.needsFlood === true;
      const { violation } = await simulate(seed, { steps: 30, without: new Set(), mutant, flood });
      if (violation === undefined) continue;
      t.diagnostic(`seed ${seed}: ${violation}`);
      return;
    }
    assert.fail(`not noticed in ${maxSeeds} runs`);
  });
}

test("every promise that the simulation guards has two mutants", () => {
  const counts = new Map<string, number>();
  for (const { promise } of mutants) counts.set(promise, (counts.get(promise) ?? 0) + 1);
  assert.ok(counts.size >= 9);
  for (const [promise, count] of counts) assert.ok(count >= 2, promise);
});
