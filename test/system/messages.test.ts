import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { mailboxOf, readMaildir, type Server, startServer, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

let server: Server;
before(async () => {
  server = await startServer();
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

/** Lines ended by LF, as the Maildir must show them below the lines we add. */
const kinds = [
  { name: "plain", text: "Subject: plain\n\nhello\n" },
  { name: "eight-bit", text: "Subject: \xe4\xf6\xfc\n\n\xff\xfe\x80 octets\n" },
  { name: "long-line", text: `Subject: long\n\n${"x".repeat(998)}\n${"y".repeat(998)}\n` },
  { name: "dots", text: "Subject: dots\n\n.\n..\n...\n.a\nb.\n.\n" },
  { name: "empty-body", text: "Subject: empty\n\n" },
  { name: "header-only", text: "Subject: no body at all\n" },
  { name: "no-header", text: "just a line\nand another\n" },
  { name: "nothing", text: "" },
  { name: "from-line", text: "Subject: from\n\nFrom here on\n>From there\n" },
  { name: "many-lines", text: `Subject: many\n\n${"\n".repeat(5_000)}` },
];

for (const { name, text } of kinds) {
  test(`a message of the kind "${name}" arrives byte for byte below the lines we add`, async () => {
    const client = await SmtpClient.open(server.smtpPort);
    assert.match(await client.command("EHLO client.test"), /^250/);
    assert.match(await client.message("a@example.test", [`${name}@localhost`], text), /^250 /);
    await client.quit();
    await until("its arrival", () => readMaildir(mailboxOf(server, name)).length === 1);
    const [arrived] = readMaildir(mailboxOf(server, name));
    const whole = arrived?.text ?? "";
    assert.ok(whole.endsWith(text), "the message stands at the end, unchanged");
    const added = whole.slice(0, whole.length - text.length);
    assert.match(added, /^Return-Path: <a@example\.test>\nDelivered-To: [^\n]+\nReceived: [^\n]+(\n[ \t][^\n]*)*\n$/);
  });
}

const refusals = [
  { name: "a NUL", body: "a\0b\r\n.\r\n" },
  { name: "a bare CR", body: "a\rb\r\n.\r\n" },
  { name: "a bare LF", body: "a\nb\r\n.\r\n" },
  { name: "LF dot LF", body: "a\n.\nMAIL FROM:<x@y>\r\n.\r\n" },
  { name: "LF dot CR LF", body: "a\n.\r\nMAIL FROM:<x@y>\r\n.\r\n" },
  { name: "CR dot CR", body: "a\r.\rMAIL FROM:<x@y>\r\n.\r\n" },
];

for (const { name, body } of refusals) {
  test(`DATA with ${name} is refused for good and the connection is closed`, async () => {
    const client = await SmtpClient.open(server.smtpPort);
    for (const line of ["EHLO c", "MAIL FROM:<a@b.test>", "RCPT TO:<refused@localhost>", "DATA"])
      await client.command(line);
    client.send(body);
    assert.match(await client.reply(), /^5\d\d 5\.6\./);
    assert.equal(await client.reply(), "");
    assert.deepEqual(readMaildir(mailboxOf(server, "refused")), []);
  });
}

test("50 MB arrive byte for byte", async () => {
  const line = `${"0123456789".repeat(7)}abcdefg\n`;
  const lines = 640_000;
  const client = await SmtpClient.open(server.smtpPort);
  for (const command of ["EHLO c", "MAIL FROM:<a@b.test>", "RCPT TO:<large@localhost>", "DATA"])
    await client.command(command);
  const piece = line.replace("\n", "\r\n").repeat(10_000);
  const sent = createHash("sha256");
  for (let n = 0; n < lines; n += 10_000) {
    sent.update(line.repeat(10_000));
    client.send(piece);
    await client.drained();
  }
  client.send(".\r\n");
  assert.match(await client.reply(), /^250 /);
  await client.quit();
  const folder = join(mailboxOf(server, "large"), "new");
  const arrived = (): string[] => {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  };
  await until("its arrival", () => arrived().length === 1);
  const path = join(folder, arrived()[0] ?? "");
  const start = statSync(path).size - lines * line.length;
  const received = createHash("sha256");
  for await (const chunk of createReadStream(path, { start })) received.update(chunk as Buffer);
  assert.equal(received.digest("hex"), sent.digest("hex"));
});
