import assert from "node:assert/strict";
import { test } from "node:test";
import { checkSeed, describe, type Row } from "./explore.ts";
import { growthOctets, growthRows } from "./growth.ts";
import { frameNames, sampledFrames } from "./rows/wire.ts";
import { rows } from "./table.ts";

for (const row of rows) {
  test(`${row.name}: ${row.cases} cases`, () => {
    for (let seed = 1; seed <= row.cases; seed++) {
      const found = checkSeed(row, seed);
      if (found) assert.fail(describe(found));
    }
  });
}

test("every frame is fuzzed", () => {
  assert.deepEqual(sampledFrames.toSorted(), frameNames.toSorted());
});

for (const { name, work } of growthRows) {
  test(`${name}: ends soon, and throws nothing`, () => work(growthOctets));
}

test("checkSeed() finds what fails, and makes it small", () => {
  const row: Row = {
    name: "no two large ones",
    cases: 0,
    check(source) {
      assert.ok(source.list(40, () => source.below(1_000)).filter((value) => value >= 100).length < 2);
    },
  };
  const found = Array.from({ length: 50 }, (_, seed) => checkSeed(row, seed)).find((one) => one !== undefined);
  assert.ok(found);
  assert.ok(found.choices.length <= 4, `${found.choices}`);
  assert.ok(
    found.choices.every((choice) => choice < 200),
    `${found.choices}`,
  );
});
