import assert from "node:assert/strict";
import { test } from "node:test";
import { title } from "../../../test/support/title.ts";
import { cutOwn, type Exchange, isNullMx, literalAddress, maxExchanges, orderExchanges } from "./choose.ts";

const exchange = (preference: number, name: string): Exchange => ({ preference, name });
const draws = (...numbers: number[]) => {
  let at = 0;
  return () => numbers[at++ % numbers.length] as number;
};

const orders = [
  { name: "§17.158 sorts by preference", draws: [0.5], from: ["20 b", "10 a", "30 c"], to: ["a", "b", "c"] },
  { name: "§17.158 draws among equals", draws: [0.9, 0.1], from: ["10 a", "10 b"], to: ["b", "a"] },
  { name: "§17.158 draws the other way", draws: [0.1, 0.9], from: ["10 a", "10 b"], to: ["a", "b"] },
  { name: "never draws across preferences", draws: [0.9, 0.1], from: ["10 a", "20 b"], to: ["a", "b"] },
  { name: "passes over the root", draws: [0.5], from: ["0 .", "10 a", "0 "], to: ["a"] },
  { name: "takes a name once", draws: [0.5], from: ["20 A", "10 a"], to: ["a"] },
] as const;

for (const { name, draws: drawn, from, to } of orders) {
  test(title("orderExchanges()", name), () => {
    const exchanges = from.map((text) => exchange(Number(text.split(" ")[0]), text.split(" ")[1] ?? ""));
    assert.deepEqual(
      orderExchanges(exchanges, draws(...drawn)).map((each) => each.name),
      to,
    );
  });
}

test("orderExchanges() keeps a bounded number", () => {
  const many = Array.from({ length: 100 }, (_, n) => exchange(n, `mx${n}`));
  assert.equal(orderExchanges(many, draws(0.5)).length, maxExchanges);
});

test("isNullMx() needs the root and nothing else", () => {
  assert.equal(isNullMx([exchange(0, "")]), true);
  assert.equal(isNullMx([exchange(0, ".")]), true);
  assert.equal(isNullMx([exchange(0, "."), exchange(10, "a")]), false);
  assert.equal(isNullMx([]), false);
});

const cuts = [
  { name: "keeps all without us", hosts: "1 a, 2 b", left: "a b" },
  { name: "keeps what is better than us", hosts: "1 a, 2 own, 3 b", left: "a" },
  { name: "cuts our equals", hosts: "1 a, 2 b, 2 own, 2 c", left: "a" },
  { name: "counts our best", hosts: "1 a, 2 own, 2 b, 9 own", left: "a" },
  { name: "leaves nothing when we are the best", hosts: "1 own, 2 b", left: "" },
];

for (const { name, hosts, left } of cuts) {
  test(`§17.159 cutOwn() ${name}`, () => {
    const all = hosts.split(", ").map((text) => {
      const [preference = "", address = ""] = text.split(" ");
      return { name: address, address, preference: Number(preference) };
    });
    const kept = cutOwn(all, (address) => address === "own");
    assert.equal(kept.map((host) => host.address).join(" "), left);
  });
}

const literals = [
  ["[192.0.2.1]", "192.0.2.1"],
  ["192.0.2.1", "192.0.2.1"],
  ["[IPv6:2001:db8::1]", "2001:db8::1"],
  ["[ipv6:::1]", "::1"],
  ["d.example", undefined],
  ["[192.0.2.256]", undefined],
  ["192.0.2", undefined],
  ["[x]", undefined],
] as const;

for (const [domain, address] of literals) {
  test(`literalAddress() of ${domain} is ${address}`, () => assert.equal(literalAddress(domain), address));
}
