/** A real Postfix behind us, before us, and beside us. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { unlessRoot, without } from "../support/missing.ts";
import { startPostfix } from "../support/postfix.ts";
import { mailboxOf, readMaildir, type Server, startServer, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

const skip = unlessRoot() || without("postfix");

const all = Array.from({ length: 256 }, (_, octet) => octet);
const octets = String.fromCharCode(...all.filter((octet) => ![0, 10, 13].includes(octet)));

/** Bodies that a mail server could spoil. */
const bodies: Readonly<Record<string, string>> = {
  dots: ".\n..\n.x\n...\n\n.\n",
  empty: "",
  "every octet but NUL, CR and LF": `${octets}\n`,
  "the longest lines that RFC 5321 allows": `${"x".repeat(998)}\n${".".repeat(998)}\n`,
  "lines of 5000 octets": `${"y".repeat(5_000)}\n.${"z".repeat(5_000)}\n`,
  "no white space at all": `${"\n".repeat(50)}end\n`,
  "a megabyte": `${"0123456789abcde\n".repeat(65_536)}`,
};
const subjects = Object.keys(bodies);
const bodyOf = (text: string): string => text.slice(text.indexOf("\n\n") + 2);
const subjectOf = (text: string): string => /^Subject: (.*)$/m.exec(text)?.[1] ?? "";
const originalOf = (text: string): string => /^X-Original-To: (.*)$/m.exec(text)?.[1] ?? "";

async function sendAll(port: number, forwardPath: string): Promise<void> {
  const client = await SmtpClient.open(port);
  assert.match(await client.command("EHLO client.example"), /^250/);
  for (const [subject, body] of Object.entries(bodies)) {
    assert.match(await client.message("s@localhost", [forwardPath], `Subject: ${subject}\n\n${body}`), /^250/);
  }
  await client.quit();
}

function assertWhole(texts: readonly string[]): void {
  assert.deepEqual(texts.map(subjectOf).sort(), subjects.toSorted());
  for (const text of texts) {
    const subject = subjectOf(text);
    assert.ok(bodyOf(text) === bodies[subject], `${subject}: ${bodyOf(text).slice(0, 300)}`);
  }
}

const mailOf = (server: Server, localPart: string): readonly string[] =>
  readMaildir(mailboxOf(server, localPart)).map(({ text }) => text);

test("Postfix takes our mail: whole, each recipient once, and what it refuses we bounce", { skip }, async () => {
  const strict = { mynetworks: "192.0.2.1", smtpd_relay_restrictions: "reject_unauth_destination" };
  await using postfix = await startPostfix(strict);
  await using server = await startServer({ control: { smtproutes: `:127.0.0.1:${postfix.port}\n` } });
  await sendAll(server.smtpPort, "u@postfix.example");
  const recipients = Array.from({ length: 250 }, (_, n) => `many-${n}@postfix.example`);
  const client = await SmtpClient.open(server.smtpPort);
  assert.match(await client.message("s@localhost", recipients, "Subject: many\n\nbody\n"), /^250/);
  const refused = ["u@refused.example", "last@postfix.example"];
  assert.match(await client.message("s@localhost", refused, "Subject: one is refused\n\nbody\n"), /^250/);
  await client.quit();

  const expected = subjects.length + recipients.length + 1;
  await until("its deliveries", () => postfix.delivered().length >= expected && mailOf(server, "s").length >= 1);
  const delivered = postfix.delivered();
  assertWhole(delivered.filter((text) => originalOf(text) === "u@postfix.example"));
  const many = delivered.filter((text) => subjectOf(text) === "many");
  assert.deepEqual(many.map(originalOf).sort(), recipients.toSorted());
  assert.equal(delivered.length, expected);
  const [bounce = "", ...more] = mailOf(server, "s");
  assert.deepEqual(more, []);
  assert.match(bounce, /^Return-Path: <>\n/);
  assert.match(
    bounce,
    /<u@refused\.example>:\n.*\nRemote host said: 554 5\.7\.1 <u@refused\.example>: Relay access denied/,
  );
});

