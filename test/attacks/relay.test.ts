import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings } from "../../src/protocol/control/parse.ts";
import { createRouter } from "../../src/protocol/routing/router.ts";
import { openStage } from "../dialogues/stage.ts";
import { Talk } from "../dialogues/talk.ts";
import { mailboxOf, readMaildir, startServer, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import { startSmtpPeer } from "../support/smtp-peer.ts";
import { control, relayForms, utf8Forms } from "./relay-forms.ts";

test("the catalogue has at least sixty forms", () => assert.ok(relayForms.length >= 60));

test("RCPT takes what is for here and nothing else, and what is taken stays here", async (t) => {
  await using stage = await openStage(control);
  const settings = readSettings(new Map(Object.entries(control)));
  assert.ok(settings.kind === "done");
  const router = createRouter(settings.value);
  const forms = [
    ...relayForms.map((form) => ({ form, parameters: "" })),
    ...utf8Forms.map((form) => ({ form, parameters: " SMTPUTF8" })),
  ];
  for (const { form, parameters } of forms) {
    const [name, path, reply, queued = ""] = form;
    await t.test(`${name}${parameters}: ${reply}`, async () => {
      const before = stage.queue.messages.length;
      const talk = await Talk.open(stage.port);
      await talk.reply();
      await talk.ask("EHLO c.example");
      assert.match(await talk.ask(`MAIL FROM:<s@far.example>${parameters}`), /^250/);
      const answered = await talk.ask(`RCPT TO:${path}`);
      assert.match(answered, new RegExp(`^(${reply}) `));
      if (answered.startsWith("250")) {
        assert.match(await talk.ask("DATA"), /^354/);
        assert.match(await talk.ask("\r\n."), /^250/);
        const [accepted = ""] = stage.queue.messages.at(-1)?.forwardPaths ?? [];
        if (queued !== "") assert.ok(queued.split("|").includes(accepted) || queued === accepted, accepted);
        assert.equal(router.route(accepted.includes("@") ? accepted : `${accepted}@here.example`).channel, "local");
      }
      assert.equal(stage.queue.messages.length - before, answered.startsWith("250") ? 1 : 0);
      talk.close();
    });
  }
});

/** After MAIL FROM:. A spoofed sender is taken: it proves nothing and gets nothing. What is no address is not. */
const senders = [
  ["ours", "<root@here.example>", "250"],
  ["empty", "<>", "250"],
  ["double bounce", "<#@[]>", "250"],
  ["our literal", "<a@[127.0.0.1]>", "250"],
  ["route", "<@evil.example:a@b.example>", "250"],
  ["control character", "<a\x01@b.example>", "500"],
  ["NUL", "<a\0b@c.example>", "500"],
  ["header in quotes", '<"a\tb"@c.example>', "500"],
  ["8-bit", "<\xe4@b.example>", "501"],
  ["two addresses", "<a@b.example><c@d.example>", "501"],
  ["no domain", "<root>", "501"],
  ["missing", "", "501"],
  ["AUTH of another", "<a@b.example> AUTH=root@here.example", "555"],
  ["SMTPUTF8", "<\xc3\xa4@\xc3\xa4.example> SMTPUTF8", "250"],
  ["other letters without it", "<\xc3\xa4@b.example>", "553"],
  ["shell (CVE-2020-7247)", "<;sleep 66;@b.example>", "501"],
  ["VERP of a bounce", "<a-@b.example-@[]>", "501"],
] as const;
test("MAIL takes addresses and gives nobody more rights for them", async (t) => {
  await using stage = await openStage(control);
  for (const [name, path, reply] of senders) {
    await t.test(`${name}: ${reply}`, async () => {
      const talk = await Talk.open(stage.port);
      await talk.reply();
      await talk.ask("EHLO here.example");
      const answered = await talk.ask(`MAIL FROM:${path}`);
      assert.match(answered, new RegExp(`^${reply} `));
      if (reply === "250") assert.match(await talk.ask("RCPT TO:<a@evil.example>"), /^550 5\.7\.1/);
      talk.close();
    });
  }
});

test("a whole server, asked for all of them, hands not one to another host", { timeout: 120_000 }, async () => {
  await using peer = await startSmtpPeer();
  const smtproutes = `:127.0.0.1:${peer.port}\n`;
  await using server = await startServer({
    control: { ...control, smtproutes, mailboxdomains: "here.example:create" },
  });
  for (const [, path] of [...relayForms, ...utf8Forms]) {
    const client = await SmtpClient.open(server.smtpPort);
    await client.command("EHLO c.example");
    await client.command("MAIL FROM:<s@here.example> SMTPUTF8");
    const taken = (await client.command(`RCPT TO:${path}`)).startsWith("250");
    if (taken && (await client.command("DATA")).startsWith("354")) await client.command(`Subject: form\r\n\r\n.`);
    client.close();
  }
  const last = await SmtpClient.open(server.smtpPort);
  assert.match(await last.message("s@here.example", ["last@here.example"], "Subject: last\n\n"), /^250/);
  await last.quit();
  await until("the last message", () => readMaildir(`${server.root}/mail/here.example/last/Maildir`).length === 1);
  await until("an empty queue", async () => (await server.postern(["queue", "list", "--json"])).stdout === "");
  assert.deepEqual(peer.received, []);
  assert.equal(peer.connections, 0);
  assert.deepEqual(readMaildir(mailboxOf(server, "etc")), []);
});
