import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { baseName, flagsOf, sizeInName, timeInName, uidOf, withFlag } from "./file-name.ts";

const sizes: readonly (readonly [name: string, size: number | undefined])[] = [
  ["1700000000.Q1I2R1.mx,S=4096", 4_096],
  ["1700000000.M1P2.mx,S=4096,W=4200:2,S", 4_096],
  ["1700000000.mx,W=4200,S=1:2,", 1],
  ["1700000000.mx,S=", undefined],
  ["1700000000.mx,S=x", undefined],
  ["1700000000.mx:2,S", undefined],
  [`1700000000.mx,S=${"9".repeat(30)}`, 999_999_999_999_999],
];
for (const [name, size] of sizes)
  test(`sizeInName() of ${name} is ${size}`, () => assert.equal(sizeInName(name), size));

const times: readonly (readonly [name: string, time: number | undefined])[] = [
  ["1700000000.Q1I2R1.mx", 1_700_000_000],
  ["999999999.1.mx", 999_999_999],
  ["17000000001.1.mx", undefined],
  ["message", undefined],
  ["12345678", undefined],
  ["1700000000", undefined],
];
for (const [name, time] of times)
  test(`timeInName() of ${name} is ${time}`, () => assert.equal(timeInName(name), time));

const digest = (octets: string): string => createHash("sha256").update(octets, "latin1").digest("base64url");

test("§17.188 uidOf() is the file name up to the colon, wherever the file is", () => {
  assert.equal(uidOf("1700000000.1.mx,S=5", digest), "1700000000.1.mx,S=5");
  assert.equal(uidOf("1700000000.1.mx,S=5:2,FS", digest), "1700000000.1.mx,S=5");
});

test("uidOf() makes 1 to 70 visible characters of any other name (RFC 1939 §7)", () => {
  const uids = ["x".repeat(71), "a b", "\xe4", ":2,S", "x".repeat(200)].map((name) => uidOf(name, digest));
  for (const uid of uids) assert.match(uid, /^[!-~]{43}$/);
  assert.equal(new Set(uids).size, uids.length);
});

const flags: readonly (readonly [name: string, after: string])[] = [
  ["1.x", "1.x:2,S"],
  ["1.x:2,", "1.x:2,S"],
  ["1.x:2,S", "1.x:2,S"],
  ["1.x:2,FT", "1.x:2,FST"],
  ["1.x:1,odd", "1.x:2,S"],
];
for (const [name, after] of flags) {
  test(`withFlag() makes ${after} of ${name}`, () => {
    assert.equal(withFlag(name, "S"), after);
    assert.equal(baseName(after), baseName(name));
    assert.equal(flagsOf(withFlag(name, "")), flagsOf(name));
  });
}
