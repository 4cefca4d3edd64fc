import assert from "node:assert/strict";
import { test } from "node:test";
import { countDelivered, disagreements, type Load, queueEmpty, sendLoad } from "../support/load.ts";
import { type Server, startServer, until } from "../support/server.ts";

const users = Array.from({ length: 20 }, (_, n) => `u${n}`);
const targets = ["target0", "target1"];
/** Every fifth message goes through a forward, to two mailboxes. */
const isForwarded = (n: number): boolean => n % 5 === 0;
const files = { "mail/localhost/forwarder/.qmail": "&target0@localhost\n&target1@localhost\n" };
const forwardPath = (n: number): string => (isForwarded(n) ? "forwarder@localhost" : `u${n % users.length}@localhost`);

async function kill(server: Server, name: string): Promise<void> {
  let pid: number | null | undefined;
  await until(`${name} to run`, async () => {
    pid = (await server.status()).find((each) => each.name === name)?.pid;
    return typeof pid === "number";
  });
  process.kill(pid ?? 0, "SIGKILL");
}

async function assertKept(server: Server, ledger: Awaited<ReturnType<typeof sendLoad>>): Promise<void> {
  await queueEmpty(server);
  const byMailbox = [users, ...targets.map((target) => [target])].map((mailboxes) => countDelivered(server, mailboxes));
  const [direct = new Map(), ...forwarded] = byMailbox;
  const only = (of: Set<number>, keep: (n: number) => boolean) => new Set([...of].filter(keep));
  const part = (keep: (n: number) => boolean) => ({
    acknowledged: only(ledger.acknowledged, keep),
    refused: only(ledger.refused, keep),
    doubtful: only(ledger.doubtful, keep),
  });
  assert.deepEqual(
    disagreements(
      part((n) => !isForwarded(n)),
      direct,
    ),
    [],
  );
  for (const copies of forwarded) assert.deepEqual(disagreements(part(isForwarded), copies), []);
}

test("5,000 messages: each program killed in mid load, everything acknowledged is there exactly once", async (t) => {
  await using server = await startServer({ files });
  const names = ["queue", "smtpd", "local", "deliver", "remote", "qmqpd", "logger", "queue", "local", "deliver"];
  const messages = 5_000;
  const killing: Promise<void>[] = [];
  const load: Load = {
    messages,
    sessions: 10,
    forwardPath,
    progress: (through) => {
      const every = Math.floor(messages / (names.length + 1));
      const name = through % every === 0 ? names[through / every - 1] : undefined;
      if (name) killing.push(kill(server, name));
    },
  };
  const ledger = await sendLoad(server.smtpPort, load);
  await Promise.all(killing);
  t.diagnostic(
    `${ledger.acknowledged.size} acknowledged, ${ledger.refused.size} refused, ${ledger.doubtful.size} without an answer`,
  );
  assert.ok(ledger.acknowledged.size > messages / 2, "most of the load went through");
  await assertKept(server, ledger);
  const restarts = (await server.status()).reduce((sum, each) => sum + each.restarts, 0);
  assert.ok(restarts >= names.filter((name) => name !== "deliver").length, `only ${restarts} restarts`);
});

test("everything killed at once in mid load, three times, then started: the same count", async (t) => {
  await using first = await startServer({ files });
  const root = first.root;
  let server: Server = first;
  const ledger = { acknowledged: new Set<number>(), refused: new Set<number>(), doubtful: new Set<number>() };
  const perRound = 600;
  for (let round = 0; round < 3; round++) {
    let killed: Promise<void> | undefined;
    const from = round * perRound;
    const seen = await sendLoad(server.smtpPort, {
      messages: perRound,
      sessions: 10,
      forwardPath: (n) => forwardPath(from + n),
      text: (n) => `X-Load: ${from + n}\n\nround ${round}\n`,
      progress: (through) => {
        if (through === perRound / 2) killed = server.killAll();
      },
    });
    await killed;
    for (const n of seen.acknowledged) ledger.acknowledged.add(from + n);
    for (const n of seen.refused) ledger.refused.add(from + n);
    for (const n of seen.doubtful) ledger.doubtful.add(from + n);
    server = await startServer({ root });
  }
  t.diagnostic(`${ledger.acknowledged.size} acknowledged, ${ledger.doubtful.size} without an answer`);
  await assertKept(server, ledger);
  assert.equal(await server.stop(), 0);
  await until("no process left", () => server.process.exitCode !== null);
});
