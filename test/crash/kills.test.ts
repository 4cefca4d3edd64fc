import assert from "node:assert/strict";
import { test } from "node:test";
import { runPlan, summary } from "./crashes.ts";
import { killSomething } from "./kills.ts";

test("any program or all of them killed under load: each entrance, each exit, all there", async (t) => {
  const seed = Date.now() % 1_000_000;
  const result = await runPlan({ seed, messages: 2_400, crashes: 18, crash: killSomething });
  t.diagnostic(`--seed ${seed}: ${summary(result)}`);
  assert.deepEqual(result.wrong, []);
  assert.ok(result.acknowledged > 1_200, "most of the load went through");
});
