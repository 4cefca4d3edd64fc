import assert from "node:assert/strict";
import { test } from "node:test";
import { writeCdb } from "../cdb/write.ts";
import { clientRuleLines, createClientRules } from "./client-rules.ts";

const lines = [
  "192.0.2.7:allow,N='exact'",
  "192.0.2.7:allow,N='second'",
  '192.0.2.10-12:allow,N="range"',
  "192.0.2.:allow,N=|last|",
  "192.0-1.:allow,N=#prefix range#",
  "10.:deny",
  "172.16.0.0/12:allow,N='cidr',M=''",
  "[2001:db8::1]:allow,N='six'",
  "[2001:db8::]/32:deny",
];
const found = [
  ["192.0.2.7", "exact"],
  ["::ffff:192.0.2.7", "exact"],
  ["192.0.2.10", "range"],
  ["192.0.2.12", "range"],
  ["192.0.2.13", "last"],
  ["192.0.3.1", "prefix range"],
  ["192.1.3.1", "prefix range"],
  ["192.2.3.1", undefined],
  ["10.255.0.1", "deny"],
  ["172.31.0.1", "cidr"],
  ["172.32.0.1", undefined],
  ["2001:db8::1", "six"],
  ["2001:db8::2", "deny"],
  ["2001:db9::2", undefined],
  ["no address", undefined],
] as const;
for (const [address, expected] of found) {
  for (const everybody of [false, true]) {
    test(`createClientRules() ${everybody ? "with" : "without"} a rule for everybody has ${expected} for ${address}`, () => {
      const rules = createClientRules(everybody ? [...lines, ":allow,N='everybody'"] : lines);
      assert.ok(rules.kind === "done");
      const rule = rules.value.find(address);
      const shown = rule && (rule.allowed ? rule.variables.get("N") : "deny");
      assert.equal(shown, expected ?? (everybody ? "everybody" : undefined));
    });
  }
}

const wrong = [
  "192.0.2.1",
  "192.0.2:allow",
  "192.0.2.1:permit",
  "192.0.2.1:allowed",
  "192.0.2.1:allow,X",
  '192.0.2.1:allow,X="no end',
  '192.0.2.1:allow,="x"',
  '192.0.2.1:allow X="x"',
  "192.0.2.256:allow",
  "192.0.2.5-3:allow",
  "192.0.2.1-2-3:allow",
  "192.0.2.0-999999999:allow",
  "1.2.3.4.:allow",
  "1.2.3.4.5.:allow",
  "10..:allow",
  ".:allow",
  "10.-.:allow",
  "=mail.example:allow",
  "user@192.0.2.1:allow",
  "2001:db8::1:allow",
  "[2001:db8::1:allow",
  "10.0.0.0/33:deny",
];
for (const line of wrong) {
  test(`createClientRules() refuses ${line}`, () => {
    const rules = createClientRules([":allow", line]);
    assert.ok(rules.kind === "permanent" && rules.text.startsWith(JSON.stringify(line)));
  });
}

test("clientRuleLines() reads what tcprules writes, and leaves out rules by host name", () => {
  const file = writeCdb([
    ["127.", "+RELAYCLIENT\0+RELAYCLIENT=\0"],
    ["192.0.2.1", '+A=say "hi"\0+B=it\'s\0'],
    ["10.", "D\0"],
    ["=mail.example", "D\0"],
    ["joe@192.0.2.9", ""],
    ["", ""],
  ]);
  assert.ok(file.kind === "done");
  const read = clientRuleLines(file.value);
  assert.deepEqual(read.kind === "done" && read.value, [
    '127.:allow,RELAYCLIENT=""',
    `192.0.2.1:allow,A='say "hi"',B="it's"`,
    "10.:deny",
    ":allow",
  ]);
  assert.equal(read.kind === "done" && createClientRules(read.value).kind, "done");
  assert.equal(clientRuleLines(file.value.subarray(0, 2_060)).kind, "temporary");
});

test("createClientRules() finds one of 100,000 rules without a search through them", () => {
  const many = Array.from({ length: 100_000 }, (_, n) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}:deny`);
  const rules = createClientRules(many);
  assert.ok(rules.kind === "done");
  assert.equal(rules.value.find("10.1.134.159")?.address, "10.1.134.159");
  assert.equal(rules.value.find("10.1.134.160"), undefined);
});
