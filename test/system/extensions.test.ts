/** SMTP's extensions and LMTP, with clients that others wrote. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { run } from "../support/commands.ts";
import { sendByExim } from "../support/exim.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { startPostfix } from "../support/postfix.ts";
import {
  freePort,
  mailboxOf,
  readMaildir,
  type Server,
  startServer,
  temporaryFolder,
  until,
} from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

let server: Server;
let lmtpPath: string;
let lmtpPort: number;
before(async () => {
  lmtpPath = join(temporaryFolder(), "lmtp");
  lmtpPort = await freePort();
  server = await startServer({
    control: {
      lmtplisten: `${lmtpPath}\n127.0.0.1:${lmtpPort}\n`,
      relayclients: "",
      mailboxdomains: "localhost:create\nfar.example:create\n",
    },
  });
});
after(async () => await server[Symbol.asyncDispose]());

async function arrival(localPart: string): Promise<string> {
  await until(`mail for ${localPart}`, () => readMaildir(mailboxOf(server, localPart)).length > 0);
  return readMaildir(mailboxOf(server, localPart))[0]?.text ?? "";
}

test("swaks: LMTP, a reply for each recipient, by socket and by TCP", { skip: without("swaks") }, async () => {
  const places = [
    ["--socket", lmtpPath],
    ["--server", `127.0.0.1:${lmtpPort}`],
  ];
  for (const [at, place] of places.entries()) {
    const to = `lmtp${at}a@localhost,no@elsewhere.example,lmtp${at}b@localhost`;
    const sent = await run("swaks", ["--protocol", "LMTP", ...place, "--from", "me@example.test", "--to", to]);
    assert.equal(sent.stdout.match(/^<- +250 2\.0\.0 ok \d+ qp \d+$/gm)?.length, 2, sent.stdout);
    assert.match(sent.stdout, /^<\*\* 550 5\.7\.1 /m);
    assert.match(await arrival(`lmtp${at}a`), /^ {2}by localhost with LMTP; /m);
    await arrival(`lmtp${at}b`);
  }
});

test("Postfix's lmtp client delivers to us, and bounces what we refuse", {
  skip: unlessRoot() || without("postfix"),
}, async () => {
  await using postfix = await startPostfix({ default_transport: `lmtp:unix:${lmtpPath}` });
  const client = await SmtpClient.open(postfix.port);
  const recipients = ["pfa@localhost", "no@else.example", "pfb@localhost"];
  assert.match(await client.message("pfs@localhost", recipients, "Subject: x\n\nfrom Postfix\n"), /^250/);
  await client.quit();
  for (const localPart of ["pfa", "pfb"]) assert.match(await arrival(localPart), /\n\nfrom Postfix\n$/);
  assert.match(await arrival("pfs"), /<no@else\.example>: host /);
  assert.equal(postfix.log().match(/status=sent \(250 2\.0\.0 ok \d+ qp \d+\)/g)?.length, 3, postfix.log());
});

test("Python's smtplib: SMTPUTF8 to a mailbox in other letters, DSN, and a domain in U-labels", {
  skip: without("python3"),
}, async () => {
  const script = `
import smtplib, sys
with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as s:
    s.ehlo()
    assert s.has_extn("smtputf8") and s.has_extn("dsn") and s.has_extn("chunking")
    body = "Subject: j\\u00f6rg\\r\\n\\r\\nbody\\r\\n".encode()
    utf8 = ["SMTPUTF8", "BODY=8BITMIME"]
    refused = s.sendmail("j\\u00f6rg@m\\u00fcller.example", ["j\\u00f6rg@localhost", "py@\\uff4cocalhost"], body, utf8)
    assert refused == {}
    refused = s.sendmail("me@example.test", ["pydsn@localhost"], body, ["RET=HDRS", "ENVID=id1"], ["NOTIFY=NEVER"])
    assert refused == {}
`;
  const sent = await run("python3", ["-c", script, String(server.smtpPort)]);
  assert.equal(sent.code, 0, sent.stderr);
  await until("its mailbox", () => readMaildir(mailboxOf(server, "jörg")).length === 1);
  const text = readMaildir(mailboxOf(server, "jörg"))[0]?.text ?? "";
  const octets = (some: string): string => Buffer.from(some).toString("latin1");
  assert.ok(text.startsWith(`Return-Path: <${octets("jörg")}@xn--mller-kva.example>\n`), text);
  assert.ok(text.includes(`Delivered-To: ${octets("jörg")}@localhost\n`), text);
  assert.match(text, /^ {2}by localhost with UTF8SMTP; /m);
  await arrival("py");
  await arrival("pydsn");
});

test("Postfix relays SMTPUTF8 and DSN wishes to us, over TLS that it verifies", {
  skip: unlessRoot() || without("postfix"),
}, async () => {
  await using postfix = await startPostfix({
    ...{ default_transport: `smtp:[127.0.0.1]:${server.smtpPort}`, smtputf8_enable: "yes" },
    ...{ smtp_tls_security_level: "secure", smtp_tls_secure_cert_match: "localhost", smtp_tls_loglevel: "1" },
    smtp_tls_CAfile: join(server.root, "tls/default/fullchain.pem"),
  });
  const client = await SmtpClient.open(postfix.port);
  await client.command("EHLO client.example");
  const octets = (some: string): string => Buffer.from(some).toString("latin1");
  for (const command of [
    "MAIL FROM:<pfu@localhost> SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=e1",
    `RCPT TO:<${octets("jürgen")}@localhost> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y`,
  ]) {
    assert.match(await client.command(command), /^250/);
  }
  assert.match(await client.command("DATA"), /^354/);
  client.send(octets("Subject: jürgen\r\n\r\nbody\r\n.\r\n"));
  assert.match(await client.reply(), /^250/);
  await client.quit();
  await until("its mailbox", () => readMaildir(mailboxOf(server, "jürgen")).length === 1);
  assert.match(
    readMaildir(mailboxOf(server, "jürgen"))[0]?.text ?? "",
    /^ {2}by localhost with UTF8SMTPS \(TLSv1\.3\)$/m,
  );
  assert.match(postfix.log(), /Verified TLS connection established to 127\.0\.0\.1/);
  const report = await arrival("pfu");
  assert.match(report, /^Original-Envelope-Id: e1$/m);
  assert.match(report, /^Original-Recipient: rfc822; x@y$/m);
  assert.match(report, /^Action: delivered$/m);
});

test("Exim sends by BDAT, in several chunks, over TLS that it verifies", {
  skip: unlessRoot() || without("exim"),
}, async () => {
  const authority = readFileSync(join(server.root, "tls/default/fullchain.pem"), "latin1");
  const body = ".\n..\nFrom a line\n.x\n".repeat(20_000);
  const log = await sendByExim(server.smtpPort, authority, {
    ...{ reversePath: "es@localhost", forwardPaths: ["exim1@localhost", "exim2@localhost", "no@else.example"] },
    text: `Subject: chunks\n\n${body}`,
  });
  // K: by BDAT.
  assert.equal(log.match(/ [=-]> exim[12]@localhost .* CV=yes K C="250 2\.0\.0 ok \d+ qp \d+"/g)?.length, 2, log);
  assert.doesNotMatch(log, /TLS error/);
  assert.match(log, /\*\* no@else\.example .*550 5\.7\.1/);
  for (const localPart of ["exim1", "exim2"]) {
    const text = await arrival(localPart);
    assert.ok(text.endsWith(`\nSubject: chunks\n\n${body}`) || text.endsWith(`\n\n${body}`));
    assert.match(text, /^ {2}by localhost with ESMTPS \(TLSv1\.3\)$/m);
  }
});

const everyOctet = String.fromCharCode(...Array.from({ length: 256 }, (_, octet) => octet));
const binaryMessage = `Subject: binary\r\nContent-Transfer-Encoding: binary\r\n\r\n${everyOctet}\n.\n\r\n.\r\nFrom x`;

async function sendBinary(port: number, forwardPath: string, message: Buffer): Promise<string> {
  const client = await SmtpClient.open(port);
  for (const command of [
    "EHLO client.example",
    "MAIL FROM:<bs@localhost> BODY=BINARYMIME",
    `RCPT TO:<${forwardPath}>`,
  ]) {
    assert.match(await client.command(command), /^250/);
  }
  client.send(`BDAT ${message.length} LAST\r\n`);
  client.send(message);
  const reply = await client.reply();
  await client.quit();
  return reply;
}

const mailOf = (localPart: string): string[] =>
  readMaildir(join(server.root, "mail/far.example", localPart, "Maildir")).map(({ text }) => text);

test("a binary message goes from server to server to a Maildir octet for octet, also by a forward, and is bounced as text", async () => {
  const control = { smtproutes: `far.example:127.0.0.1:${server.smtpPort}\n:127.0.0.1:1\n`, queuelifetime: "0\n" };
  await using first = await startServer({
    control,
    files: { "mail/localhost/forward/.qmail": "&bin2@far.example\n" },
  });
  const message = Buffer.from(binaryMessage, "latin1");
  for (const to of ["bin1@far.example", "forward@localhost", "x@nowhere.example"]) {
    assert.match(await sendBinary(first.smtpPort, to, message), /^250 2\.0\.0 ok/);
  }
  for (const localPart of ["bin1", "bin2"]) {
    await until(`mail for ${localPart}`, () => mailOf(localPart).length === 1);
    const text = mailOf(localPart)[0] ?? "";
    assert.ok(text.endsWith(`\r\n${binaryMessage}`), JSON.stringify(text));
    const header = text.slice(0, text.indexOf("Subject:"));
    assert.match(header, /^Return-Path: .*\nDelivered-To: .*\n(?:(?:Received|Delivered-To): .*\r\n(?: .*\r\n)*){2,4}$/);
  }
  await until("the bounce", () => readMaildir(mailboxOf(first, "bs")).length === 1);
  const bounce = readMaildir(mailboxOf(first, "bs"))[0]?.text ?? "";
  assert.match(bounce, /\nSubject: binary\nContent-Transfer-Encoding: binary\n/);
  assert.doesNotMatch(bounce, /[\0\r]/);
});

test("a binary message of 50 MB with one line costs no program its size in memory", async () => {
  const message = Buffer.concat([Buffer.from("Subject: long\r\n\r\n"), Buffer.alloc(50_000_000, "\0\xff", "latin1")]);
  assert.match(await sendBinary(server.smtpPort, "long@localhost", message), /^250/);
  const folder = join(mailboxOf(server, "long"), "new");
  await until("its delivery", () => existsSync(folder) && readdirSync(folder).length === 1);
  const stored = readFileSync(join(folder, readdirSync(folder)[0] ?? ""));
  assert.ok(stored.subarray(-message.length).equals(message));
  for (const { name: program, memoryKiB } of await server.status()) {
    assert.ok(memoryKiB < 150_000, `${program}: ${memoryKiB} KiB`);
  }
});
