import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings } from "../../protocol/control/parse.ts";
import type { Rules } from "../../protocol/smtp/session.ts";
import { createRules } from "./rules.ts";

function rulesOf(control: Readonly<Record<string, string>>, address = "192.0.2.1"): Rules {
  const settings = readSettings(new Map(Object.entries(control)));
  assert.ok(settings.kind === "done");
  const rules = createRules(settings.value, ["192.0.2.25", "2001:db8::25"]);
  assert.ok(rules.kind === "done");
  return rules.value(address);
}

test("createRules() lets relay clients relay, and nobody else", () => {
  assert.equal(rulesOf({ relayclients: "192.0.2.0/24" }).mayRelay, true);
  assert.equal(rulesOf({ relayclients: "192.0.2.0/24" }, "198.51.100.1").mayRelay, false);
  assert.equal(rulesOf({}).mayRelay, false);
});

test("createRules() knows bad senders by address and by domain, whatever their case", () => {
  const { isBadSender } = rulesOf({ badmailfrom: "Bad@a.example\n@B.example\n" });
  const senders = ["bad@A.example", "good@a.example", "any@b.EXAMPLE", "any@sub.b.example", ""];
  assert.deepEqual(senders.map(isBadSender), [true, false, true, false, false]);
});

const literals = [
  ["[192.0.2.25]", "mx.example"],
  ["[0.0.0.0]", "mx.example"],
  ["[ipv6:2001:db8::25]", "mx.example"],
  ["[ipv6:2001:0db8:0::0025]", "mx.example"],
  ["[ipv6:::ffff:192.0.2.25]", "mx.example"],
  ["[192.0.2.26]", "[192.0.2.26]"],
  ["[]", "[]"],
  ["192.0.2.25", "192.0.2.25"],
] as const;
for (const [domain, expected] of literals) {
  test(`createRules() takes ${domain} for ${expected}`, () => {
    const { canonical } = rulesOf({ me: "mx.example" });
    assert.deepEqual(canonical({ localPart: "a", domain }), { localPart: "a", domain: expected });
  });
}

test("createRules() takes messages of up to 4 GiB when databytes is 0", () => {
  assert.equal(rulesOf({}).maxMessageOctets, 2 ** 32);
  assert.equal(rulesOf({ databytes: "5" }).maxMessageOctets, 5);
});
