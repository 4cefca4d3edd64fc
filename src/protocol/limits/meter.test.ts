import assert from "node:assert/strict";
import { test } from "node:test";
import { createMeter } from "./meter.ts";

test("createMeter() lets an hour's share pass at once, and the rest as time goes", () => {
  const meter = createMeter(60, 10);
  for (let count = 0; count < 60; count++) {
    assert.equal(meter.exceeds("a", 1, 0), false);
    meter.add("a", 1, 0);
  }
  assert.equal(meter.exceeds("a", 1, 0), true);
  assert.equal(meter.exceeds("b", 60, 0), false);
  assert.equal(meter.exceeds("b", 61, 0), true);
  assert.equal(meter.exceeds("a", 1, 59), true);
  assert.equal(meter.exceeds("a", 1, 60), false);
  assert.equal(meter.exceeds("a", 60, 3_600), false);
});

test("createMeter() knows no limit with 0, and takes a new one", () => {
  const meter = createMeter(0, 10);
  meter.add("a", 1_000_000, 0);
  assert.equal(meter.exceeds("a", 1_000_000, 0), false);
  meter.limit(10);
  assert.equal(meter.exceeds("a", 1, 0), true);
});

test("createMeter() remembers so many and no more: it forgets the longest quiet", () => {
  const meter = createMeter(1, 3);
  for (const key of ["a", "b", "c", "a", "d"]) meter.add(key, 1, 0);
  assert.deepEqual(
    ["a", "b", "c", "d"].filter((key) => meter.exceeds(key, 1, 0)),
    ["a", "c", "d"],
  );
});
