import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { test } from "node:test";
import type { DnsRule } from "../support/dns-server.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { runPostern, startServer, temporaryFolder, until } from "../support/server.ts";
import { Far, Wire } from "../support/wire.ts";

const mx = (preference: number, exchange: string) => ({ type: "MX", preference, exchange }) as const;
const a = (address: string) => ({ type: "A", address }) as const;
const answer = (...records: Extract<DnsRule, { kind: "answer" }>["records"]): DnsRule => ({ kind: "answer", records });

const rules: readonly (readonly [string, DnsRule])[] = [
  ["two.test MX", answer(mx(20, "second.test"), mx(10, "first.test"))],
  ["first.test A", answer(a("10.99.0.2"))],
  ["second.test A", answer(a("10.99.0.3"))],
  ["dead-first.test MX", answer(mx(5, "nobody.test"), mx(10, "second.test"))],
  ["nobody.test A", answer(a("10.99.0.99"))],
  ["plain.test A", answer(a("10.99.0.4"))],
  ["six.test MX", answer(mx(10, "only-six.test"))],
  ["only-six.test AAAA", answer({ type: "AAAA", address: "fd99::2" })],
  ["alias.test MX", answer({ type: "CNAME", target: "two.test" }, { ...mx(10, "first.test"), name: "two.test" })],
  ["cut.test MX", { kind: "truncated", records: [mx(10, "second.test")] }],
];

const cases = [
  { name: "the MX of lowest preference", to: "u@two.test", at: "10.99.0.2" },
  { name: "the next MX when the first cannot be reached", to: "u@dead-first.test", at: "10.99.0.3" },
  { name: "the A record without an MX", to: "u@plain.test", at: "10.99.0.4" },
  { name: "an exchanger with IPv6 only", to: "u@six.test", at: "fd99::2" },
  { name: "the MX of a CNAME's target", to: "u@alias.test", at: "10.99.0.2" },
  { name: "an MX that comes by TCP because UDP cut it", to: "u@cut.test", at: "10.99.0.3" },
  { name: "an address literal", to: "u@[10.99.0.4]", at: "10.99.0.4" },
];

test("over a wire, mail goes to", { skip: unlessRoot() || without("ip") }, async (t) => {
  const root = temporaryFolder();
  using wire = new Wire();
  for (const address of ["10.99.0.3", "10.99.0.4"]) wire.addFar(address);
  await using far = await Far.start(wire, rules, "10.99.0.2", "10.99.0.3", "10.99.0.4", "fd99::2");
  const server = await startServer({
    folder: root,
    within: ["ip", "netns", "exec", wire.near],
    control: { nameservers: "10.99.0.2:53\n", timeoutconnect: "2\n" },
  });
  try {
    for (const { name, to, at } of cases) {
      await t.test(name, async () => {
        const sent = await runPostern(["sendmail", "--root", root, "-f", "s@localhost", to], "Subject: far\n\n");
        assert.equal(sent.code, 0, sent.stderr);
        await until("its arrival", () => far.takenFor(to) === 1);
        assert.equal(far.taken.find((message) => message.forwardPaths.includes(to))?.at, at);
      });
    }
  } finally {
    await server.stop();
    rmSync(root, { recursive: true, force: true });
  }
});
