import assert from "node:assert/strict";
import { test } from "node:test";
import { createGuesses, type Guesses } from "./guesses.ts";

function open(limits: Partial<Parameters<Guesses["limit"]>[0]> = {}) {
  let nowMs = 1_000_000;
  const guesses = createGuesses({ perAddress: 5, perNetwork: 8, perAccount: 6, ...limits }, () => nowMs);
  const fail = (times: number, address: (n: number) => string, account: (n: number) => string): number[] =>
    Array.from({ length: times }, (_, n) => guesses.failed(address(n), account(n)));
  return { guesses, fail, later: (ms: number) => (nowMs += ms) };
}
const one = (text: string) => () => text;

test("answers to a client that goes on get slower, up to a bound, and quick again after a while", () => {
  const { fail, later } = open();
  assert.deepEqual(fail(6, one("192.0.2.1"), one("a@b")), [1_000, 2_000, 4_000, 8_000, 16_000, 16_000]);
  assert.deepEqual(fail(1, one("192.0.2.2"), one("a@b")), [1_000], "others are not slowed down");
  later(900_000);
  assert.deepEqual(fail(1, one("192.0.2.1"), one("a@b")), [1_000]);
});

const shut: readonly {
  readonly name: string;
  readonly address: (n: number) => string;
  readonly account: (n: number) => string;
  readonly tries: number;
  readonly why: string;
}[] = [
  {
    name: "an address, whatever accounts it tries",
    address: one("192.0.2.1"),
    account: (n) => `${n}@b`,
    tries: 5,
    why: "too many failed logins from this address",
  },
  {
    name: "an IPv6 client, whatever addresses of its /64 it takes",
    address: (n) => `2001:db8::${n + 1}`,
    account: (n) => `${n}@b`,
    tries: 5,
    why: "too many failed logins from this address",
  },
  {
    name: "a network, IPv4",
    address: (n) => `192.0.2.${n + 1}`,
    account: (n) => `${n}@b`,
    tries: 8,
    why: "too many failed logins from this network",
  },
  {
    name: "a network, IPv6",
    address: (n) => `2001:db8:0:${n + 1}::1`,
    account: (n) => `${n}@b`,
    tries: 8,
    why: "too many failed logins from this network",
  },
  {
    name: "an account, wherever the tries come from",
    address: (n) => `192.0.${n}.1`,
    account: one("a@b"),
    tries: 6,
    why: "too many failed logins to this account",
  },
];
for (const { name, address, account, tries, why } of shut) {
  test(`guessing shuts out ${name}, and opens again with time`, () => {
    const { guesses, fail, later } = open();
    fail(tries - 1, address, account);
    const next = [address(tries), account(tries)] as const;
    assert.equal(guesses.refusal(...next), undefined);
    fail(1, one(address(tries - 1)), one(account(tries - 1)));
    assert.equal(guesses.refusal(...next), why);
    assert.equal(guesses.refusal("198.51.100.9", "other@b"), undefined);
    later(3_600_000 / tries);
    assert.equal(guesses.refusal(...next), undefined, "one more after its share of the hour");
  });
}

test("others' guesses do not shut an account to the network it is used from", () => {
  const { guesses, fail } = open();
  guesses.succeeded("203.0.113.5", "a@b");
  fail(6, (n) => `192.0.${n}.1`, one("a@b"));
  assert.equal(guesses.refusal("203.0.113.77", "a@b"), undefined);
  assert.ok(guesses.refusal("198.51.100.1", "a@b"));
});

test("this host is not shut out as an address: a webmail has all its users there", () => {
  const { guesses, fail } = open();
  for (const address of ["127.0.0.1", "::1", "::ffff:127.0.0.9"]) {
    fail(20, one(address), (n) => `${n}@b`);
    assert.equal(guesses.refusal(address, "other@b"), undefined);
  }
  assert.equal(guesses.who("127.0.0.1", "a@b"), "a@b");
});

test("a limit of 0 is none", () => {
  const { guesses, fail } = open({ perAddress: 0, perNetwork: 0, perAccount: 0 });
  fail(1_000, one("192.0.2.1"), one("a@b"));
  assert.equal(guesses.refusal("192.0.2.1", "a@b"), undefined);
});
