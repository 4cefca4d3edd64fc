import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate } from "./simulate.ts";

const runs = process.env.POSTERN_LONG === "1" ? 5_000 : 20;

test("remote answers as the peers do, says nothing it should not, and waits no longer than it may", async (t) => {
  const total = { deliveries: 0, simulatedMs: 0 };
  for (let seed = 1; seed <= runs; seed++) {
    const { violation, deliveries, simulatedMs } = await simulate(seed, { steps: 20, without: new Set() });
    assert.equal(violation, undefined, `node test/simulation/remote/run.ts --seed ${seed}`);
    total.deliveries += deliveries;
    total.simulatedMs += simulatedMs;
  }
  t.diagnostic(JSON.stringify(total));
  assert.ok(total.deliveries > runs);
});

test("simulate() does the same again for the same seed", async () => {
  const stories: string[][] = [[], []];
  for (const story of stories) {
    await simulate(2, { steps: 10, without: new Set(), trace: (line) => void story.push(line) });
  }
  assert.ok((stories[0]?.length ?? 0) > 50);
  assert.deepEqual(stories[0], stories[1]);
});
