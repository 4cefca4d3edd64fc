/**
 * The disk of the queue goes read-only in the middle of a load: what a kernel does that finds its journal damaged. (A
 * read-only remount by hand is refused while the queue is open.) There is no way back but to mount it anew.
 */
import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Crash, runPlan, summary } from "../crash/crashes.ts";
import { sender } from "../crash/ways.ts";
import { createDisk } from "../support/disk.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { type Server, startServer, temporaryFolder, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

test("the queue's disk goes read-only under load: 4xx and one clear line, and after a new mount all is there", {
  skip: unlessRoot() || without("mkfs.ext4"),
}, async (t) => {
  const root = temporaryFolder();
  t.after(() => rmSync(root, { recursive: true, force: true }));
  await using disk = createDisk("ext4", join(root, "queue"));
  const goReadOnly: Crash = async (server, _random, note) => {
    note("read-only", "lying"); // as at a power cut, the last flush may be reported and forgotten
    disk.abort();
    await until("a refusal", async () => /^4\d\d 4\.3\.\d /.test(await answerOf(server)));
    assert.match(await answerOf(server), /^451 4\.3\.1 cannot write the queue: /);
    assert.ok(
      (await server.status()).every(({ restarts }) => restarts === 0),
      "nobody died",
    );
    const alerts = readFileSync(join(root, "log/current"), "latin1")
      .split("\n")
      .filter((line) => line.includes('"alert"'));
    assert.equal(alerts.length, 1, alerts.join("\n"));
    assert.match(String(alerts), /cannot write the queue: .*; refusing new mail until it can be written again/);
    await server.killAll();
    await disk.restart();
    return await startServer({ root });
  };
  const plan = { seed: Date.now() % 1_000_000, messages: 300, crashes: 1, latest: 0.5, crash: goReadOnly };
  const result = await runPlan({ ...plan, options: { folder: root } });
  t.diagnostic(`--seed ${plan.seed}: ${summary(result)}`);
  assert.deepEqual(result.wrong, []);
  assert.ok(result.acknowledged > 150, "most of the load went through");
});

async function answerOf(server: Server): Promise<string> {
  const client = await SmtpClient.open(server.smtpPort);
  const reply = await client.message(sender, ["probe@localhost"], "Subject: to be refused\n\nbody\n");
  await client.quit();
  return reply;
}
