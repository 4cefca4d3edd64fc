import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLogins } from "../mx/logins.ts";
import { parseAuthorities } from "./authorities.ts";
import { findTlsRule, parseTlsRules } from "./rules.ts";

const entries = [
  ["", "may"],
  ["Bank.example", "verify mx.bank.example .bank.example"],
  [".bank.example", "encrypt"],
  ["old.example", " none "],
] as const;

for (const [nextHop, level] of [
  ["bank.example", "verify"],
  ["BANK.example", "verify"],
  ["a.bank.example", "encrypt"],
  ["a.b.bank.example", "encrypt"],
  ["notbank.example", undefined],
  ["old.example", "none"],
  ["", undefined],
] as const) {
  test(`findTlsRule() for "${nextHop}" is ${level}`, () => {
    const rules = parseTlsRules(entries);
    assert.ok(rules.kind === "done");
    assert.equal(findTlsRule(rules.value, nextHop)?.level, level);
  });
}

for (const value of ["", "must", "may x", "verify a b:c", "verify .", "verify a..b", "encrypt x"]) {
  test(`parseTlsRules() refuses "${value}"`, () => {
    const rules = parseTlsRules([["x.example", value]]);
    assert.deepEqual(rules, {
      kind: "permanent",
      status: "3.5",
      text: `"x.example:${value}" is none of none, may, encrypt, verify`,
    });
  });
}

for (const [relay, value, login] of [
  ["r.example", "u:p", { user: "u", password: "p" }],
  ["r.example", "u:p:q ", { user: "u", password: "p:q " }],
  ["r.example", "u", undefined],
  ["r.example", ":p", undefined],
  ["r.example", "u:", undefined],
  ["r.example", "u:p\0", undefined],
  ["", "u:p", undefined],
] as const) {
  test(`parseLogins() of ${JSON.stringify(`${relay}:${value}`)}`, () => {
    const logins = parseLogins([[relay, value]]);
    if (login) assert.deepEqual(logins.kind === "done" && logins.value.get("r.example"), login);
    else assert.ok(logins.kind === "permanent" && !logins.text.includes("p:q") && !logins.text.includes('"u:p'));
  });
}

for (const [name, lines] of [
  ["no certificate", ["hello"]],
  ["a certificate that is none", ["-----BEGIN CERTIFICATE-----", "AAAA", "-----END CERTIFICATE-----"]],
] as const) {
  test(`parseAuthorities() refuses ${name}`, () => assert.equal(parseAuthorities(lines).kind, "permanent"));
}
