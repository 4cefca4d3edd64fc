import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type DnsRecord,
  type DnsRule,
  malformationNames,
  startDnsServer,
  tcpFailures,
} from "../../../test/support/dns-server.ts";
import { type Answer, createDns, type Dns } from "./dns.ts";
import { createSecureDns } from "./secure-dns.ts";

const a = (address: string, ttl = 60): DnsRecord => ({ type: "A", address, ttl });
const aaaa = (address: string): DnsRecord => ({ type: "AAAA", address });
const mx = (preference: number, exchange: string): DnsRecord => ({ type: "MX", preference, exchange });
const answer = (...records: DnsRecord[]): DnsRule => ({ kind: "answer", records });
const alias = (name: string, target: string): DnsRecord => ({ type: "CNAME", name, target });
const chain = (length: number) => Array.from({ length }, (_, n) => alias(`h${n}.example`, `h${n + 1}.example`));
/** One octet more than DNS may hold. */
const tooLong = [63, 63, 63, 62].map((octets) => "l".repeat(octets)).join(".");
const many = Array.from({ length: 150 }, (_, n) => mx(n, `mx${n}.example`));

const cases: {
  name: string;
  rules: readonly (readonly [string, DnsRule])[];
  ask: (dns: Dns) => unknown;
  get: unknown;
}[] = [
  {
    name: "finds exchangers",
    rules: [["d.example MX", answer(mx(10, "mx1.example"), mx(20, "mx2.example"))]],
    ask: (dns) => dns.mx("d.example"),
    get: {
      kind: "found",
      values: [
        { name: "mx1.example", preference: 10 },
        { name: "mx2.example", preference: 20 },
      ],
    },
  },
  {
    name: "shows the root of a null MX",
    rules: [["d.example MX", answer(mx(0, "."))]],
    ask: (dns) => dns.mx("d.example"),
    get: { kind: "found", values: [{ name: "", preference: 0 }] },
  },
  { name: "sees no record", rules: [], ask: (dns) => dns.mx("d.example"), get: { kind: "none" } },
  {
    name: "sees no name",
    rules: [["d.example *", { kind: "nxdomain" }]],
    ask: (dns) => dns.addresses("d.example"),
    get: { kind: "none" },
  },
  {
    name: "does not take SERVFAIL for an answer",
    rules: [["d.example *", { kind: "servfail" }]],
    ask: (dns) => dns.mx("d.example"),
    get: { kind: "unknown", why: "DNS servers failed (SERVFAIL)" },
  },
  {
    name: "does not take REFUSED for an answer",
    rules: [["d.example *", { kind: "refused" }]],
    ask: (dns) => dns.addresses("d.example"),
    get: { kind: "unknown", why: "DNS servers refused to answer" },
  },
  {
    name: "does not take silence for an answer",
    rules: [["d.example *", { kind: "timeout" }]],
    ask: (dns) => dns.mx("d.example"),
    get: { kind: "unknown", why: "DNS servers did not answer in time" },
  },
  {
    name: "asks again over TCP what was truncated",
    rules: [["d.example MX", { kind: "truncated", records: many.slice(0, 90) }]],
    ask: async (dns) => {
      const found = await dns.mx("d.example");
      return found.kind === "found" && found.values.length;
    },
    get: 90,
  },
  {
    name: "keeps no more records than it needs",
    rules: [["d.example MX", { kind: "truncated", records: many }]],
    ask: async (dns) => {
      const found = await dns.mx("d.example");
      return found.kind === "found" && found.values.length;
    },
    get: 100,
  },
  {
    name: "finds A and AAAA",
    rules: [
      ["h.example A", answer(a("192.0.2.1"))],
      ["h.example AAAA", answer(aaaa("2001:db8::1"))],
    ],
    ask: (dns) => dns.addresses("h.example"),
    get: { kind: "found", values: ["192.0.2.1", "2001:db8::1"] },
  },
  {
    name: "makes do with the A when the AAAA is not known",
    rules: [
      ["h.example A", answer(a("192.0.2.1"))],
      ["h.example AAAA", { kind: "servfail" }],
    ],
    ask: (dns) => dns.addresses("h.example"),
    get: { kind: "found", values: ["192.0.2.1"] },
  },
  {
    name: "does not know when the A is not known and there is no AAAA",
    rules: [["h.example A", { kind: "servfail" }]],
    ask: (dns) => dns.addresses("h.example"),
    get: { kind: "unknown", why: "DNS servers failed (SERVFAIL)" },
  },
  {
    name: "follows an alias",
    rules: [
      ["h.example A", answer({ type: "CNAME", target: "real.example" }, { ...a("192.0.2.7"), name: "real.example" })],
    ],
    ask: (dns) => dns.addresses("h.example"),
    get: { kind: "found", values: ["192.0.2.7"] },
  },
  {
    name: "does not take FORMERR for an answer",
    rules: [["d.example *", { kind: "formerr" }]],
    ask: async (dns) => (await dns.mx("d.example")).kind,
    get: "unknown",
  },
  {
    name: "does not take NOTIMP for an answer",
    rules: [["d.example *", { kind: "notimp" }]],
    ask: async (dns) => (await dns.mx("d.example")).kind,
    get: "unknown",
  },
  {
    name: "waits for an answer that is late",
    rules: [["h.example A", { kind: "late", afterMs: 200, records: [a("192.0.2.1")] }]],
    ask: (dns) => dns.addresses("h.example"),
    get: { kind: "found", values: ["192.0.2.1"] },
  },
  {
    name: "is not stopped by 64 KB of something else",
    rules: [["d.example MX", { kind: "truncated", records: [{ type: "TXT", octets: 64_000 }, mx(1, "mx.example")] }]],
    ask: (dns) => dns.mx("d.example"),
    get: { kind: "found", values: [{ name: "mx.example", preference: 1 }] },
  },
  {
    name: "does not take an alias that leads to itself for an answer",
    rules: [
      ["h.example *", answer(alias("h.example", "i.example"))],
      ["i.example *", answer(alias("i.example", "h.example"))],
    ],
    ask: async (dns) => (await dns.addresses("h.example")).kind,
    get: "unknown",
  },
  {
    name: "does not take an alias alone for an answer",
    rules: [
      ["h.example *", answer(alias("h.example", "i.example"))],
      ["i.example A", answer(a("192.0.2.1"))],
    ],
    ask: (dns) => dns.addresses("h.example"),
    get: { kind: "found", values: ["192.0.2.1"] },
  },
  {
    name: "follows 20 aliases that come with the answer",
    rules: [["h0.example A", answer(...chain(20), { ...a("192.0.2.1"), name: "h20.example" })]],
    ask: (dns) => dns.addresses("h0.example"),
    get: { kind: "found", values: ["192.0.2.1"] },
  },
  {
    name: "sees that an alias leads to a name without addresses",
    rules: [["h.example *", answer(alias("h.example", "i.example"))]],
    ask: (dns) => dns.addresses("h.example"),
    get: { kind: "none" },
  },
  {
    name: "passes over forged answers",
    rules: [["h.example A", { kind: "forged first", forged: [a("192.0.2.66")], records: [a("192.0.2.1")] }]],
    ask: (dns) => dns.addresses("h.example"),
    get: { kind: "found", values: ["192.0.2.1"] },
  },
  {
    name: "does not take an exchanger that DNS cannot name for an answer",
    rules: [["d.example MX", answer(mx(1, tooLong))]],
    ask: async (dns) => (await dns.mx("d.example")).kind,
    get: "unknown",
  },
  {
    name: "does not take an alias that DNS cannot name for an answer",
    rules: [["h.example *", answer(alias("h.example", tooLong))]],
    ask: async (dns) => (await dns.addresses("h.example")).kind,
    get: "unknown",
  },
  {
    name: "reads names in capitals",
    rules: [["d.example MX", { kind: "answer", records: [mx(1, "MX.example"), mx(2, "mx2.example")], capitals: true }]],
    ask: async (dns) => (await dns.mx("d.example")).kind,
    get: "found",
  },
  ...tcpFailures.map((tcp) => ({
    name: `does not take a truncated answer for one when TCP ${tcp}`,
    rules: [["d.example MX", { kind: "truncated", records: [mx(1, "mx.example")], tcp }]] as const,
    ask: async (dns: Dns) => (await dns.mx("d.example")).kind,
    get: "unknown",
  })),
  {
    name: "asks nobody for what is no host name",
    rules: [],
    ask: (dns) => dns.addresses("a\\046b"),
    get: { kind: "none" },
  },
  {
    name: "asks nobody for a label too long",
    rules: [],
    ask: (dns) => dns.mx(`${"a".repeat(64)}.example`),
    get: { kind: "none" },
  },
];

