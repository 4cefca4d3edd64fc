import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings } from "../control/parse.ts";
import type { Rules } from "../smtp/session.ts";
import { createRules } from "./rules.ts";

function rulesOf(control: Readonly<Record<string, string>>, address = "192.0.2.1"): Rules {
  const settings = readSettings(new Map(Object.entries(control)));
  assert.ok(settings.kind === "done");
  const rules = createRules(settings.value, ["192.0.2.25", "2001:db8::25"]);
  assert.ok(rules.kind === "done");
  const found = rules.value(address);
  assert.ok(found !== "denied");
  return found;
}

test("createRules() lets relay clients relay, and nobody else", () => {
  assert.equal(rulesOf({ relayclients: "192.0.2.0/24" }).mayRelay, true);
  assert.equal(rulesOf({ relayclients: "192.0.2.0/24" }, "198.51.100.1").mayRelay, false);
  assert.equal(rulesOf({}).mayRelay, false);
});

test("§17.137 createRules() knows bad senders by address and by domain, whatever their case", () => {
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
  test(`§17.142 createRules() takes ${domain} for ${expected}`, () => {
    const { canonical } = rulesOf({ me: "mx.example" });
    assert.deepEqual(canonical({ localPart: "a", domain }), { localPart: "a", domain: expected });
  });
}

test("createRules() takes messages of up to 4 GiB when databytes is 0", () => {
  assert.equal(rulesOf({}).maxMessageOctets, 2 ** 32);
  assert.equal(rulesOf({ databytes: "5" }).maxMessageOctets, 5);
});

test("createRules() knows bad recipients and senders by the four forms of a line", () => {
  const lines = "Bad@a.example\n@b.example\n@.c.example\nabuse@\n";
  const { isBadRecipient, isBadSender } = rulesOf({ badrcptto: lines, badmailfrom: lines });
  const cases = [
    ["BAD@a.example", true],
    ["good@a.example", false],
    ["any@B.example", true],
    ["any@sub.b.example", false],
    ["any@x.y.c.example", true],
    ["any@c.example", false],
    ["Abuse@anywhere.example", true],
    ["abuse", false],
    ["", false],
  ] as const;
  for (const [address, expected] of cases) {
    assert.equal(isBadRecipient(address), expected, address);
    assert.equal(isBadSender(address), expected, address);
  }
});

const perClient = `127.:allow,RELAYCLIENT=""
10.1.:allow,RELAYCLIENT="@relay.example",DATABYTES="77",MAXRECIPIENTS='5'
10.1.2.3:deny
192.0.2.1:allow,DATABYTES="0",BADMAILFROM="",RCPTHOSTS="only.example .below.example",QMAILQUEUE="/bin/scan"
198.51.100.0/25:deny
`;
const control = { smtprules: perClient, databytes: "5", badmailfrom: "@bad", rcpthosts: "here.example" };

test("§17.138 createRules() gives a client what its line in smtprules says", () => {
  const relay = rulesOf(control, "10.1.9.9");
  assert.deepEqual(
    [relay.mayRelay, relay.relaySuffix, relay.maxMessageOctets, relay.maxRecipients],
    [true, "@relay.example", 77, 5],
  );
  assert.equal(rulesOf(control, "127.0.0.1").mayRelay, true);
  const special = rulesOf(control, "192.0.2.1");
  assert.deepEqual([special.mayRelay, special.maxMessageOctets, special.queueProgram], [false, 2 ** 32, "/bin/scan"]);
  assert.deepEqual(
    [special.isBadSender("x@bad"), special.accepts("a@only.example"), special.accepts("a@x.below.example")],
    [false, true, true],
  );
  assert.equal(special.accepts("a@here.example"), false);
  const other = rulesOf(control, "203.0.113.1");
  assert.deepEqual([other.mayRelay, other.maxMessageOctets, other.isBadSender("x@bad")], [false, 5, true]);
});

test("createRules() denies whom smtprules denies, and keeps the rules of a line", () => {
  const settings = readSettings(new Map(Object.entries(control)));
  assert.ok(settings.kind === "done");
  const rules = createRules(settings.value, []);
  assert.ok(rules.kind === "done");
  assert.equal(rules.value("10.1.2.3"), "denied");
  assert.equal(rules.value("198.51.100.127"), "denied");
  assert.notEqual(rules.value("198.51.100.128"), "denied");
  assert.equal(rules.value("10.1.0.1"), rules.value("10.1.0.2"));
});

test("createRules() refuses a RELAYCLIENT that no address can end in", () => {
  const settings = readSettings(new Map([["smtprules", `:allow,RELAYCLIENT="${"x".repeat(600)}"`]]));
  assert.ok(settings.kind === "done");
  assert.equal(createRules(settings.value, []).kind, "permanent");
});
