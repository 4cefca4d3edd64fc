import assert from "node:assert/strict";
import { test } from "node:test";
import { getSystemErrorName } from "node:util";
import { osReason } from "./os-reason.ts";

for (const { number, reason } of [
  { number: 13, reason: "permission denied" },
  { number: 122, reason: "EDQUOT" },
  { number: 99_999, reason: "Unknown system error -99999" },
]) {
  test(`osReason() says "${reason}"`, () => {
    const error = Object.assign(new Error("what Node says"), { errno: -number, code: getSystemErrorName(-number) });
    assert.equal(osReason(error), reason);
  });
}
