import assert from "node:assert/strict";
import { test } from "node:test";
import { clientOf, createNetworks, neighbourhoodOf, parseIp } from "./network.ts";

const inside = [
  ["192.0.2.1", "192.0.2.1", true],
  ["192.0.2.1", "192.0.2.2", false],
  ["192.0.2.0/24", "192.0.2.255", true],
  ["192.0.2.0/24", "192.0.3.0", false],
  ["192.0.2.77/25", "192.0.2.127", true],
  ["192.0.2.77/25", "192.0.2.128", false],
  ["0.0.0.0/0", "203.0.113.9", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["192.0.2.0/24", "::ffff:192.0.2.9", true],
  ["::ffff:192.0.2.0/120", "192.0.2.9", true],
  ["::1", "::1", true],
  ["::1", "0:0:0:0:0:0:0:1", true],
  ["::1", "127.0.0.1", false],
  ["2001:db8::/33", "2001:db8:7fff::1", true],
  ["2001:db8::/33", "2001:db8:8000::1", false],
  ["::/0", "2001:db8::1", true],
  ["127.0.0.0/8", "", false],
  ["127.0.0.0/8", "unknown", false],
] as const;
for (const [network, address, expected] of inside) {
  test(`createNetworks() says ${address || "nothing"} is ${expected ? "" : "not "}in ${network}`, () => {
    const networks = createNetworks([network]);
    assert.ok(networks.kind === "done");
    assert.equal(networks.value.has(address), expected);
  });
}

for (const line of [
  "",
  "192.0.2",
  "192.0.2.0/33",
  "192.0.2.0/",
  "192.0.2.0/-1",
  "1.2.3.4/08",
  "::/129",
  "example.com",
]) {
  test(`createNetworks() refuses "${line}"`, () => {
    const networks = createNetworks(["127.0.0.1", line]);
    assert.deepEqual(networks, {
      kind: "permanent",
      status: "3.5",
      text: `"${line}" is no address and no network`,
    });
  });
}

for (const text of [
  "1.2.3",
  "1.2.3.4.5",
  "01.2.3.4",
  "1::2::3",
  ":::",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "12345::",
]) {
  test(`parseIp() refuses ${text}`, () => assert.equal(parseIp(text), undefined));
}

test("clientOf() takes IPv6 by the /64 and a mapped IPv4 address as itself", () => {
  assert.equal(clientOf("2001:db8:1:2:3::4"), clientOf("2001:db8:1:2:ffff::1"));
  assert.notEqual(clientOf("2001:db8:1:2::1"), clientOf("2001:db8:1:3::1"));
  assert.equal(clientOf("::ffff:192.0.2.1"), clientOf("192.0.2.1"));
});

test("neighbourhoodOf() takes IPv4 by the /24, mapped or not, and IPv6 by the /48", () => {
  assert.equal(neighbourhoodOf("192.0.2.1"), neighbourhoodOf("::ffff:192.0.2.255"));
  assert.notEqual(neighbourhoodOf("192.0.2.1"), neighbourhoodOf("192.0.3.1"));
  assert.equal(neighbourhoodOf("2001:db8:1:2::1"), neighbourhoodOf("2001:db8:1:ffff::1"));
  assert.notEqual(neighbourhoodOf("2001:db8:1::1"), neighbourhoodOf("2001:db8:2::1"));
});
