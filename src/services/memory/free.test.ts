import assert from "node:assert/strict";
import { test } from "node:test";
import { free } from "./free.ts";

test("free() empties a buffer of its own, and all views of it", () => {
  const octets = Buffer.allocUnsafeSlow(100_000);
  const part = octets.subarray(10);
  free(octets);
  assert.deepEqual([octets.length, part.length], [0, 0]);
  free(octets);
});

test("free() leaves a part alone, and what lies in Node's pool", () => {
  const octets = Buffer.allocUnsafeSlow(10);
  for (const part of [octets.subarray(0, 9), octets.subarray(1), Buffer.from("pooled")]) {
    free(part);
    assert.ok(part.length > 0);
  }
});
