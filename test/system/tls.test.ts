import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { makeSelfSigned } from "../../src/services/tls/self-signed.ts";
import { run } from "../support/commands.ts";
import { assertEndedOnce } from "../support/connections.ts";
import { without } from "../support/missing.ts";
import { mailboxOf, readMaildir, type Server, startServer, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

/** A whole server with the certificate it made for itself, and clients that check it. */
let server: Server;
let authority: string;
before(async () => {
  server = await startServer();
  authority = join(server.root, "tls/default/fullchain.pem");
});
after(() => server[Symbol.asyncDispose]());

const arrival = async (localPart: string): Promise<string> => {
  await until(`a message for ${localPart}`, () => readMaildir(mailboxOf(server, localPart)).length === 1);
  return readMaildir(mailboxOf(server, localPart))[0]?.text ?? "";
};

test("the fingerprint in the banner is that of the certificate", { skip: without("openssl") }, async () => {
  const shown = await run("openssl", ["x509", "-in", authority, "-noout", "-fingerprint", "-sha256"]);
  const [, fingerprint = "none"] = /Fingerprint=(\S+)/.exec(shown.stdout) ?? [];
  await until("the banner", () => server.output().includes(fingerprint));
});

test("openssl s_client: STARTTLS and implicit TLS, 1.2 and 1.3, verified", { skip: without("openssl") }, async () => {
  for (const version of ["-tls1_2", "-tls1_3"]) {
    for (const way of [
      ["-starttls", "smtp", "-connect", `127.0.0.1:${server.smtpPort}`],
      ["-connect", `127.0.0.1:${server.smtpsPort}`],
    ]) {
      const check = ["-CAfile", authority, "-verify_return_error", "-verify_hostname", "localhost", "-brief"];
      const met = await run("openssl", ["s_client", version, ...way, ...check], "QUIT\r\n");
      assert.equal(met.code, 0, met.stderr);
      assert.match(met.stderr, /Verification: OK/);
    }
  }
  const old = ["s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-connect", `127.0.0.1:${server.smtpsPort}`];
  assert.notEqual((await run("openssl", old)).code, 0);
});

const from = ["--from", "me@example.test", "--server", "127.0.0.1"];
for (const [name, options] of [
  ["starttls", () => ["--tls", "--port", String(server.smtpPort)]],
  ["submission", () => ["--tls", "--port", String(server.submissionPort)]],
  ["smtps", () => ["--tlsc", "--port", String(server.smtpsPort)]],
] as const) {
  test(`swaks: ${name}, and how the message came is in its Received line`, {
    skip: without("swaks", "perl:Net::SSLeay"),
  }, async () => {
    const verify = ["--tls-verify", "--tls-ca-path", authority];
    const to = ["--to", `swaks-${name}@localhost`];
    const sent = await run("swaks", [...from, ...options(), ...to, ...verify]);
    assert.equal(sent.code, 0, sent.stdout + sent.stderr);
    const text = await arrival(`swaks-${name}`);
    assert.match(text, /\n {2}by localhost with ESMTPS \(TLSv1\.3\)\n {2}tls TLS_[A-Z0-9_]+; /);
  });
}

test("Python's smtplib: STARTTLS and SMTPS with a context that checks", { skip: without("python3") }, async () => {
  const script = `
import smtplib, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[3])
with smtplib.SMTP("localhost", int(sys.argv[1])) as s:
    s.starttls(context=context)
    s.sendmail("p@example.test", ["py-starttls@localhost"], b"Subject: py\\r\\n\\r\\n")
with smtplib.SMTP_SSL("localhost", int(sys.argv[2]), context=context) as s:
    s.sendmail("p@example.test", ["py-smtps@localhost"], b"Subject: py\\r\\n\\r\\n" + b"x" * 70 * 20000)
`;
  const ran = await run("python3", ["-c", script, String(server.smtpPort), String(server.smtpsPort), authority]);
  assert.equal(ran.code, 0, ran.stderr);
  await arrival("py-starttls");
  assert.ok((await arrival("py-smtps")).length > 1_400_000);
});

test("the end of a session is said within TLS, for clients that are strict about it", {
  skip: without("python3"),
}, async () => {
  const script = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
    with context.wrap_socket(s, server_hostname="localhost", suppress_ragged_eofs=False) as t:
        t.recv(1000)
        t.send(b"QUIT\\r\\n")
        while t.recv(1000): pass
`;
  const ended = await run("python3", ["-c", script, String(server.smtpsPort), authority]);
  assert.equal(ended.code, 0, ended.stderr);
});

test("curl: smtp:// with --ssl-reqd, and smtps://", { skip: without("curl") }, async () => {
  for (const [url, to] of [
    [`smtp://localhost:${server.submissionPort}`, "curl-starttls"],
    [`smtps://localhost:${server.smtpsPort}`, "curl-smtps"],
  ] as const) {
    const mail = ["--mail-from", "c@example.test", "--mail-rcpt", `${to}@localhost`, "--upload-file", "-"];
    const sent = await run("curl", ["-sS", "--cacert", authority, "--ssl-reqd", ...mail, url], "Subject: curl\r\n\r\n");
    assert.equal(sent.code, 0, sent.stderr);
    await arrival(to);
  }
});

