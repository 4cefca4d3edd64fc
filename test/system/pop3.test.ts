import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Talk } from "../dialogues/talk.ts";
import { writeAccounts } from "../support/accounts.ts";
import { assertEndedOnce } from "../support/connections.ts";
import { without } from "../support/missing.ts";
import { freePort, runPostern, type Server, startServer, temporaryFolder, until } from "../support/server.ts";

const root = temporaryFolder();
const home = mkdtempSync(join(tmpdir(), "postern-client-"));
const [port, tlsPort] = [await freePort(), await freePort()];
const joe = "joe@mail.test";
let server: Server;

before(async () => {
  await writeAccounts(root, [
    [joe, "secret"],
    ["ann@mail.test", "other", 2_000],
    ["new@mail.test", "fresh"],
  ]);
  server = await startServer({
    folder: root,
    control: {
      mailboxdomains: "mail.test:accounts\n",
      pop3listen: `127.0.0.1:${port}\n`,
      pop3slisten: `127.0.0.1:${tlsPort}\n`,
      keeppasswords: "1\n",
      apop: "1\n",
    },
  });
});
after(async () => {
  await server?.stop();
  rmSync(root, { recursive: true, force: true });
  rmSync(home, { recursive: true, force: true });
});

const maildir = (name = "joe") => join(root, "mail/mail.test", name, "Maildir");
const count = (part: string, name?: string) => readdirSync(join(maildir(name), part)).length;
const body = (text: string) => `Subject: ${text}\n\n.a line with a dot\n${text}\n`;

const send = (to: string, text: string) => runPostern(["sendmail", to], text, { ...process.env, POSTERN_ROOT: root });

/** A message of its own for each test, in an empty mailbox. */
async function deliver(text: string, to = joe): Promise<void> {
  const name = to.slice(0, to.indexOf("@"));
  for (const part of ["new", "cur"]) {
    try {
      for (const file of readdirSync(join(maildir(name), part))) rmSync(join(maildir(name), part, file));
    } catch {} // nobody has written to it yet
  }
  const sent = await send(to, body(text));
  assert.equal(sent.code, 0, sent.stderr);
  await until("the message is there", () => {
    try {
      return count("new", name) === 1;
    } catch {
      return false;
    }
  });
}

interface Ran {
  readonly code: number;
  readonly output: string;
}
function run(command: string, args: readonly string[]): Promise<Ran> {
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const child = execFile(command, args, { env: { ...process.env, HOME: home }, timeout: 30_000 }, (_, out, err) =>
    resolve({ code: child.exitCode ?? -1, output: out + err }),
  );
  child.stdin?.end();
  return promise;
}

const poplib = (begin: string): string => `
import poplib, ssl, sys
insecure = ssl._create_unverified_context()
${begin}
p.user("${joe}")
p.pass_("secret")
number, octets = p.stat()
assert number == 1, number
assert len(p.list()[1]) == 1 and len(p.uidl()[1]) == 1
lines = p.retr(1)[1]
assert b".a line with a dot" in lines, lines
assert p.top(1, 0)[1][-1] == b""
p.dele(1)
p.quit()
`;

test("Python's poplib reads and deletes by STLS, and by POP3S", { skip: without("python3") }, async () => {
  const begins = [
    `p = poplib.POP3("127.0.0.1", ${port}); assert "STLS" in p.capa(); p.stls(insecure)`,
    `p = poplib.POP3_SSL("127.0.0.1", ${tlsPort}, context=insecure)`,
  ];
  for (const [at, begin] of begins.entries()) {
    await deliver(`poplib ${at}`);
    const ran = await run("python3", ["-c", poplib(begin)]);
    assert.equal(ran.code, 0, ran.output);
    assert.deepEqual([count("new"), count("cur")], [0, 0]);
  }
});

test("a mailbox that is put back from a backup is read at once", { skip: without("python3") }, async () => {
  await deliver("kept");
  cpSync(maildir(), `${maildir()}.kept`, { recursive: true });
  const begin = `p = poplib.POP3_SSL("127.0.0.1", ${tlsPort}, context=insecure)`;
  assert.equal((await run("python3", ["-c", poplib(begin)])).code, 0);
  rmSync(maildir(), { recursive: true });
  renameSync(`${maildir()}.kept`, maildir());
  const again = await run("python3", ["-c", poplib(begin)]);
  assert.equal(again.code, 0, again.output);
});

