import assert from "node:assert/strict";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { countDelivered, queueEmpty, sendLoad } from "../support/load.ts";
import { seeded } from "../support/seeded.ts";
import { startServer } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

const pageOctets = 4_096;

/** Overwrites the head of a page, where the file system or the disk put something else: of one behind the tables' roots. */
function spoilPage(file: string, seed: number): void {
  const half = Math.floor(statSync(file).size / pageOctets / 2);
  const page = half + Math.floor(seeded(seed)() * half);
  const fd = openSync(file, "r+");
  writeSync(fd, Buffer.alloc(16, 0xa5), 0, 16, page * pageOctets);
  closeSync(fd);
}

const damages: readonly { name: string; damage: (file: string) => void; least: number }[] = [
  ...[1, 2].map((seed) => ({
    name: `a page spoilt (${seed})`,
    damage: (file: string) => spoilPage(file, seed),
    least: 1,
  })),
  { name: "cut to its half", damage: (file) => truncateSync(file, Math.floor(statSync(file).size / 2)), least: 1 },
  { name: "text", damage: (file) => writeFileSync(file, "this is no data base\n".repeat(1_000)), least: 0 },
  { name: "zeros", damage: (file) => writeFileSync(file, Buffer.alloc(65_536)), least: 0 },
];
const messages = 40;

test("a queue file damaged while the server was stopped", async (t) => {
  for (const { name, damage, least } of damages) {
    await t.test(
      `${name}: it is set aside and told of, what can be read is delivered, new mail is served`,
      async (t) => {
        await using first = await startServer({ control: { concurrencylocal: "0\n" } });
        const { acknowledged } = await sendLoad(first.smtpPort, {
          messages,
          sessions: 4,
          forwardPath: () => "kept@localhost",
        });
        assert.equal(acknowledged.size, messages);
        assert.equal(await first.stop(), 0);
        damage(join(first.root, "queue/queue.sqlite"));
        rmSync(join(first.root, "control/concurrencylocal"));
        const second = await startServer({ root: first.root });
        try {
          const client = await SmtpClient.open(second.smtpPort);
          assert.match(await client.message("a@b.test", ["kept@localhost"], `X-Load: ${messages}\n\nnew\n`), /^250 /);
          client.close();
          await queueEmpty(second);
          const delivered = countDelivered(second, ["kept"]);
          t.diagnostic(`${delivered.size - 1} of ${messages} saved`);
          assert.equal(delivered.get(messages), 1, "the new message");
          assert.ok(delivered.size > least, "none was saved");
          assert.deepEqual(
            [...delivered].filter(([n, copies]) => !(n >= 0 && n <= messages) || copies > 1),
            [],
          );
          const aside = readdirSync(join(first.root, "queue")).filter((file) => file.includes("corrupt"));
          assert.notEqual(aside.length, 0, "set aside");
          assert.match(readFileSync(join(first.root, "log/current"), "latin1"), /"alert".*was damaged.*corrupt-/);
        } finally {
          await second.stop();
        }
      },
    );
  }
});