test("msmtp: STARTTLS and implicit TLS", { skip: without("msmtp") }, async () => {
  const common = [
    "--file=/dev/null",
    "--host=localhost",
    "--from=m@example.test",
    "--tls=on",
    `--tls-trust-file=${authority}`,
  ];
  for (const [options, to] of [
    [[`--port=${server.submissionPort}`, "--tls-starttls=on"], "msmtp-starttls"],
    [[`--port=${server.smtpsPort}`, "--tls-starttls=off"], "msmtp-smtps"],
  ] as const) {
    const sent = await run("msmtp", [...common, ...options, `${to}@localhost`], "Subject: msmtp\n\nx\n");
    assert.equal(sent.code, 0, sent.stderr);
    await arrival(to);
  }
});

/** The name of the certificate that is shown to who asks for `servername`. */
function shownFor(port: number, servername: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false }, () => {
    resolve(String(socket.getPeerCertificate().subject.CN));
    socket.destroy();
  });
  socket.on("error", reject);
  return promise;
}

test("a reload takes new certificates, keeps the old one for a broken one, and ends no session", async () => {
  const place = (name: string, names: readonly string[]): void => {
    const made = makeSelfSigned(names, Date.now());
    cpSync(join(server.root, "tls/default"), join(server.root, "tls", name), { recursive: true });
    writeFileSync(join(server.root, "tls", name, "fullchain.pem"), made.chain);
    writeFileSync(join(server.root, "tls", name, "privkey.pem"), made.key);
  };
  const session = await SmtpClient.open(server.smtpPort);
  assert.equal(await shownFor(server.smtpsPort, "one.example"), "localhost");
  place("one", ["one.example"]);
  assert.equal((await server.postern(["reload"])).code, 0);
  await until("the new certificate", async () => (await shownFor(server.smtpsPort, "one.example")) === "one.example");

  writeFileSync(join(server.root, "tls/one/privkey.pem"), "broken");
  place("two", ["two.example"]);
  const told = await server.postern(["reload"]);
  assert.notEqual(told.code, 0);
  assert.match(told.stderr, /tls\/one: .*cannot be read; what was there before is kept/);
  await until("the other one", async () => (await shownFor(server.smtpsPort, "two.example")) === "two.example");
  assert.equal(await shownFor(server.smtpsPort, "one.example"), "one.example");

  rmSync(join(server.root, "tls/one"), { recursive: true });
  assert.equal((await server.postern(["reload"])).code, 0);
  await until("its end", async () => (await shownFor(server.smtpsPort, "one.example")) === "localhost");
  assert.match(await session.command("NOOP"), /^250/);
  session.close();
});

test("what fails is in the log, once, with its reason", async () => {
  const client = await SmtpClient.open(server.smtpPort);
  await client.command("STARTTLS");
  client.send("EHLO in the clear\r\n");
  assert.equal(await client.reply(), "");
  const failures = (): readonly string[] =>
    readFileSync(join(server.root, "log/current"), "latin1")
      .split("\n")
      .filter((line) => line.includes('"tls failure"'));
  await until("the event", () => failures().some((line) => line.includes('"why":"wrong version number"')));
});

test("each connection, with TLS or without, ends once", () => assertEndedOnce(server, "smtpd", 5));