test("Python's poplib is refused without TLS", { skip: without("python3") }, async () => {
  const ran = await run("python3", ["-c", poplib(`p = poplib.POP3("127.0.0.1", ${port})`)]);
  assert.match(ran.output, /no login without TLS/);
});

test("curl reads with TLS from the start, by SASL, and what it read is seen", { skip: without("curl") }, async () => {
  await deliver("curl pop3s");
  const user = ["--login-options", "AUTH=PLAIN", "-u", `${joe}:secret`];
  const ran = await run("curl", ["-sSk", ...user, `pop3s://127.0.0.1:${tlsPort}/1`]);
  assert.match(ran.output.replaceAll("\r", ""), /\n\.a line with a dot\ncurl /);
  assert.equal(readdirSync(join(maildir(), "cur")).filter((name) => name.endsWith(":2,S")).length, 1);
});

test("curl reads with STLS, with an initial response", { skip: without("curl") }, async () => {
  await deliver("curl stls");
  const ran = await run("curl", [
    "-sSk",
    "--ssl-reqd",
    "--sasl-ir",
    "-u",
    `${joe}:secret`,
    `pop3://127.0.0.1:${port}/1`,
  ]);
  assert.match(ran.output, /curl stls/);
});

test("fetchmail fetches all and hands it on", { skip: without("fetchmail") }, async () => {
  await deliver("fetchmail");
  const rc = join(home, "fetchmailrc");
  const got = join(home, "fetched");
  writeFileSync(
    rc,
    `poll 127.0.0.1 proto pop3 port ${tlsPort} user "${joe}" pass "secret" ssl no sslcertck mda "cat > ${got}"\n`,
    { mode: 0o600 },
  );
  chmodSync(home, 0o700);
  const ran = await run("fetchmail", ["-f", rc, "--nodetach", "--nosyslog", "--pidfile", join(home, "pid")]);
  assert.equal(ran.code, 0, ran.output);
  assert.match(readFileSync(got, "latin1"), /\n\.a line with a dot\nfetchmail/);
  assert.deepEqual([count("new"), count("cur")], [0, 0]);
});

for (const mechanism of ["plain", "scram-sha-256", "apop"]) {
  test(`mpop fetches with pipelining, logged in by ${mechanism}`, { skip: without("mpop") }, async () => {
    await deliver(`mpop ${mechanism}`);
    const rc = join(home, "mpoprc");
    const account = `account default\nhost 127.0.0.1\nport ${port}\nuser ${joe}\npassword secret\nauth ${mechanism}`;
    const tls = "tls on\ntls_starttls on\ntls_certcheck off";
    writeFileSync(rc, `${account}\n${tls}\ndelivery mbox ${home}/mbox\nuidls_file ${home}/uidls\n`, { mode: 0o600 });
    const ran = await run("mpop", ["-C", rc]);
    assert.equal(ran.code, 0, ran.output);
    assert.ok(readFileSync(join(home, "mbox"), "latin1").includes(`\n.a line with a dot\nmpop ${mechanism}\n`));
  });
}

test("getmail fetches and deletes, and checks our certificate", { skip: without("getmail") }, async () => {
  await deliver("getmail");
  const got = join(home, "got by getmail");
  const lines = [
    ...["[retriever]", "type = SimplePOP3SSLRetriever", "server = localhost", `port = ${tlsPort}`],
    ...[`username = ${joe}`, "password = secret", `ca_certs = ${join(root, "tls/default/fullchain.pem")}`],
    ...["[destination]", "type = MDA_external", "path = /bin/sh", "allow_root_commands = true"],
    ...[`arguments = ("-c", "cat > '${got}'")`, "[options]", "delete = true", ""],
  ];
  writeFileSync(join(home, "getmailrc"), lines.join("\n"));
  const ran = await run("getmail", ["--getmaildir", home, "--rcfile", "getmailrc"]);
  assert.equal(ran.code, 0, ran.output);
  assert.match(readFileSync(got, "latin1"), /\n\.a line with a dot\ngetmail\n/);
  assert.deepEqual([count("new"), count("cur")], [0, 0]);
});

