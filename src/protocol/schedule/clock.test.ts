import assert from "node:assert/strict";
import { test } from "node:test";
import { ClockWatch } from "./clock.ts";

const hour = 3_600_000;
const starts = [
  { name: "a first start", last: 0, settled: true, behind: false },
  { name: "a quick restart", last: 999 * hour, settled: true, behind: false },
  { name: "a restart after two days", last: 952 * hour, settled: false, behind: false },
  { name: "a clock that went back", last: 1_001 * hour, settled: false, behind: true },
] as const;
for (const { name, last, settled, behind } of starts) {
  test(`ClockWatch after ${name} ${settled ? "lets" : "does not let"} messages die`, () => {
    const watch = new ClockWatch(1_000 * hour, 0, last);
    assert.equal(watch.isSettled(1_000 * hour, 0), settled);
    assert.equal(watch.behind, behind);
    assert.equal(watch.isSettled(1_001 * hour + 1, hour + 1), true);
  });
}

const jumps = [
  { name: "keeps time", by: 60_000, jumped: undefined },
  { name: "drifts", by: 110_000, jumped: undefined },
  { name: "jumps ten years on", by: 87_600 * hour, jumped: "forward" },
  { name: "jumps ten years back", by: -87_600 * hour, jumped: "back" },
] as const;
for (const { name, by, jumped } of jumps) {
  test(`ClockWatch sees when the clock ${name}`, () => {
    const watch = new ClockWatch(1_000_000 * hour, 0, 0);
    const wall = 1_000_000 * hour + by;
    assert.equal(watch.isSettled(wall, 60_000), jumped === undefined, "before it is observed");
    assert.equal(watch.observe(wall, 60_000), jumped);
    assert.equal(watch.isSettled(wall, 60_000), jumped === undefined);
    assert.equal(watch.isSettled(wall + hour + 1, 60_001 + hour), true);
  });
}
