import assert from "node:assert/strict";
import { test } from "node:test";
import { exhaust, settings } from "./exhaust.ts";
import { mutants } from "./mutants.ts";
import { simulate } from "./simulate.ts";

const maxSeeds = 3_000;
const runsForEachPlace = 4;

for (const [name, mutant] of mutants) {
  test(`the simulation notices a delivery that ${name}`, async (t) => {
    for (let seed = 1; seed <= maxSeeds; seed++) {
      const { violation } = await simulate(seed, { steps: 6, without: new Set(), mutant });
      if (violation === undefined) continue;
      t.diagnostic(`seed ${seed}: ${violation}`);
      return;
    }
    for (const setting of Object.values(settings)) {
      const { violation } = await exhaust(setting, runsForEachPlace, mutant);
      if (violation === undefined) continue;
      t.diagnostic(violation);
      return;
    }
    assert.fail("not noticed");
  });
}
