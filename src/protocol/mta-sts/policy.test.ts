import assert from "node:assert/strict";
import { test } from "node:test";
import { listsHost, parseStsPolicy, readStsId } from "./policy.ts";

const whole = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmax_age: 604800\r\n";

test("parseStsPolicy() reads RFC 8461's example", () => {
  assert.deepEqual(parseStsPolicy(whole), {
    mode: "enforce",
    maxAgeSeconds: 604_800,
    mx: ["mail.example.com", "*.example.net"],
  });
});

for (const [what, from, to, sound] of [
  ["bare LF and no end", /\r\n/g, "\n", true],
  ["fields it does not know", "mode", "x-new_1: y\r\nmode", true],
  ["no version", /version.*\r\n/, "", false],
  ["another version", "STSv1", "STSv2", false],
  ["no mode", /mode.*\r\n/, "", false],
  ["another mode", "enforce", "force", false],
  ["no max_age", /max_age.*\r\n/, "", false],
  ["a max_age that is no number", "604800", "1e9", false],
  ["no mx", /mx.*\r\n/g, "", false],
  ["mode none without mx", /enforce[\s\S]*?max/, "none\r\nmax", true],
  ["a pattern in the middle", "mail.example", "mail.*.example", false],
  ["a line that is no field", "mode", "<html>\r\nmode", false],
  ["more than 64 KiB", "mode", `${"x: y\r\n".repeat(12_000)}mode`, false],
] as const) {
  test(`parseStsPolicy() ${sound ? "takes" : "refuses"} ${what}`, () => {
    assert.equal(parseStsPolicy(whole.replace(from, to)) !== undefined, sound);
  });
}

test("parseStsPolicy() bounds max_age, and counts the first of two", () => {
  assert.equal(parseStsPolicy(whole.replace("604800", "9999999999\r\nmax_age: 1"))?.maxAgeSeconds, 31_557_600);
});

for (const [host, listed] of [
  ["mail.example.com", true],
  ["MAIL.example.com.", true],
  ["a.example.net", true],
  ["a.b.example.net", false],
  ["example.net", false],
  ["mail.example.org", false],
  ["com", false],
] as const) {
  test(`listsHost() ${listed ? "finds" : "does not find"} ${host}`, () => {
    const policy = parseStsPolicy(whole);
    assert.equal(policy && listsHost(policy, host), listed);
  });
}

for (const [texts, id] of [
  [["v=STSv1; id=20160831085700Z;"], "20160831085700Z"],
  [["v=spf1 -all", "v=STSv1;id=1"], "1"],
  [["v=STSv1; x=y; id=a1 ;"], "a1"],
  [["v=STSv1; id=1", "v=STSv1; id=2"], undefined],
  [["v=STSv1; id=a-b"], undefined],
  [["v=STSv1; id=123456789012345678901234567890123"], undefined],
  [["v=STSv10; id=1"], undefined],
  [[], undefined],
] as const) {
  test(`readStsId() of ${JSON.stringify(texts)} is ${id}`, () => assert.equal(readStsId(texts), id));
}