/** The one by the library, and the one that hears of DNSSEC. */
const makers = { Dns: createDns, "secure Dns": createSecureDns } as const;
type Maker = keyof typeof makers;

async function startDns(maker: Maker, rules: Iterable<readonly [string, DnsRule]>, now?: () => number) {
  const server = await startDnsServer(rules);
  const dns = makers[maker]({ nameservers: [server.address], timeoutMs: 250, ...(now && { now }) });
  if (dns.kind !== "done") throw new Error(dns.text);
  return { server, dns: dns.value };
}

/** Without what only one of them says. */
function plain(answer: unknown): unknown {
  if (typeof answer !== "object") return answer;
  const { secure: _, canonical: __, ...rest } = answer as Answer<unknown> & { secure?: boolean; canonical?: string };
  return rest;
}

for (const maker of Object.keys(makers) as Maker[]) {
  for (const { name, rules, ask, get } of cases) {
    test(`${maker} ${name}`, async () => {
      const { server, dns } = await startDns(maker, rules);
      await using _ = server;
      assert.deepEqual(plain(await ask(dns)), get);
    });
  }

  for (const how of malformationNames) {
    test(`${maker} does not take an answer with ${how} for "no such"`, async () => {
      const records = [mx(1, "mx.example"), mx(2, "mx2.example")];
      const { server, dns } = await startDns(maker, [["d.example MX", { kind: "malformed", how, records }]]);
      await using _ = server;
      const answer = await dns.mx("d.example");
      if (answer.kind === "found")
        assert.deepEqual(
          answer.values.map(({ name }) => name),
          ["mx.example", "mx2.example"],
        );
      else assert.equal(answer.kind, "unknown");
    });
  }

  for (const how of ["id", "question", "port", "address"] as const) {
    test(`${maker} takes nothing with a forged ${how}`, async () => {
      const { server, dns } = await startDns(maker, [
        ["h.example A", { kind: "forged first", how, forged: [a("192.0.2.66")] }],
      ]);
      await using _ = server;
      assert.equal((await dns.addresses("h.example")).kind, "unknown");
    });
  }

  test(`${maker} calls garbage unknown`, async () => {
    const { server, dns } = await startDns(maker, [["d.example *", { kind: "garbage" }]]);
    await using _ = server;
    assert.equal((await dns.mx("d.example")).kind, "unknown");
  });

  test(`${maker} asks the same question once, as long as the answer is fresh`, async () => {
    let nowMs = 0;
    const { server, dns } = await startDns(maker, [["h.example A", answer(a("192.0.2.1", 10))]], () => nowMs);
    await using _ = server;
    await Promise.all([dns.addresses("h.example"), dns.addresses("H.example")]);
    await dns.addresses("h.example");
    assert.deepEqual(server.asked.toSorted(), ["h.example A", "h.example AAAA"]);
    nowMs = 10_001;
    await dns.addresses("h.example");
    assert.deepEqual(server.asked.toSorted(), ["h.example A", "h.example A", "h.example AAAA"]);
  });

  test(`${maker} asks again at once for what stayed unknown`, async () => {
    const { server, dns } = await startDns(maker, [["d.example MX", { kind: "servfail" }]]);
    await using _ = server;
    assert.equal((await dns.mx("d.example")).kind, "unknown");
    server.rules.set("d.example MX", answer(mx(1, "mx.example")));
    assert.equal((await dns.mx("d.example")).kind, "found");
  });
}

