import assert from "node:assert/strict";
import { test } from "node:test";
import { mutants } from "./mutants.ts";
import { simulate } from "./simulate.ts";

const maxSeeds = 60;

for (const [name, mutant] of mutants) {
  test(`the simulation notices a remote that ${name}`, async (t) => {
    for (let seed = 1; seed <= maxSeeds; seed++) {
      const { violation } = await simulate(seed, { steps: 60, without: new Set(), mutant });
      if (violation === undefined) continue;
      const healthy = await simulate(seed, { steps: 60, without: new Set() });
      assert.equal(healthy.violation, undefined, "this is found without the fault too");
      t.diagnostic(`seed ${seed}: ${violation}`);
      return;
    }
    assert.fail(`not noticed in ${maxSeeds} runs`);
  });
}
