import assert from "node:assert/strict";
import { test } from "node:test";
import { splitAtBlanks, trimBlanks } from "./blanks.ts";

const voila = Buffer.from("voilà").toString("latin1");

for (const [text, trimmed] of [
  ["", ""],
  [" \t\r\n", ""],
  [" a b\t", "a b"],
  [` ${voila}\n`, voila],
  ["\xa0", "\xa0"],
] as const) {
  test(`trimBlanks() makes ${JSON.stringify(trimmed)} of ${JSON.stringify(text)}`, () =>
    assert.equal(trimBlanks(text), trimmed));
}

test("splitAtBlanks() leaves letters whole", () => {
  assert.deepEqual(splitAtBlanks(` ${voila}  ${voila}\n\tx`), [voila, voila, "x"]);
});
