/** A real Dovecot as the store behind us, by LMTP: as docs/lmtp.md has it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bounces, handIn } from "../network/waiting.ts";
import { startDovecotStore } from "../support/dovecot-store.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { startServer, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

const users = ["one@store.example", "two@store.example"];

test("Dovecot keeps the mail of a domain in lmtproutes, each recipient by itself", {
  skip: unlessRoot() || without("dovecot"),
}, async () => {
  await using store = await startDovecotStore(users, ["full@store.example"]);
  await using server = await startServer({
    control: {
      rcpthosts: "localhost\nstore.example\n",
      relayclients: "",
      lmtproutes: `store.example:127.0.0.1:${store.port}\n`,
    },
  });
  const client = await SmtpClient.open(server.smtpPort);
  const body = `..dots\n.\n${"x".repeat(998)}\n\n`;
  const text = `Subject: for all of them\n\n${body}`;
  assert.match(await client.message("sender@localhost", [...users, "full@store.example"], text), /^250/);
  await client.quit();
  await until("two deliveries", () => users.every((user) => store.delivered(user).length === 1));
  for (const user of users) {
    const [kept = ""] = store.delivered(user);
    assert.equal(kept.slice(kept.indexOf("\n\n") + 2), body);
    assert.match(kept, /^Return-Path: <sender@localhost>$/m);
  }
  await until("the bounce of one", () => bounces(server).length === 1);
  const refused = /<full@store\.example>:\n.* failed after I sent the message\.\nRemote host said: 552 5\.2\.2/;
  assert.match(bounces(server)[0] ?? "", refused);
  assert.deepEqual(store.delivered("full@store.example"), []);

  const asking = await SmtpClient.open(server.smtpPort);
  await asking.command("EHLO x");
  await asking.command("MAIL FROM:<sender@localhost>");
  await asking.command("RCPT TO:<one@store.example> NOTIFY=SUCCESS");
  await asking.command("DATA");
  assert.match(await asking.command("Subject: x\r\n\r\nx\r\n."), /^250/);
  await asking.quit();
  await until("the report", () => bounces(server).some((text) => /^Action: delivered$/m.test(text)));

  await handIn(server, ["nobody@store.example"]);
  await until("the bounce of nobody", () => bounces(server).length === 3);
  assert.ok(bounces(server).some((text) => /<nobody@store\.example>:\n.*\nRemote host said: 550 5\.1\.1/.test(text)));
});
