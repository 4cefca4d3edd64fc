import assert from "node:assert/strict";
import { test } from "node:test";
import { createReaders, maxReaders } from "./readers.ts";

const minuteMs = 60_000;

test("createReaders() lets the address of a login relay, and no other, until the window ends", () => {
  let now = 0;
  const readers = createReaders(10 * minuteMs, () => now);
  assert.equal(readers.mayRelay("192.0.2.1"), false);
  readers.note("192.0.2.1");
  for (const other of ["192.0.2.2", "192.0.2.11", "2001:db8::1", "", "x"]) assert.equal(readers.mayRelay(other), false);
  now = 10 * minuteMs - 1;
  assert.equal(readers.mayRelay("192.0.2.1"), true);
  now++;
  assert.equal(readers.mayRelay("192.0.2.1"), false);
  readers.note("192.0.2.1");
  now += minuteMs;
  assert.equal(readers.mayRelay("192.0.2.1"), true, "each login begins it anew");
});

const same = [
  ["192.0.2.1", "::ffff:192.0.2.1"],
  ["2001:db8::1", "2001:0DB8:0:0:0:0:0:1"],
] as const;
for (const [one, other] of same) {
  test(`createReaders() takes ${one} and ${other} for one address`, () => {
    const readers = createReaders(minuteMs, () => 0);
    readers.note(other);
    assert.equal(readers.mayRelay(one), true);
  });
}

for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "", "nobody"]) {
  test(`createReaders() never lets ${address || "no address"} relay`, () => {
    const readers = createReaders(minuteMs, () => 0);
    readers.note(address);
    assert.equal(readers.mayRelay(address), false);
  });
}

test("createReaders() remembers nothing with a window of 0, nor what came before one", () => {
  const readers = createReaders(0, () => 0);
  readers.note("192.0.2.1");
  readers.limit(minuteMs);
  assert.equal(readers.mayRelay("192.0.2.1"), false);
  readers.note("192.0.2.1");
  readers.limit(0);
  readers.limit(minuteMs);
  assert.equal(readers.mayRelay("192.0.2.1"), false);
});

test("createReaders() has room for so many, and forgets who read longest ago", () => {
  const readers = createReaders(minuteMs, () => 0);
  const nth = (n: number): string => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
  for (let n = 0; n < maxReaders; n++) readers.note(nth(n));
  readers.note(nth(0));
  readers.note("192.0.2.1");
  assert.deepEqual([nth(0), nth(1), nth(2), "192.0.2.1"].map(readers.mayRelay), [true, false, true, true]);
});
