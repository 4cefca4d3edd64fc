import assert from "node:assert/strict";
import { test } from "node:test";
import { unlessRoot, without } from "../support/missing.ts";
import { summary } from "./crashes.ts";
import { cutPowerUnderLoad } from "./power-cut.ts";

for (const [fileSystem, maker] of [
  ["ext4", "mkfs.ext4"],
  ["xfs", "mkfs.xfs"],
] as const) {
  test(`power cuts under load on ${fileSystem}: all there, nothing twice, nothing torn`, {
    skip: unlessRoot() || without(maker),
  }, async (t) => {
    const seed = Date.now() % 1_000_000;
    const result = await cutPowerUnderLoad({ fileSystem, cuts: 3, messages: 800, seed, largeEvery: 250 });
    t.diagnostic(`--seed ${seed}: ${summary(result)}`);
    assert.deepEqual(result.wrong.slice(0, 20), []);
    assert.ok(result.acknowledged > 400, "most of the load went through");
  });
}
