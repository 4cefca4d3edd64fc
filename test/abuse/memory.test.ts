import assert from "node:assert/strict";
import { test } from "node:test";
import { queueEmpty } from "../support/load.ts";
import { unlessLong } from "../support/missing.ts";
import { mailboxOf, memoryKiB, readMaildir, startServer } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

const boundKiB = 300 * 1024;
/** The first shows what the second does, in less time: memory that grows with a message grows with these too. */
const loads = [
  { clients: 100, megabytes: 8, skip: false },
  { clients: 20, megabytes: 50, skip: unlessLong() },
];

for (const { clients, megabytes, skip } of loads) {
  test(`${clients} clients sending ${megabytes} MB each at once: all programs together stay within 300 MB`, {
    skip,
  }, async (t) => {
    await using server = await startServer();
    const piece = `${"z".repeat(1_022)}\r\n`.repeat(64);
    const pieces = (megabytes * 1_048_576) / piece.length;
    const replies: string[] = [];
    const sendLarge = async (n: number): Promise<void> => {
      const client = await SmtpClient.open(server.smtpPort);
      for (const line of ["EHLO c", "MAIL FROM:<a@b.test>", `RCPT TO:<large${n}@localhost>`, "DATA"])
        await client.command(line);
      for (let sent = 0; sent < pieces; sent++) {
        client.send(piece);
        await client.drained();
      }
      client.send(".\r\n");
      replies.push(await client.reply());
      client.close();
    };
    let peakKiB = 0;
    const watch = setInterval(() => {
      peakKiB = Math.max(peakKiB, memoryKiB(server));
    }, 250);
    await Promise.all(Array.from({ length: clients }, (_, n) => sendLarge(n)));
    await queueEmpty(server, 300_000);
    clearInterval(watch);
    assert.deepEqual([...new Set(replies.map((reply) => reply.slice(0, 3)))], ["250"]);
    for (let n = 0; n < clients; n += 19) {
      assert.equal(readMaildir(mailboxOf(server, `large${n}`)).length, 1);
    }
    t.diagnostic(`peak ${Math.round(peakKiB / 1024)} MiB PSS`);
    assert.ok(peakKiB < boundKiB, `${peakKiB} KiB`);
  });
}