for (const [scheme, mechanism] of [
  ["pop", "scram-sha-256"],
  ["pops", "user"],
] as const) {
  test(`mutt opens ${scheme}://, logged in by ${mechanism}, and moves what is there`, {
    skip: without("mutt", "script"),
  }, async () => {
    await deliver(`mutt ${scheme}`);
    const settings = [
      `set folder="${home}" mbox_type=mbox header_cache="" certificate_file="${root}/tls/default/fullchain.pem"`,
      `set pop_pass=secret pop_authenticators=${mechanism} ssl_starttls=yes ssl_force_tls=yes`,
      "set move=no delete=yes confirmappend=no confirmcreate=no quit=yes wait_key=no beep=no",
      `push "<save-message>=${scheme}<enter>q"`,
    ];
    writeFileSync(join(home, "muttrc"), settings.join("\n"));
    const box = `${scheme}://${joe.replace("@", "%40")}@localhost:${scheme === "pop" ? port : tlsPort}`;
    const mutt = `TERM=vt100 LINES=24 COLUMNS=80 mutt -n -F ${home}/muttrc -f ${box}`;
    const ran = await run("script", ["-qec", mutt, "/dev/null"]);
    assert.equal(ran.code, 0, ran.output);
    assert.match(readFileSync(join(home, scheme), "latin1"), new RegExp(`\n\\.a line with a dot\nmutt ${scheme}\n`));
    assert.deepEqual([count("new"), count("cur")], [0, 0]);
  });
}

test("openssl s_client shakes hands on both ports", { skip: without("openssl") }, async () => {
  for (const args of [
    ["-connect", `127.0.0.1:${tlsPort}`],
    ["-starttls", "pop3", "-connect", `127.0.0.1:${port}`],
  ]) {
    const ran = await run("openssl", ["s_client", ...args]);
    assert.match(ran.output, /TLSv1\.3/);
  }
});

async function login(user: string, password: string): Promise<{ talk: Talk; reply: string | undefined }> {
  const talk = await Talk.open(tlsPort);
  await talk.secure();
  await talk.line();
  talk.send(`USER ${user}\r\nPASS ${password}\r\n`);
  await talk.line();
  return { talk, reply: await talk.line() };
}

test("a wrong password and an unknown user are refused in the same words", async () => {
  const replies: (string | undefined)[] = [];
  for (const [user, password] of [
    [joe, "wrong"],
    ["nobody@mail.test", "secret"],
    ["joe", "secret"],
    ["../joe@mail.test", "secret"],
  ] as const) {
    const { talk, reply } = await login(user, password);
    replies.push(reply);
    assert.equal(await talk.line(), undefined, "the connection ends (§17.184)");
    talk.close();
  }
  assert.deepEqual([...new Set(replies)], ["-ERR [AUTH] authentication failed"]);
});

test("a mailbox that no message has come to is empty, and not any more when one has", async () => {
  const first = await login("new@mail.test", "fresh");
  first.talk.send("STAT\r\nQUIT\r\n");
  assert.deepEqual([first.reply, await first.talk.line()], ["+OK ", "+OK 0 0"]);
  first.talk.close();
  await deliver("first", "new@mail.test");
  const second = await login("new@mail.test", "fresh");
  second.talk.send("STAT\r\n");
  assert.match((await second.talk.line()) ?? "", /^\+OK 1 /);
  second.talk.close();
});

test("what a session has open in its process is one Maildir, and another mailbox is another process", async () => {
  await deliver("walls");
  const one = await login(joe, "secret");
  const other = await login("ann@mail.test", "other");
  assert.equal(other.reply, "+OK ");
  const sessions = (await server.status()).filter(({ name }) => name === "pop3session");
  assert.ok(sessions.length >= 2);
  for (const { talk } of [one, other]) talk.close();
});

test("the quota of an account holds, and POP3 gives its room back", async () => {
  await deliver("small", "ann@mail.test");
  const big = `Subject: big\n\n${"x".repeat(70).concat("\n").repeat(40)}`;
  await send("ann@mail.test", big);
  await until("it is put off", async () => /mailbox.is.full/i.test((await server.postern(["log"])).stdout));
  const { talk } = await login("ann@mail.test", "other");
  talk.send("DELE 1\r\nQUIT\r\n");
  assert.equal(await talk.line(), "+OK ");
  assert.equal(await talk.line(), "+OK ");
  assert.equal(await talk.line(), undefined);
  talk.close();
  assert.match(readFileSync(join(maildir("ann"), "maildirsize"), "latin1"), /^2000S\n(.*\n)*-[0-9]+ -1\n$/);
});

test("each connection, with TLS or without, ends once", () => assertEndedOnce(server, "pop3d", 3));
