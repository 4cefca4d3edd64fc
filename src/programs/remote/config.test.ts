import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings } from "../../protocol/control/parse.ts";
import { readConfig } from "./config.ts";

function read(files: Readonly<Record<string, string>>, facts: Readonly<Record<string, unknown>>) {
  const settings = readSettings(new Map(Object.entries(files)));
  if (settings.kind !== "done") throw new Error(settings.text);
  return readConfig(settings.value, facts);
}

const facts = { ipAddresses: ["192.0.2.1", "fe80::1", "nonsense", 7], nameservers: ["192.0.2.53"] };

test("readConfig() takes the servers of control/nameservers, else of resolv.conf, else this host", () => {
  const servers = (files: Readonly<Record<string, string>>, given: Readonly<Record<string, unknown>>) => {
    const config = read(files, given);
    return config.kind === "done" ? config.value.nameservers : config.text;
  };
  assert.deepEqual(servers({ nameservers: "127.0.0.1:5353\n" }, facts), ["127.0.0.1:5353"]);
  assert.deepEqual(servers({}, facts), ["192.0.2.53"]);
  assert.deepEqual(servers({}, {}), ["127.0.0.1"]);
});

const addresses = [
  ["192.0.2.1", true],
  ["::ffff:192.0.2.1", true],
  ["127.0.0.9", true],
  ["::1", true],
  ["0.0.0.0", true],
  ["::", true],
  ["::ffff:7f00:1", true],
  ["192.0.2.2", false],
  ["2001:db8::1", false],
] as const;

for (const [address, own] of addresses) {
  test(`readConfig() counts ${address} as ${own ? "its own" : "another's"}`, () => {
    const config = read({}, facts);
    assert.equal(config.kind === "done" && config.value.isOwn(address), own);
  });
}

test("readConfig() prefers IPv6 where there is a global address", () => {
  const prefers = (ipAddresses: readonly string[]) => {
    const config = read({}, { ipAddresses });
    return config.kind === "done" && config.value.prefersIpv6;
  };
  assert.equal(prefers(["192.0.2.1", "fe80::1", "fd00::1"]), false);
  assert.equal(prefers(["2001:db8::1"]), true);
});
