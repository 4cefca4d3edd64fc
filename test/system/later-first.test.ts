/** Messages that are to wait (FUTURERELEASE, RFC 4865) and messages that go first (MT-PRIORITY, RFC 6710). */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { mailboxOf, readMaildir, type Server, startServer, temporaryFolder, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import { startSmtpPeer } from "../support/smtp-peer.ts";

/** The reply to MAIL, and the number of the message. */
async function send(server: Server, parameters: string, to: string): Promise<{ reply: string; id: string }> {
  const client = await SmtpClient.open(server.smtpPort);
  const offers = await client.command("EHLO client.example");
  assert.match(offers, /250-MT-PRIORITY\r?\n250-FUTURERELEASE 604800 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/);
  const reply = await client.command(`MAIL FROM:<s@localhost> ${parameters}`);
  await client.command(`RCPT TO:<${to}>`);
  await client.command("DATA");
  const taken = await client.command(`Subject: ${parameters}\r\n\r\nx\r\n.`);
  await client.quit();
  return { reply, id: /qp (\d+)/.exec(taken)?.[1] ?? "" };
}

const subjects = (server: Server, user: string): readonly (string | undefined)[] =>
  readMaildir(mailboxOf(server, user)).map(({ text }) => /^Subject: (.*)$/m.exec(text)?.[1]);

test("a held message waits, over a restart and whatever is retried, and one whose time has come is delivered", async (t) => {
  const root = temporaryFolder();
  t.after(() => rmSync(root, { recursive: true }));
  let held: { reply: string; id: string };
  let soon: { reply: string; id: string };
  {
    await using server = await startServer({ folder: root });
    held = await send(server, "HOLDFOR=86400", "u@localhost");
    soon = await send(server, "HOLDFOR=3", "u@localhost");
    const past = await send(server, "HOLDUNTIL=2020-01-01T00:00:00Z", "u@localhost");
    assert.match(`${held.reply} ${soon.reply} ${past.reply}`, /^250 .* 250 .* 250 /);
    assert.match((await send(server, "HOLDFOR=604801", "u@localhost")).reply, /^501 5\.5\.4/);
    await until("the one whose time was", () => subjects(server, "u").includes("HOLDUNTIL=2020-01-01T00:00:00Z"));
    await server.postern(["queue", "retry", "--all"]);
    assert.match((await server.postern(["queue", "show", held.id])).stdout, /not before \d{4}-/);
  }
  await using server = await startServer({ root });
  await server.postern(["queue", "retry", "--all"]);
  await until("the one for soon", () => subjects(server, "u").includes("HOLDFOR=3"));
  assert.equal(subjects(server, "u").length, 2);
  assert.match((await server.postern(["queue", "show", held.id])).stdout, /not before \d{4}-/);
  assert.equal((await server.postern(["queue", "delete", held.id])).code, 0);
});

test("the more important goes first, and its priority with it", async () => {
  await using peer = await startSmtpPeer({ extensions: ["PIPELINING", "MT-PRIORITY"] });
  await using server = await startServer({
    control: { concurrencyremote: "0\n", smtproutes: `:127.0.0.1:${peer.port}\n` },
  });
  for (const priority of [-5, 0, 2, 9]) {
    const { reply } = await send(server, `MT-PRIORITY=${priority}`, "u@far.example");
    assert.match(reply, priority === 9 ? /^250 2\.3\.6 the highest priority here is 4/ : /^250 2\.1\.0/);
  }
  writeFileSync(join(server.root, "control/concurrencyremote"), "1\n");
  assert.equal((await server.postern(["reload"])).code, 0);
  await until("all of them", () => peer.received.length === 4);
  assert.deepEqual(
    peer.lines.filter((line) => line.startsWith("MAIL")),
    [4, 2, 0, -5].map((priority) => `MAIL FROM:<s@localhost>${priority ? ` MT-PRIORITY=${priority}` : ""}`),
  );
});
