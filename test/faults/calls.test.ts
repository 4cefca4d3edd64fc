import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { drain, makeMaildir } from "../crash/crashes.ts";
import { programs } from "../crash/kills.ts";
import { judge, type Sent } from "../crash/ledger.ts";
import { entrances, exitFiles, exits, readPlaces, textOf } from "../crash/table.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { mailboxOf, type Server, startServer, temporaryFolder, until } from "../support/server.ts";
import { startSmtpPeer } from "../support/smtp-peer.ts";
import { inject, type SystemFault } from "./inject.ts";

const flushes = ["fsync", "fdatasync"];
const writes = ["pwrite64"];
const links = ["link", "linkat"];
const renames = ["rename", "renameat", "renameat2"];
const unlinks = ["unlink", "unlinkat"];
const fault = (calls: readonly string[], error: string, when = "1+"): SystemFault => ({ calls, error, when });

/** A row that hangs says which. */
const rowTimeoutMs = 60_000;

const rows: readonly { program: string; faults: readonly SystemFault[] }[] = [
  { program: "queue", faults: [fault(flushes, "EIO")] },
  { program: "queue", faults: [fault(flushes, "EIO", "2+3")] },
  { program: "queue", faults: [fault(flushes, "ENOSPC", "1+2")] },
  { program: "queue", faults: [fault(flushes, "EIO", "1+4"), fault(["openat"], "EMFILE", "1+2")] },
  { program: "queue", faults: [fault(writes, "EIO")] },
  { program: "queue", faults: [fault(writes, "EIO", "3+7")] },
  { program: "queue", faults: [fault(writes, "ENOSPC")] },
  { program: "queue", faults: [fault(writes, "ENOSPC", "2+5")] },
  { program: "local", faults: [fault(["syncfs"], "EIO")] },
  { program: "local", faults: [fault(["syncfs"], "ENOSPC", "2+3")] },
  { program: "deliver", faults: [fault(["openat"], "EIO", "1+3")] },
  { program: "deliver", faults: [fault(["openat"], "ENOSPC")] },
  { program: "deliver", faults: [fault(["openat"], "EMFILE", "2+5")] },
  { program: "deliver", faults: [fault(["write"], "ENOSPC", "1+3")] },
  { program: "deliver", faults: [fault(links, "EIO", "1+2")] },
  { program: "deliver", faults: [fault(links, "ENOSPC")] },
  { program: "deliver", faults: [fault(renames, "EIO", "1+2")] },
  { program: "deliver", faults: [fault(renames, "ENOSPC")] },
  { program: "deliver", faults: [fault(unlinks, "EIO")] },
  { program: "deliver", faults: [fault(["ftruncate"], "EIO"), fault(["write"], "EIO", "2+3")] },
];

test("a system call that fails", { skip: unlessRoot() || without("strace") }, async (t) => {
  await using sink = await startSmtpPeer({
    script: { RCPT: (line) => refusal(line), end: () => void sinkMs.push(Date.now()) },
  });
  const sinkMs: number[] = [];
  const notes = temporaryFolder();
  const ran = join(notes, "ran");
  t.after(() => rmSync(notes, { recursive: true, force: true }));
  await using server = await startServer({
    control: { smtproutes: `:127.0.0.1:${sink.port}\n` },
    files: exitFiles(ran),
  });
  makeMaildir(mailboxOf(server, "several"));
  const sent = new Map<number, Sent>();
  const crashesMs: number[] = [];
  for (const { program, faults } of rows) {
    const name = faults.map(({ calls: [call], error, when }) => `${call} ${error} ${when}`).join(" and ");
    await t.test(`in ${program}: ${name}`, { timeout: rowTimeoutMs }, async (t) => {
      await sendOneOfEach(server, sent); // there is a deliver now
      await drain(server);
      const pids = programs(server)
        .filter((each) => each.name === program)
        .map(({ pid }) => pid);
      const injection = await inject(pids, faults);
      try {
        for (let round = 0; round < 3; round++) await sendOneOfEach(server, sent);
        await until("a call to fail", () => injection.failed() > 0, 20_000);
      } finally {
        t.diagnostic(`${injection.failed()} calls failed`);
        await injection.end();
      }
      crashesMs.push(Date.now());
      await until("service again", async () => (await send(server, sent, sent.size + 1)) === "acknowledged");
      await drain(server);
      const { wrong } = judge(sent, readPlaces(server, sink, sinkMs, ran), crashesMs);
      assert.deepEqual(wrong, []);
    });
  }
});

const refusal = (line: string) => (line.includes("@refuse.test") ? "550 5.1.1 nobody here" : undefined);

async function sendOneOfEach(server: Server, sent: Map<number, Sent>): Promise<void> {
  const first = sent.size + 1;
  await Promise.all(exits.map((_, at) => send(server, sent, first + at)));
}

async function send(server: Server, sent: Map<number, Sent>, n: number) {
  const [smtp] = entrances;
  const exit = exits[n % exits.length];
  if (!smtp || !exit) throw new Error("empty tables");
  const atMs = Date.now();
  sent.set(n, { exit: exit.name, atMs, answer: "doubtful" });
  const answer = await smtp.send(server, exit.forwardPath(n), textOf(n));
  sent.set(n, { exit: exit.name, atMs, answer });
  return answer;
}
