import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { programs } from "../crash/kills.ts";
import { countDelivered, disagreements, type Ledger, queueEmpty } from "../support/load.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { startServer, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

const places = 20;

for (const program of ["smtpd", "queue", "deliver", "remote"]) {
  test(`${program} out of descriptors: nothing lost, nobody dies, all is well when there are some again`, {
    skip: unlessRoot() || without("prlimit"),
  }, async () => {
    await using server = await startServer({ control: { smtproutes: ":127.0.0.1:9\n" } });
    const ledger: Ledger = { acknowledged: new Set(), refused: new Set(), doubtful: new Set() };
    const send = async (n: number): Promise<void> => {
      const client = await SmtpClient.open(server.smtpPort);
      const reply = await client.message("a@b.test", ["few@localhost"], `X-Load: ${n}\n\nbody\n`);
      (reply.startsWith("250") ? ledger.acknowledged : reply ? ledger.refused : ledger.doubtful).add(n);
      client.close();
    };
    await send(0);
    await queueEmpty(server);
    const limited = programs(server).filter(({ name }) => name === program);
    assert.notEqual(limited.length, 0);
    const before = limited.map(({ pid }) => ({ pid, limit: limitOf(pid) }));
    for (const { pid } of before) {
      const limit = readdirSync(`/proc/${pid}/fd`).length + (program === "smtpd" ? places : 0);
      execFileSync("prlimit", ["--pid", String(pid), `--nofile=${limit}:`]);
    }
    const crowd = Array.from({ length: 60 }, () => connect(server.smtpPort, "127.0.0.1").on("error", () => {}));
    const sending = Promise.all([1, 2, 3, 4].map(send));
    if (program !== "smtpd") await sending;
    for (const socket of crowd) socket.destroy();
    await sending.catch(() => {}); // turned away at the door: the message was never sent
    for (const { pid, limit } of before) execFileSync("prlimit", ["--pid", String(pid), `--nofile=${limit}:`]);
    await until("service again", async () => {
      const n = 100 + ledger.acknowledged.size + ledger.refused.size;
      await send(n);
      return ledger.acknowledged.has(n);
    });
    await server.postern(["queue", "retry"]);
    await queueEmpty(server);
    assert.deepEqual(disagreements(ledger, countDelivered(server, ["few"])), []);
    assert.deepEqual(
      (await server.status()).filter(({ restarts }) => restarts > 0),
      [],
    );
  });
}

const limitOf = (pid: number): string =>
  execFileSync("prlimit", ["--pid", String(pid), "--nofile", "--noheadings", "--raw", "--output=SOFT"], {
    encoding: "utf8",
  }).trim();
