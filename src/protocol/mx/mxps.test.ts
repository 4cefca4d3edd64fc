import assert from "node:assert/strict";
import { test } from "node:test";
import { prefersQmtp } from "./mxps.ts";

test("prefersQmtp() takes one preference in sixteen of MXPS's range, and no other", () => {
  const chosen = Array.from({ length: 65_536 }, (_, preference) => preference).filter(prefersQmtp);
  assert.deepEqual(
    chosen,
    [12801, 12817, 12833, 12849, 12865, 12881, 12897, 12913, 12929, 12945, 12961, 12977, 12993, 13009, 13025, 13041],
  );
});