const signed = (...records: DnsRecord[]): DnsRule => ({ kind: "answer", records, secure: true });
for (const [name, rules, secure] of [
  [
    "when both kinds of address are",
    [
      ["h.example A", signed(a("192.0.2.1"))],
      ["h.example AAAA", signed()],
    ],
    true,
  ],
  [
    "not when one is not",
    [
      ["h.example A", signed(a("192.0.2.1"))],
      ["h.example AAAA", answer()],
    ],
    false,
  ],
  [
    "not when an alias leads away",
    [
      ["h.example A", signed(alias("h.example", "i.example"))],
      ["h.example AAAA", signed()],
      ["i.example A", answer(a("192.0.2.1"))],
    ],
    false,
  ],
] as const) {
  test(`createSecureDns() calls addresses secure ${name}`, async () => {
    const { server, dns } = await startDns("secure Dns", rules as readonly (readonly [string, DnsRule])[]);
    await using _ = server;
    const found = await dns.addresses("h.example");
    assert.equal(found.kind === "found" && found.secure, secure);
  });
}

test("createDns() refuses servers that are no addresses", () => {
  assert.equal(createDns({ nameservers: ["ns.example"], timeoutMs: 250 }).kind, "permanent");
});

for (const server of ["ns.example", "127.0.0.1:0", "127.0.0.1:99999", "[::1", ""]) {
  test(`createSecureDns() refuses "${server}"`, () => {
    assert.equal(createSecureDns({ nameservers: [server], timeoutMs: 250 }).kind, "permanent");
  });
}
