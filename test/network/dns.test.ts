import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { test } from "node:test";
import { type DnsRecord, type DnsRule, type Forgery, malformationNames, tcpFailures } from "../support/dns-server.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { mailboxOf, readMaildir, startServer, temporaryFolder, until } from "../support/server.ts";
import { Far, Wire } from "../support/wire.ts";
import { bounces, deferred, handIn, waiting } from "./waiting.ts";

const sink = "10.99.0.3";
/** Where forged answers lead: nothing may ever arrive there. */
const trap = "10.99.0.66";

const mx = (preference: number, exchange: string): DnsRecord => ({ type: "MX", preference, exchange });
const a = (address: string, name?: string, ttl = 60): DnsRecord => ({ type: "A", address, ttl, ...(name && { name }) });
const alias = (name: string, target: string): DnsRecord => ({ type: "CNAME", name, target });
const answer = (...records: DnsRecord[]): DnsRule => ({ kind: "answer", records });
const good = mx(10, "good.test");
/** 256 octets in DNS, one too many (RFC 1035 §2.3.4); as text 254. */
const tooLong = [63, 63, 63, 62].map((octets) => "l".repeat(octets)).join(".");
const chain = (length: number): DnsRecord[] =>
  Array.from({ length }, (_, n) => alias(n === 0 ? "cname-20.test" : `c${n}.test`, `c${n + 1}.test`));

type Rules = Readonly<Record<string, DnsRule>>;
interface Row {
  readonly name: string;
  /** By "type" for the name itself, else by "name type". */
  readonly rules: Rules;
  readonly ends: "delivered" | "deferred" | "bounced";
}

const forgeries: readonly Forgery[] = ["id", "question", "port", "address"];
const forged = (how: Forgery, ...records: DnsRecord[]): DnsRule => ({
  kind: "forged first",
  how,
  forged: [mx(1, "trap.test")],
  ...(records.length > 0 && { records }),
});

const rows: readonly Row[] = [
  { name: "servfail", rules: { "*": { kind: "servfail" } }, ends: "deferred" },
  { name: "refused", rules: { "*": { kind: "refused" } }, ends: "deferred" },
  { name: "formerr", rules: { "*": { kind: "formerr" } }, ends: "deferred" },
  { name: "notimp", rules: { "*": { kind: "notimp" } }, ends: "deferred" },
  { name: "timeout", rules: { "*": { kind: "timeout" } }, ends: "deferred" },
  { name: "nxdomain", rules: { "*": { kind: "nxdomain" } }, ends: "bounced" },
  { name: "nodata", rules: {}, ends: "bounced" },
  { name: "mx-null", rules: { MX: answer(mx(0, "")) }, ends: "bounced" },
  { name: "mx-dot-and-others", rules: { MX: answer(mx(0, ""), good) }, ends: "delivered" },
  { name: "truncated", rules: { MX: { kind: "truncated", records: [good] } }, ends: "delivered" },
  ...tcpFailures.map(
    (tcp): Row => ({
      name: `truncated-tcp-${tcp}`,
      rules: { MX: { kind: "truncated", records: [good], tcp } },
      ends: "deferred",
    }),
  ),
  { name: "slow", rules: { MX: { kind: "late", afterMs: 1_000, records: [good] } }, ends: "delivered" },
  {
    name: "mx-100",
    rules: { MX: answer(...new Array<DnsRecord>(99).fill(mx(20, "dead.test")), good) },
    ends: "delivered",
  },
  { name: "mx-servfail-a-good", rules: { MX: { kind: "servfail" }, A: answer(a(sink)) }, ends: "deferred" },
  {
    name: "mx-of-servfail",
    rules: { MX: answer(mx(1, "sick.test")), "sick.test *": { kind: "servfail" } },
    ends: "deferred",
  },
  { name: "mx-of-nothing", rules: { MX: answer(mx(1, "nothing.test")) }, ends: "bounced" },
  {
    name: "mx-to-cname",
    rules: { MX: answer(mx(1, "w.test")), "w.test *": answer(alias("w.test", "good.test"), a(sink, "good.test")) },
    ends: "delivered",
  },
  { name: "mx-127", rules: { MX: answer(mx(1, "loop.test")), "loop.test A": answer(a("127.0.0.1")) }, ends: "bounced" },
  { name: "mx-to-self", rules: { MX: answer(mx(1, "us.test")), "us.test A": answer(a("10.99.0.1")) }, ends: "bounced" },
  { name: "mx-to-self-second", rules: { MX: answer(good, mx(20, "us.test")) }, ends: "delivered" },
  { name: "a-only", rules: { A: answer(a(sink)) }, ends: "delivered" },
  { name: "aaaa-only", rules: { AAAA: answer({ type: "AAAA", address: "fd99::2" }) }, ends: "delivered" },
  { name: "cname-20", rules: { A: answer(...chain(20), a(sink, "c20.test")) }, ends: "delivered" },
  { name: "cname-alone", rules: { "*": answer(alias("cname-alone.test", "good.test")) }, ends: "delivered" },
  {
    name: "cname-loop",
    rules: {
      "*": answer(alias("cname-loop.test", "c2.test")),
      "c2.test *": answer(alias("c2.test", "cname-loop.test")),
    },
    ends: "deferred",
  },
  {
    name: "txt-64k",
    rules: { MX: { kind: "truncated", records: [{ type: "TXT", octets: 64_000 }, good] } },
    ends: "delivered",
  },
  { name: "ttl-0", rules: { A: answer(a(sink, undefined, 0)) }, ends: "delivered" },
  { name: "ttl-2-31", rules: { A: answer(a(sink, undefined, 2 ** 31)) }, ends: "delivered" },
  { name: `${"l".repeat(64)}`, rules: {}, ends: "bounced" },
  { name: tooLong.slice(0, -".test".length), rules: {}, ends: "bounced" },
  { name: "mx-256", rules: { MX: answer(mx(1, tooLong)) }, ends: "deferred" },
  {
    name: "other-case",
    rules: { MX: { kind: "answer", records: [mx(10, "GOOD.test")], capitals: true } },
    ends: "delivered",
  },
  { name: "garbage", rules: { "*": { kind: "garbage" } }, ends: "deferred" },
  ...forgeries.flatMap((how): Row[] => [
    { name: `forged-${how}`, rules: { MX: forged(how) }, ends: "deferred" },
    { name: `forged-${how}-then-right`, rules: { MX: forged(how, good) }, ends: "delivered" },
  ]),
  ...malformationNames.map(
    (how, n): Row => ({
      name: `malformed-${n}`,
      rules: { MX: { kind: "malformed", how, records: [mx(10, "good.test")] } },
      // c-ares looks at neither: the answer has our id, comes from our server and answers our question.
      ends: /not marked|opcode|after its end/.test(how) ? "delivered" : "deferred",
    }),
  ),
];

