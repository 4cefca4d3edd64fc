import assert from "node:assert/strict";
import { test } from "node:test";
import { toALabels } from "./idna.ts";

const octets = (text: string) => Buffer.from(text, "utf8").toString("latin1");

for (const [domain, labels] of [
  ["example.org", "example.org"],
  ["a_b.example", "a_b.example"],
  ["[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"],
  [octets("bücher.example"), "xn--bcher-kva.example"],
  [octets("BÜCHER.example"), "xn--bcher-kva.example"],
  [octets("例え。テスト"), "xn--r8jz45g.xn--zckzah"],
  ["no\xe9.example", undefined],
  [octets("ü/../x"), undefined],
  [octets("ü@x"), undefined],
  [octets("ü x"), undefined],
] as const) {
  test(`toALabels() of ${domain} is ${labels}`, () => assert.equal(toALabels(domain), labels));
}
