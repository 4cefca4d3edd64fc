import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { writeAccounts } from "../support/accounts.ts";
import { run } from "../support/commands.ts";
import { without } from "../support/missing.ts";
import { type Server, startServer, temporaryFolder, until } from "../support/server.ts";
import { type SmtpPeer, startSmtpPeer } from "../support/smtp-peer.ts";

/** A server that lets nobody relay without a login, one account, and a server elsewhere that takes what it sends. */
let server: Server;
let peer: SmtpPeer;
let root: string;
let authority: string;
const account = "joe@mail.example";
const password = "correct horse";
before(async () => {
  root = temporaryFolder();
  await writeAccounts(root, [[account, password]]);
  peer = await startSmtpPeer();
  server = await startServer({
    folder: root,
    control: {
      relayclients: "",
      authmechanisms: "SCRAM-SHA-256-PLUS\nSCRAM-SHA-256\nPLAIN\nLOGIN\nCRAM-MD5\n",
      keeppasswords: "1\n",
      smtproutes: `:127.0.0.1:${peer.port}\n`,
    },
  });
  authority = join(root, "tls/default/fullchain.pem");
});
after(async () => {
  await server[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

const arrival = async (recipient: string): Promise<string> => {
  const find = () => peer.received.find(({ forwardPaths }) => forwardPaths.includes(recipient));
  await until(`a message for ${recipient}`, () => find() !== undefined);
  return find()?.body ?? "";
};

const common = ["--server", "127.0.0.1", "--from", account, "--auth-user", account];
for (const mechanism of ["PLAIN", "LOGIN", "CRAM-MD5"]) {
  const skip = without("swaks", "perl:Net::SSLeay", "perl:Digest::HMAC_MD5");
  test(`swaks: ${mechanism} behind STARTTLS and with TLS from the start`, { skip }, async () => {
    for (const [name, options] of [
      ["starttls", ["--tls", "--pipeline", "--port", String(server.submissionPort)]],
      ["smtps", ["--tlsc", "--port", String(server.smtpsPort)]],
    ] as const) {
      const to = `${mechanism.toLowerCase()}-${name}@far.example`;
      const sent = await run("swaks", [
        ...common,
        ...options,
        "--auth",
        mechanism,
        "--auth-password",
        password,
        "--to",
        to,
      ]);
      assert.equal(sent.code, 0, sent.stdout + sent.stderr);
      assert.match(await arrival(to), /\r?\n {2}by localhost with ESMTPSA \(TLSv1\.3\)\r?\n {2}tls TLS_/);
    }
  });
}

test("smtplib: a header is completed, and From is the account's own", { skip: without("python3") }, async () => {
  const script = `
import smtplib, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
user, password = sys.argv[3:5]
with smtplib.SMTP_SSL("localhost", int(sys.argv[1]), context=context) as s:
    s.login(user, password)
    s.sendmail(user, ["completed@far.example"], b"Subject: bare\\r\\n\\r\\ntext\\r\\n")
    try:
        s.sendmail(user, ["forged@far.example"], b"From: Boss <boss@mail.example>\\r\\n\\r\\ntext\\r\\n")
    except smtplib.SMTPDataError as e:
        print(e.smtp_code, e.smtp_error.decode())
`;
  const ran = await run("python3", ["-c", script, String(server.smtpsPort), authority, account, password]);
  assert.equal(ran.stdout, "554 5.7.1 you may not send as boss@mail.example\n", ran.stderr);
  const lines = (await arrival("completed@far.example")).split(/\r?\n/).slice(-6);
  assert.match(lines.join("\n"), /^Date: .*\nFrom: joe@mail\.example\nMessage-ID: <[^>]+@localhost>\n\ntext\n$/);
});

test("swaks: a wrong password, no password, and another's address", {
  skip: without("swaks", "perl:Net::SSLeay"),
}, async () => {
  const way = ["--tls", "--port", String(server.submissionPort), "--to", "no@far.example"];
  const wrong = await run("swaks", [...common, ...way, "--auth", "PLAIN", "--auth-password", "wrong"]);
  assert.equal(wrong.code, 28, wrong.stdout);
  assert.match(wrong.stdout, /535 5\.7\.8/);
  const none = await run("swaks", ["--server", "127.0.0.1", "--from", account, ...way]);
  assert.match(none.stdout, /530 5\.7\.0 AUTH first/);
  const spoof = ["--server", "127.0.0.1", "--from", "boss@mail.example", "--auth-user", account];
  const other = await run("swaks", [...spoof, ...way, "--auth", "PLAIN", "--auth-password", password]);
  assert.match(other.stdout, /553 5\.7\.1/);
  const clear = await run("swaks", [...common, ...way.slice(1), "--auth", "PLAIN", "--auth-password", password]);
  assert.equal(clear.code, 28);
  assert.doesNotMatch(clear.stdout, /AUTH/);
});

test("Python's smtplib logs in over STARTTLS and SMTPS", { skip: without("python3") }, async () => {
  const script = `
import smtplib, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[3])
user, password = sys.argv[4:6]
with smtplib.SMTP("localhost", int(sys.argv[1])) as s:
    s.starttls(context=context)
    s.login(user, password)
    s.sendmail(user, ["py-starttls@far.example"], b"Subject: py\\r\\n\\r\\n")
with smtplib.SMTP_SSL("localhost", int(sys.argv[2]), context=context) as s:
    s.login(user, password)
    s.sendmail(user, ["py-smtps@far.example"], b"Subject: py\\r\\n\\r\\n")
`;
  const ports = [String(server.submissionPort), String(server.smtpsPort)];
  const ran = await run("python3", ["-c", script, ...ports, authority, account, password]);
  assert.equal(ran.code, 0, ran.stderr);
  await arrival("py-starttls@far.example");
  await arrival("py-smtps@far.example");
});

test("curl logs in with each mechanism it has", { skip: without("curl") }, async () => {
  for (const mechanism of ["PLAIN", "LOGIN"]) {
    const to = `curl-${mechanism.toLowerCase()}@far.example`;
    const mail = ["--mail-from", account, "--mail-rcpt", to, "--upload-file", "-", "--user", `${account}:${password}`];
    const how = [
      "-sS",
      "--cacert",
      authority,
      "--login-options",
      `AUTH=${mechanism}`,
      `smtps://localhost:${server.smtpsPort}`,
    ];
    const sent = await run("curl", [...mail, ...how], "Subject: curl\r\n\r\n");
    assert.equal(sent.code, 0, sent.stderr);
    await arrival(to);
  }
});

test("msmtp logs in with SCRAM-SHA-256 and PLAIN", { skip: without("msmtp") }, async () => {
  const tls = ["--tls=on", `--tls-trust-file=${authority}`, `--port=${server.submissionPort}`, "--tls-starttls=on"];
  for (const mechanism of ["scram-sha-256", "plain"]) {
    const to = `msmtp-${mechanism}@far.example`;
    const who = [`--from=${account}`, `--user=${account}`, `--passwordeval=echo ${password}`, `--auth=${mechanism}`];
    const sent = await run("msmtp", ["--file=/dev/null", "--host=localhost", ...tls, ...who, to], "Subject: m\n\nx\n");
    assert.equal(sent.code, 0, sent.stderr);
    await arrival(to);
  }
});

for (const [name, scheme, mechanism] of [
  ["starttls", "smtp", "scram-sha-256"],
  ["tls", "smtps", "plain"],
] as const) {
  test(`mutt sends by ${scheme}:// with ${mechanism}`, { skip: without("mutt") }, async () => {
    const to = `mutt-${name}@far.example`;
    const url = `${scheme}://${account.replace("@", "%40")}@localhost:${name === "tls" ? server.smtpsPort : server.submissionPort}`;
    const settings = {
      ...{ smtp_url: url, smtp_pass: password, smtp_authenticators: mechanism, ssl_force_tls: "yes" },
      ...{ from: account, use_envelope_from: "yes", record: "", certificate_file: authority },
    };
    const set = Object.entries(settings).flatMap(([option, value]) => ["-e", `set ${option}="${value}"`]);
    const sent = await run("mutt", ["-n", "-F", "/dev/null", ...set, "-s", "mutt", "--", to], "Said with mutt.\n");
    assert.equal(sent.code, 0, sent.stdout + sent.stderr);
    assert.match(await arrival(to), /\nSaid with mutt\.\r?\n$/);
  });
}

test("the log has who logged in and never a password", () => {
  const log = readFileSync(join(root, "log/current"), "latin1");
  assert.match(log, /"event":"authenticated","connection":\d+,"account":"joe@mail\.example","mechanism":"PLAIN"/);
  const secrets = [
    password,
    Buffer.from(`\0${account}\0${password}`).toString("base64"),
    Buffer.from(password).toString("base64"),
  ];
  for (const secret of secrets) assert.ok(!log.includes(secret));
});