const rulesOf = ({ name, rules }: Row): [string, DnsRule][] =>
  Object.entries(rules).map(([key, rule]) => [key.includes(" ") ? key : `${name}.test ${key}`, rule]);
const known: readonly (readonly [string, DnsRule])[] = [
  ["good.test A", answer(a(sink))],
  ["trap.test A", answer(a(trap))],
  ["dead.test *", { kind: "nxdomain" }],
];
const to = ({ name }: Row): string => `u@${name}.test`;

test("whatever DNS answers", { skip: unlessRoot() || without("ip") }, async (t) => {
  const root = temporaryFolder();
  using wire = new Wire();
  for (const address of [sink, trap]) wire.addFar(address);
  await using far = await Far.start(wire, [...known, ...rows.flatMap(rulesOf)], "fd99::2", sink, trap);
  const control = { nameservers: "10.99.0.2:53\n", timeoutconnect: "5\n" };
  const server = await startServer({ folder: root, within: ["ip", "netns", "exec", wire.near], control });
  try {
    for (const row of rows) await handIn(server, [to(row)]);
    const bounceFor = (row: Row) => bounces(server).filter((text) => text.includes(`<${to(row)}>:`));
    for (const row of rows) {
      await t.test(`${row.name}: ${row.ends}`, async () => {
        if (row.ends === "deferred") await deferred(server, [to(row)]);
        else {
          await until("its end", async () => {
            const isOver = far.takenFor(to(row)) + bounceFor(row).length > 0;
            // On a busy machine an answer may come too late, which puts the mail off.
            if (!isOver) await server.postern(["queue", "retry", "--recipient", to(row)]);
            return isOver;
          });
        }
        assert.equal(bounceFor(row).length, row.ends === "bounced" ? 1 : 0);
        assert.equal(far.takenFor(to(row)), row.ends === "delivered" ? 1 : 0);
      });
    }
    await t.test("nothing went where a forged answer led", () => {
      assert.deepEqual(
        far.taken.filter(({ at }) => at === trap),
        [],
      );
    });
    await t.test("delivery resumes when DNS is well again", async () => {
      const ill = rows.filter(({ ends }) => ends === "deferred");
      for (const row of ill) {
        for (const [name] of rulesOf(row)) far.order({ order: "rule", name, rule: null });
        far.order({ order: "rule", name: `${row.name}.test MX`, rule: answer(good) });
      }
      await server.postern(["reload"]); // forgets what it was told
      assert.equal((await server.postern(["queue", "retry"])).code, 0);
      await until("all of them", () => ill.every((row) => far.takenFor(to(row)) === 1));
    });
    await t.test("while there is no DNS at all local mail flows, and nothing bounces", async () => {
      far.order({ order: "rule", name: "*", rule: { kind: "timeout" } });
      const before = bounces(server).length;
      await handIn(server, ["a@outage1.test", "b@outage2.test", "here@localhost"]);
      await until("the local one", () => readMaildir(mailboxOf(server, "here")).length === 1, 5_000);
      await deferred(server, ["a@outage1.test", "b@outage2.test"]);
      assert.equal(bounces(server).length, before);
      assert.equal((await waiting(server)).length, 2);
    });
    assert.deepEqual(
      (await server.status()).filter(({ restarts }) => restarts > 0),
      [],
    );
  } finally {
    await server.stop();
    rmSync(root, { recursive: true, force: true });
  }
});
