import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { test } from "node:test";
import { unlessRoot, without } from "../support/missing.ts";
import type { Manners, Mishap } from "../support/rough-wire.ts";
import { mailboxOf, readMaildir, startServer, temporaryFolder, until } from "../support/server.ts";
import { Far, Wire } from "../support/wire.ts";
import { bounces, handIn, waiting } from "./waiting.ts";

const messages = 12;
const sink = "10.99.0.3";
const port = 2525;
const seed = Number(process.env.POSTERN_SEED ?? 1);

interface Row extends Manners {
  readonly name: string;
  readonly shows: readonly Mishap[];
}
const none = { lost: 0, doubled: 0, damaged: 0, delayMs: 0 };
const rows: readonly Row[] = [
  { ...none, name: "loses one packet in ten", lost: 0.1, shows: ["lost"] },
  { ...none, name: "doubles one in five", doubled: 0.2, shows: ["doubled"] },
  { ...none, name: "damages one in twenty", damaged: 0.05, shows: ["damaged"] },
  { ...none, name: "delivers them in any order", delayMs: 30, shows: ["overtaken"] },
  {
    ...{ name: "does all of that", lost: 0.03, doubled: 0.1, damaged: 0.02, delayMs: 20 },
    shows: ["lost", "doubled", "damaged", "overtaken"],
  },
];

/** No two alike. */
const bodyOf = (n: number): string =>
  Array.from({ length: 700 + n }, (_, line) => `${n} ${line} ${"y".repeat(60)}\n`).join("");
const digestOf = (n: number): string => createHash("sha256").update(bodyOf(n).replaceAll("\n", "\r\n")).digest("hex");
const lineOctets = 72;

test("mail arrives once and whole, both ways, over a wire that", {
  skip: unlessRoot() || without("ip"),
  timeout: 240_000,
}, async (t) => {
  const root = temporaryFolder();
  using wire = await Wire.makeRough(seed);
  wire.addFar(sink);
  const rules = [
    ["rough.test MX", { kind: "answer", records: [{ type: "MX", preference: 1, exchange: "mx.test" }] }],
    ["mx.test A", { kind: "answer", records: [{ type: "A", address: sink, ttl: 0 }] }],
  ] as const;
  await using far = await Far.start(wire, rules, sink);
  const control = { nameservers: "10.99.0.2:53\n", smtplisten: `10.99.0.1:${port}\n` };
  const server = await startServer({ folder: root, within: ["ip", "netns", "exec", wire.near], control });
  try {
    for (const [at, { name, shows, ...manners }] of rows.entries()) {
      await t.test(name, async () => {
        wire.behave(manners);
        const before = wire.mishaps.length;
        const all = Array.from({ length: messages }, (_, n) => messages * at + n);
        const inbox = (n: number) => readMaildir(mailboxOf(server, `in${n}`));
        const taken = (n: number) =>
          far.taken.filter(({ forwardPaths }) => forwardPaths.includes(`out${n}@rough.test`));
        const linesOf = (n: number): number => 2 * (400 + n);
        for (const n of all) {
          const octets = lineOctets * linesOf(n);
          far.order({ order: "send", from: "10.99.0.2", port, forwardPath: `in${n}@localhost`, octets });
          await handIn(server, [`out${n}@rough.test`], `Subject: rough\n\n${bodyOf(n)}`);
        }
        await until("what goes out", async () => {
          const isThere = all.every((n) => taken(n).length > 0);
          if (!isThere) await server.postern(["queue", "retry"]); // those whom DNS did not answer in time
          return isThere;
        });
        await until("what comes in", () => all.every((n) => inbox(n).length > 0));
        await until("an empty queue", async () => (await waiting(server)).length === 0);
        for (const n of all) {
          assert.deepEqual(
            taken(n).map(({ digest }) => digest),
            [digestOf(n)],
          );
          assert.deepEqual(
            inbox(n).map(({ text }) => text.split("\n\n")[1]),
            [`${"x".repeat(70)}\n`.repeat(linesOf(n))],
          );
        }
        const happened = wire.mishaps.slice(before);
        t.diagnostic(shows.map((each) => `${happened.filter((mishap) => mishap === each).length} ${each}`).join(", "));
        for (const mishap of shows) assert.ok(happened.includes(mishap), mishap);
      });
    }
    assert.deepEqual(bounces(server), []);
  } finally {
    await server.stop();
    rmSync(root, { recursive: true, force: true });
  }
});
