import assert from "node:assert/strict";
import { test } from "node:test";
import { DeadHosts } from "./dead-hosts.ts";

const minute = 60_000;

test("§17.172 DeadHosts blocks an address after two timeouts two minutes apart, for about an hour", () => {
  const hosts = new DeadHosts(0);
  hosts.onTimeout("a", 0);
  assert.equal(hosts.isDead("a", 1), false);
  hosts.onTimeout("a", minute);
  assert.equal(hosts.isDead("a", minute), false);
  hosts.onTimeout("a", 2 * minute);
  assert.equal(hosts.isDead("a", 2 * minute), true);
  assert.equal(hosts.isDead("a", 2 * minute + 3_839_999), true);
  assert.equal(hosts.isDead("a", 2 * minute + 3_840_000), false);
  assert.equal(hosts.isDead("b", 2 * minute), false);
});

test("§17.173 DeadHosts forgets an address that answers", () => {
  const hosts = new DeadHosts(0);
  hosts.onTimeout("a", 0);
  hosts.onTimeout("a", 2 * minute);
  hosts.onAnswer("a");
  assert.equal(hosts.isDead("a", 2 * minute), false);
});

test("§17.174 DeadHosts begins empty: what another process knew is forgotten with it", () => {
  const before = new DeadHosts(0);
  before.onTimeout("a", 0);
  before.onTimeout("a", 2 * minute);
  assert.equal(before.isDead("a", 2 * minute), true);
  assert.equal(new DeadHosts(0).isDead("a", 2 * minute), false);
});

test("DeadHosts keeps the worst thousand", () => {
  const hosts = new DeadHosts(0);
  hosts.onTimeout("dead", 0);
  hosts.onTimeout("dead", 2 * minute);
  for (let n = 0; n < 1_500; n++) hosts.onTimeout(`host${n}`, 2 * minute);
  assert.equal(hosts.isDead("dead", 3 * minute), true);
  hosts.onTimeout("host0", 5 * minute);
  assert.equal(hosts.isDead("host0", 5 * minute), false);
  hosts.onTimeout("host1499", 5 * minute);
  assert.equal(hosts.isDead("host1499", 5 * minute), true);
});
