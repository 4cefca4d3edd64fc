import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { FaultPoint, NetworkFault } from "../support/far-side.ts";
import { unlessLong, unlessRoot, without } from "../support/missing.ts";
import { mailboxOf, readMaildir, type Server, startServer, temporaryFolder, until } from "../support/server.ts";
import { Far, Wire } from "../support/wire.ts";
import { bounces, deferred, handIn, waiting } from "./waiting.ts";

const skip = unlessRoot() || without("ip", "nft");
const port = 2525;
const timeoutSeconds = 4;

interface Row {
  readonly fault: NetworkFault;
  readonly at: FaultPoint;
}
const points: readonly FaultPoint[] = ["connect", "MAIL", "body", "end"];
const rows: readonly Row[] = [
  ...points.map((at): Row => ({ fault: "black hole", at })),
  ...points.slice(0, 3).map((at): Row => ({ fault: "reset", at })),
  { fault: "deaf", at: "before" }, // no SYN arrives
  { fault: "mute", at: "before" }, // no answer to it leaves
  { fault: "deaf", at: "body" },
  { fault: "mute", at: "body" },
  { fault: "after 40000 octets", at: "before" },
  // How long that takes is a matter of chance.
  ...(unlessLong() ? [] : [{ fault: "lossy", at: "before" } as const]),
];
const nameOf = ({ fault, at }: Row): string => `${fault}, ${at === "before" ? "from the start" : `at ${at}`}`;
/** Much more than lies in the buffers of two hosts, where the fault is to come in the middle. */
const octetsOf = ({ at }: Row): number => (at === "body" ? 6_000_000 : 100_000);
const text = (octets: number): string => `Subject: far\n\n${`${"y".repeat(70)}\n`.repeat(Math.ceil(octets / 71))}`;

interface Stage {
  readonly server: Server;
  readonly far: Far;
  readonly wire: Wire;
}

