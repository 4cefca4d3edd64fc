import assert from "node:assert/strict";
import { test } from "node:test";
import { runPlan, summary } from "./crashes.ts";
import { crashesInDeck, killAnything } from "./kills.ts";

test("kills, stops and reloads under load: each entrance, each exit, all there", async (t) => {
  const seed = Date.now() % 1_000_000;
  const plan = {
    seed,
    messages: 1_500,
    crashes: crashesInDeck,
    crash: killAnything(),
    largeEvery: 300,
    fetching: true,
  };
  const result = await runPlan(plan);
  t.diagnostic(`--seed ${seed}: ${summary(result)}`);
  assert.deepEqual(result.wrong.slice(0, 20), []);
  assert.ok(result.acknowledged > 1_000, "most of the load went through");
});
