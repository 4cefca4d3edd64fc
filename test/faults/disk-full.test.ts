import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { countDelivered, disagreements, type Ledger, queueEmpty } from "../support/load.ts";
import { unlessRoot } from "../support/missing.ts";
import { startServer, temporaryFolder, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

test("a full queue disk: 4xx while it lasts, nothing half stored, service by itself when there is space", {
  skip: unlessRoot(),
}, async () => {
  const root = temporaryFolder();
  const queue = join(root, "queue");
  mkdirSync(queue);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=48m,mode=700", "tmpfs", queue]);
  try {
    const first = await startServer({ files: { "control/x": "" }, control: {} }).catch(() => undefined);
    assert.equal(first, undefined, "an unknown control file stops the start");
    await fill(root, queue);
  } finally {
    execFileSync("umount", ["-l", queue]);
    rmSync(root, { recursive: true, force: true });
  }
});

async function fill(root: string, queue: string): Promise<void> {
  mkdirSync(join(root, "control"), { recursive: true });
  await using prepared = await startServer();
  for (const name of ["me", "mailboxdomains", "relayclients", "smtplisten", "submissionlisten", "locals"]) {
    execFileSync("cp", [join(prepared.root, "control", name), join(root, "control", name)]);
  }
  await prepared.stop();
  await using server = await startServer({ root });
  const ledger: Ledger = { acknowledged: new Set(), refused: new Set(), doubtful: new Set() };
  let last = 0;
  const send = async (): Promise<string> => {
    const client = await SmtpClient.open(server.smtpPort);
    const n = last++;
    const reply = await client.message(
      "a@b.test",
      ["full@localhost"],
      `X-Load: ${n}\n\n${"x".repeat(76)}\n`.repeat(1) + `${"y".repeat(75)}\n`.repeat(4_000),
    );
    (reply.startsWith("250") ? ledger.acknowledged : ledger.refused).add(n);
    client.close();
    return reply;
  };
  assert.match(await send(), /^250 /);
  const { bavail, bsize } = statfsSync(queue);
  writeFileSync(join(queue, "filler"), Buffer.alloc(Math.max(0, bavail * bsize - 65_536)));
  const refusals: string[] = [];
  for (let n = 0; n < 40 && refusals.length < 3; n++) {
    const reply = await send();
    if (!reply.startsWith("250")) refusals.push(reply);
  }
  assert.equal(refusals.length, 3, "the disk was full");
  for (const reply of refusals) assert.match(reply, /^4\d\d 4\.3\./);
  rmSync(join(queue, "filler"));
  await until("service again", async () => (await send()).startsWith("250"));
  await queueEmpty(server);
  assert.deepEqual(disagreements(ledger, countDelivered(server, ["full"])), []);
  assert.ok(
    (await server.status()).every((each) => each.restarts === 0),
    "no program died of it",
  );
}
