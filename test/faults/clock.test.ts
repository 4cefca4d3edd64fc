import assert from "node:assert/strict";
import { test } from "node:test";
import { without } from "../support/missing.ts";
import { clockTree, stepClock, steps } from "./clock.ts";
import { startStage } from "./stage.ts";

test("the clock is set while mail waits, is delivered and comes in: nothing lost, bounced, doubled or stormed", {
  skip: without("faketime"),
}, async (t) => {
  using clock = clockTree();
  await using stage = await startStage({ tree: clock.tree });
  for (const { name, offSeconds } of steps) {
    await t.test(name, async () => assert.deepEqual(await stepClock(stage, clock, offSeconds()), []));
  }
});