/** A server near, with destinations `d0.test`... far, one for each address; removed at the end. */
async function onStage(
  addresses: readonly string[],
  control: Record<string, string>,
  play: (stage: Stage) => Promise<void>,
) {
  const root = temporaryFolder();
  using wire = new Wire();
  for (const address of addresses) wire.addFar(address);
  await using far = await Far.start(wire, []);
  const smtproutes = addresses.map((address, n) => `d${n}.test:${address}\n`).join("");
  const server = await startServer({
    folder: root,
    within: ["ip", "netns", "exec", wire.near],
    control: {
      smtplisten: `10.99.0.1:${port}\n`,
      smtproutes,
      timeoutsmtpd: `${timeoutSeconds}\n`,
      timeoutremote: `${timeoutSeconds}\n`,
      timeoutconnect: "2\n",
      ...control,
    },
  });
  try {
    await play({ server, far, wire });
    assert.deepEqual(
      (await server.status()).filter(({ restarts }) => restarts > 0),
      [],
    );
  } finally {
    await server.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

const addressOf = (n: number): string => `10.99.0.${10 + n}`;
const addresses = rows.map((_, n) => addressOf(n));

test("a delivery over a network with a fault: tried to an end, then again", { skip, timeout: 90_000 }, async (t) => {
  await onStage(addresses, {}, async ({ server, far }) => {
    for (const [n, { fault, at }] of rows.entries()) far.order({ order: "peer", address: addressOf(n), at, fault });
    const to = (n: number): string => `u@d${n}.test`;
    for (const [n, row] of rows.entries()) await handIn(server, [to(n)], text(octetsOf(row)));
    for (const [n, row] of rows.entries()) {
      const path = to(n);
      await t.test(nameOf(row), async () => {
        if (row.fault !== "lossy") {
          await deferred(server, [path]);
          // Whether it arrived nobody can know who never read the reply: then it comes again.
          assert.equal(far.takenFor(path), row.at === "end" ? 1 : 0);
          await far.heal(addressOf(n));
          await server.postern(["queue", "retry", "--recipient", path]);
        }
        const copies = row.at === "end" ? 2 : 1;
        await until("its arrival", () => far.takenFor(path) >= copies);
        await until("its end", async () => (await waiting(server)).every(({ forwardPath }) => forwardPath !== path));
        assert.equal(far.takenFor(path), copies);
      });
    }
    assert.deepEqual(bounces(server), []);
  });
});

interface Logged {
  readonly event: string;
  readonly connection: number;
  readonly address: string;
}
/** Addresses of clients whose connections have not ended. */
function connected(server: Server): string[] {
  const open = new Map<number, string>();
  for (const line of readFileSync(join(server.root, "log/current"), "utf8").split("\n").filter(Boolean)) {
    const { event, connection, address } = JSON.parse(line) as Logged;
    if (event === "connection") open.set(connection, address);
    if (event === "disconnection") open.delete(connection);
  }
  return [...open.values()];
}

/** So short that its end is sent before anything of it is acknowledged. */
const shortOctets = 4_000;
const clientRows: readonly Row[] = [
  ...rows.filter(({ fault, at }) => at !== "end" && fault !== "after 40000 octets"),
  { fault: "deaf", at: "end" }, // the reply to the final dot is never read
];

test("a client behind a network with a fault: whole messages arrive, and nothing else does", {
  skip,
  timeout: 90_000,
}, async (t) => {
  await onStage(addresses, {}, async ({ server, far }) => {
    const delivered = (n: number): number => readMaildir(mailboxOf(server, `in${n}`)).length;
    const send = (n: number, octets: number, { fault, at }: Partial<Row> = {}): void =>
      far.order({
        order: "send",
        from: addressOf(n),
        port,
        forwardPath: `in${n}@localhost`,
        octets,
        ...(fault && at && { fault, at }),
      });
    for (const [n, row] of clientRows.entries()) send(n, row.at === "end" ? shortOctets : octetsOf(row), row);
    for (const [n, row] of clientRows.entries()) {
      await t.test(nameOf(row), async () => {
        if (row.at === "before" && row.fault !== "lossy") await far.heal(addressOf(n));
        const isWhole = row.at === "end" || row.at === "before";
        if (isWhole) await until("its message", () => delivered(n) === 1);
        await until("the end of its connection", () => !connected(server).includes(addressOf(n)));
        assert.equal(delivered(n), isWhole ? 1 : 0);
      });
    }
    await t.test("every one of them is served afterwards", async () => {
      for (const n of clientRows.keys()) await far.heal(addressOf(n));
      const before = clientRows.map((_, n) => delivered(n));
      for (const n of clientRows.keys()) send(n, shortOctets);
      await until("a message of each", () => clientRows.every((_, n) => delivered(n) === (before[n] ?? 0) + 1));
    });
  });
});

const wires: readonly { name: string; octets: number; spoil: (wire: Wire) => void; mend: (wire: Wire) => void }[] = [
  {
    name: "packets of 576 octets",
    octets: 300_000,
    spoil: (wire) => wire.link("mtu", "576"),
    mend: (wire) => wire.link("mtu", "1500"),
  },
  {
    name: "8 kbit/s",
    octets: 1_500,
    spoil: (wire) => wire.shape("add", "tbf", "rate", "8kbit", "burst", "1600", "latency", "2s"),
    mend: (wire) => wire.shape("del"),
  },
  {
    name: "a wire that is cut for longer than anybody waits",
    octets: 300_000,
    spoil(wire) {
      wire.link("down");
      setTimeout(() => wire.link("up"), 1_500 * timeoutSeconds);
    },
    mend() {},
  },
];

test("a whole message arrives both ways in spite of", { skip, timeout: 90_000 }, async (t) => {
  await onStage([addressOf(0)], {}, async ({ server, far, wire }) => {
    far.order({ order: "peer", address: addressOf(0) });
    for (const [n, { name, octets, spoil, mend }] of wires.entries()) {
      await t.test(name, async () => {
        far.order({ order: "send", from: "10.99.0.2", port, forwardPath: `in${n}@localhost`, octets });
        spoil(wire);
        await handIn(server, [`out${n}@d0.test`], text(octets));
        const isThere = () => far.takenFor(`out${n}@d0.test`) === 1;
        await until("the one that goes out", async () => {
          if (!isThere()) await server.postern(["queue", "retry", "--recipient", `out${n}@d0.test`]);
          return isThere();
        });
        await until("the one that comes in, or its client's end", () => far.sent.length > n);
        const isIn = () => readMaildir(mailboxOf(server, `in${n}`)).length === 1;
        const verdict = far.sent[n]?.reply ?? "";
        if (verdict.startsWith("2")) await until("its delivery", isIn);
        else if (verdict !== "") assert.equal(isIn(), false, verdict); // who heard nothing may have been understood
        mend(wire);
      });
    }
    await until("an empty queue", async () => (await waiting(server)).length === 0);
    assert.deepEqual(bounces(server), []);
  });
});

test("100 messages into a black hole do not hold up 100 others", { skip, timeout: 90_000 }, async () => {
  const control = {
    timeoutconnect: "60\n",
    timeoutremote: "60\n",
    relayclients: "10.99.0.0/24\n",
    maxconnectionsperaddress: "200\n",
  };
  await onStage([addressOf(0), addressOf(1)], control, async ({ server, far }) => {
    far.order({ order: "peer", address: addressOf(0), at: "before", fault: "black hole" });
    far.order({ order: "peer", address: addressOf(1) });
    const all = (domain: string) => Array.from({ length: 100 }, (_, n) => `u${n}@${domain}`);
    const handInAll = async (domain: string): Promise<void> => {
      const before = far.sent.length;
      for (const forwardPath of all(domain))
        far.order({ order: "send", from: "10.99.0.2", port, forwardPath, octets: 100 });
      await until("all to be taken", () => far.sent.length === before + 100);
    };
    await handInAll("d0.test");
    await handInAll("d1.test");
    await until("the good ones", () => all("d1.test").every((path) => far.takenFor(path) === 1), 40_000);
    const left = await waiting(server);
    assert.deepEqual([left.length, left.some(({ attempts }) => attempts > 0)], [100, false], "the others still wait");
  });
});