test("we take Postfix's mail: whole, each recipient once, and its bounce", { skip }, async () => {
  await using server = await startServer({ control: { relayclients: "" } });
  const route = `smtp:[127.0.0.1]:${server.smtpPort}`;
  await using postfix = await startPostfix({ default_transport: route, smtp_line_length_limit: "0" });
  await sendAll(postfix.port, "u@localhost");
  const recipients = Array.from({ length: 120 }, (_, n) => `many-${n}@localhost`);
  const client = await SmtpClient.open(postfix.port);
  assert.match(await client.message("s@localhost", recipients, "Subject: many\n\nbody\n"), /^250/);
  assert.match(await client.message("s@localhost", ["u@else.example"], "Subject: not for us\n\nbody\n"), /^250/);
  await client.quit();
  await until("all deliveries", () => {
    const many = recipients.every((recipient) => mailOf(server, recipient.replace("@localhost", "")).length === 1);
    return many && mailOf(server, "u").length === subjects.length && mailOf(server, "s").length === 1;
  });
  assertWhole(mailOf(server, "u"));
  assert.match(mailOf(server, "s")[0] ?? "", /^Return-Path: <>\n[\s\S]*<u@else\.example>: host 127\.0\.0\.1/);
});

test("what Postfix does with XVERP is what a client has to expect", { skip }, async (t) => {
  await using postfix = await startPostfix({ smtpd_authorized_verp_clients: "127.0.0.1" });
  const client = await SmtpClient.open(postfix.port);
  assert.match(await client.command("EHLO client.example"), /^250[- ]XVERP$/m);
  const answers = [
    ["<list@far.example> XVERP", /^250 /],
    ["<list@far.example> SIZE=100 XVERP=-= BODY=8BITMIME", /^250 /],
    ["<list@far.example> XVERP=#=", /^501 5\.5\.4 /],
    ["<list@far.example> XVERP=+", /^501 5\.5\.4 /],
    ["<> XVERP", /^503 5\.5\.4 /],
  ] as const;
  for (const [path, answer] of answers) {
    await t.test(`MAIL FROM:${path}`, async () => {
      assert.match(await client.command(`MAIL FROM:${path}`), answer);
      assert.match(await client.command("RSET"), /^250/);
    });
  }
  const expanded = [
    ["XVERP", "Return-Path: <list+a+b=postfix.example@far.example>"],
    ["XVERP=-=", "Return-Path: <list-a+b=postfix.example@far.example>"],
  ] as const;
  for (const [parameter, returnPath] of expanded) {
    await t.test(`it delivers with ${returnPath}`, async () => {
      const before = postfix.delivered().length;
      for (const command of [`MAIL FROM:<list@far.example> ${parameter}`, "RCPT TO:<a+b@postfix.example>"])
        assert.match(await client.command(command), /^250/);
      assert.match(await client.command("DATA"), /^354/);
      client.send(`Subject: ${parameter}\r\n\r\n.\r\n`);
      assert.match(await client.reply(), /^250/);
      await until("delivery", () => postfix.delivered().length > before);
      assert.equal(
        postfix
          .delivered()
          .find((text) => subjectOf(text) === parameter)
          ?.split("\n")[0],
        returnPath,
      );
    });
  }
  await client.quit();
});

test("§17.226 recipients with VERP go to Postfix together once it has offered XVERP, and each gets its own sender", {
  skip,
}, async () => {
  await using postfix = await startPostfix({ smtpd_authorized_verp_clients: "127.0.0.1" });
  const control = { smtproutes: `:127.0.0.1:${postfix.port}\n`, concurrencydestination: "1" };
  await using server = await startServer({ control });
  const recipients = Array.from({ length: 30 }, (_, n) => `u${n}@postfix.example`);
  const client = await SmtpClient.open(server.smtpPort);
  assert.match(await client.command("EHLO client.example"), /XVERP/);
  for (const command of ["MAIL FROM:<list@far.example> XVERP=-=", ...recipients.map((to) => `RCPT TO:<${to}>`)]) {
    assert.match(await client.command(command), /^250/);
  }
  assert.match(await client.command("DATA"), /^354/);
  client.send("Subject: list\r\n\r\nbody\r\n.\r\n");
  assert.match(await client.reply(), /^250/);
  await client.quit();
  await until("its deliveries", () => postfix.delivered().length >= recipients.length);
  const senders = postfix.delivered().map((text) => /^Return-Path: <(.*)>\n/.exec(text)?.[1]);
  const expected = recipients.map((recipient) => `list-${recipient.replace("@", "=")}@far.example`);
  assert.deepEqual(senders.toSorted(), expected.toSorted());
  const transactions = postfix.log().match(/postfix\/cleanup\[\d+\]: \w+: message-id=/g) ?? [];
  assert.equal(transactions.length, 2);
});
