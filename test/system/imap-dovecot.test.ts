import assert from "node:assert/strict";
import { chownSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type DovecotSite, startDovecotSite, systemHome, systemUser } from "../support/dovecot-site.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { until } from "../support/server.ts";

const skip = unlessRoot() || without("dovecot", "python3", "openssl", "ip");
const joe = "joe@example.org";
const tight = "tight@example.org";
const quotaOctets = 100_000;
let site: DovecotSite;
let appPasswords: Readonly<Record<string, string>> = {};

before(async () => {
  if (skip) return;
  site = await startDovecotSite({ loginfailuresperaddress: "3\n", checkpassword: "/usr/bin/checkpw\n" });
  const commands: readonly (readonly [args: readonly string[], input?: string])[] = [
    [["domain", "add", "example.org"]],
    [["user", "add", joe], "secret\n"],
    [["user", "add", tight, "--quota", String(quotaOctets)], "secret\n"],
    [["user", "add", "gone@example.org"], "secret\n"],
    [["user", "set", "gone@example.org", "--disable"]],
    [["alias", "add", "info@example.org", joe]],
  ];
  for (const [args, input] of commands) await postern(args, input);
  for (const scope of ["imap", "pop3"]) {
    const words = (await postern(["app-password", "add", joe, scope, "--scope", scope])).trim().split(/\s+/);
    appPasswords = { ...appPasswords, [scope]: words.at(-1) ?? "" };
  }
});
after(() => site?.[Symbol.asyncDispose]());

async function postern(args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await site.postern(args, input);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** Python's own libraries as the clients; what the script leaves in `result` comes back. */
async function python(script: string): Promise<unknown> {
  const lines = ["import imaplib, poplib, smtplib, ssl, json", "result = None"];
  const tls = "tls = ssl._create_unverified_context()";
  const { code, stdout, stderr } = await site.run(
    "python3",
    ["-"],
    [...lines, tls, script, "print(json.dumps(result))"].join("\n"),
  );
  assert.equal(code, 0, `${stderr}\n${site.log()}`);
  return JSON.parse(stdout);
}
const imap = (user: string, password: string, script: string): Promise<unknown> =>
  python(`c = imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=tls)\nc.login("${user}", "${password}")\n${script}`);

/** The reply to RCPT, or to the whole message. */
const send = (to: string, subject: string, octets = 10): Promise<unknown> =>
  python(
    [
      's = smtplib.SMTP("127.0.0.1", 25); s.ehlo("client.example"); s.mail("a@far.example")',
      `result = s.rcpt("${to}")[0]`,
      `if result == 250: result = s.data("Subject: ${subject}\\n\\n" + "${"x".repeat(60)}\\n" * ${Math.ceil(octets / 60)})[0]`,
      "s.quit()",
    ].join("\n"),
  );

const maildirOf = (user: string): string =>
  join(site.root, "var/lib/postern/mail/example.org", user.slice(0, user.indexOf("@")), "Maildir");
const countIn = (user: string, part: string): number => {
  const folder = join(maildirOf(user), part);
  return existsSync(folder) ? readdirSync(folder).length : 0;
};
async function deliver(to: string, subject: string, octets?: number): Promise<void> {
  const before = countIn(to, "new");
  assert.equal(await send(to, subject, octets), 250);
  await until("the delivery", () => countIn(to, "new") === before + 1);
}

const logins: readonly (readonly [name: string, user: string, password: () => string, isRight: boolean])[] = [
  ["the right password", joe, () => "secret", true],
  ["the right password and the name in capitals", "Joe@Example.ORG", () => "secret", true],
  ["a wrong password", joe, () => "Secret", false],
  ["an app password for IMAP", joe, () => appPasswords.imap ?? "", true],
  ["an app password for POP3", joe, () => appPasswords.pop3 ?? "", false],
  ["a disabled account", "gone@example.org", () => "secret", false],
  ["an alias", "info@example.org", () => "secret", false],
  ["an extension", "joe-x@example.org", () => "secret", false],
  ["nobody", "nobody@example.org", () => "secret", false],
  ["no domain", "joe", () => "secret", false],
];
for (const [name, user, password, isRight] of logins) {
  test(`Dovecot asks Postern: ${name} ${isRight ? "opens the mailbox" : "opens nothing"}`, { skip }, async () => {
    const script = [
      'c = imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=tls)',
      `try: result = c.login("${user}", "${password()}")[0]`,
      "except imaplib.IMAP4.error as e: result = str(e)",
    ].join("\n");
    const answer = await python(script);
    if (isRight) assert.equal(answer, "OK");
    else assert.match(String(answer), /AUTHENTICATIONFAILED/);
  });
}

test("Dovecot says which address a client has, and the log has it with every login", { skip }, async () => {
  await imap(joe, "secret", "c.logout()");
  const log = readFileSync(join(site.root, "var/log/postern/current"), "utf8");
  const events = log.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
  const [login] = events.filter(({ event }) => event === "login").slice(-1);
  assert.equal(login.service, "imap");
  assert.equal(login.account, joe);
  assert.equal(login.address, "127.0.0.1");
  assert.doesNotMatch(log, /secret/);
  assert.doesNotMatch(site.log(), /secret/);
});

test("only root and the group postern-auth may ask", { skip }, async () => {
  const script = `printf '${joe}\\0secret\\0\\0' | setpriv --reuid 65534 --regid 65534 $0 /usr/bin/postern-checkpassword /bin/true 3<&0`;
  const as = async (groups: string) => await site.run("sh", ["-c", script, groups]);
  assert.equal((await as("--clear-groups")).code, 111);
  const script2 = script.replace("$0", `--groups ${site.uidOf("postern-auth")}`);
  assert.equal((await site.run("sh", ["-c", script2])).code, 0);
});

/** As Dovecot would start it, or tcpserver: the input on descriptor 3, and what the program says. */
const check = (input: string, command: string, environment = "") =>
  site.run("sh", ["-c", `printf '${input}' | env ${environment} /usr/bin/postern-checkpassword ${command} 3<&0`]);

const exits: readonly (readonly [name: string, input: string, environment: string, code: number])[] = [
  ["the right password", `${joe}\\0secret\\0Y1\\0`, "ORIG_UID=0", 0],
  ["a wrong one", `${joe}\\0Secret\\0\\0`, "", 1],
  ["no password", `${joe}\\0\\0\\0`, "", 1],
  ["a name that does not end", joe, "", 2],
  ["an account that Dovecot looks for", `${joe}\\0\\0\\0`, "AUTHORIZED=1 ORIG_UID=0", 0],
  ["an account Dovecot does not find", "ann@example.org\\0\\0\\0", "AUTHORIZED=1 ORIG_UID=0", 3],
  ["no password and AUTHORIZED, from somebody else", `${joe}\\0\\0\\0`, "AUTHORIZED=1", 1],
  ["a password with Dovecot's AUTHORIZED", `${joe}\\0Secret\\0\\0`, "AUTHORIZED=1", 1],
  ["a server that is not there", `${joe}\\0secret\\0\\0`, "POSTERN_ROOT=/nowhere", 111],
];
for (const [name, input, environment, code] of exits) {
  test(`postern-checkpassword exits ${code} for ${name}`, { skip }, async () => {
    const ran = await check(input, "/bin/true", environment);
    assert.equal(ran.code, code, ran.stderr);
  });
}

test("started by root, postern-checkpassword becomes the mailbox's user, in its home", { skip }, async () => {
  const user = "home@example.org";
  await postern(["user", "add", user], "secret\n");
  await deliver(user, "a home");
  const ran = await check(`${user}\\0secret\\0\\0`, "sh -c 'id -u; id -G; pwd; echo $USER $HOME; ls /proc/self/fd'");
  const mail = site.uidOf("postern-mail");
  const home = "/var/lib/postern/mail/example.org/home";
  // Beside the three it was given, ls has its own.
  assert.deepEqual(ran.stdout.split("\n"), [`${mail}`, `${mail}`, home, `${user} ${home}`, "0", "1", "2", "3", ""]);
});

test("who guesses through Dovecot is shut out by the address that Dovecot names", { skip }, async () => {
  const from = (address: string, password: string) =>
    check(`${joe}\\0${password}\\0\\0`, "/bin/true", `ORIG_UID=0 TCPREMOTEIP=${address}`);
  for (let times = 0; times < 3; times++) assert.equal((await from("192.0.2.1", "wrong")).code, 1);
  assert.equal((await from("192.0.2.1", "secret")).code, 111, "not even looked at");
  assert.equal((await from("198.51.100.1", "secret")).code, 0);
});

test("doveadm finds an account without its password, and nobody else", { skip }, async () => {
  const found = await site.run("doveadm", ["user", joe]);
  assert.match(found.stdout, new RegExp(`uid\\t${site.uidOf("postern-mail")}\\n`));
  assert.match(found.stdout, /home\t\/var\/lib\/postern\/mail\/example\.org\/joe\n/);
  for (const user of ["nobody@example.org", "info@example.org"]) {
    const { code, stdout, stderr } = await site.run("doveadm", ["user", user]);
    assert.equal(code, 67, stdout + stderr); // EX_NOUSER
  }
});

test("a mailbox that had no mail yet is made by either: IMAP first, then delivery", { skip }, async () => {
  await postern(["user", "add", "new@example.org"], "secret\n");
  assert.deepEqual(await imap("new@example.org", "secret", 'result = str(c.select()[1][0], "ascii")'), "0");
  await deliver("new@example.org", "first");
  assert.deepEqual(await imap("new@example.org", "secret", 'result = str(c.select()[1][0], "ascii")'), "1");
  assert.equal(statSync(maildirOf("new@example.org")).uid, site.uidOf("postern-mail"));
});

test("IMAP reads what Postern delivers; flags change file names, and POP3 knows the messages still", {
  skip,
}, async () => {
  await deliver(joe, "by Postern");
  const uidl = () =>
    python(
      `p = poplib.POP3_SSL("127.0.0.1", 995, context=tls); p.user("${joe}"); p.pass_("secret")\n` +
        'result = [str(line, "ascii") for line in p.uidl()[1]]\np.quit()',
    );
  const before = await uidl();
  const script = [
    "c.select()",
    'c.store("1", "+FLAGS", "(\\\\Flagged \\\\Answered)")',
    'result = str(c.fetch("1", "(BODY[])")[1][0][1], "ascii")',
    "c.logout()",
  ].join("\n");
  assert.match(String(await imap(joe, "secret", script)), /^Return-Path: [\s\S]*\r\nSubject: by Postern\r\n\r\nx+\r\n/);
  const [name = ""] = readdirSync(join(maildirOf(joe), "cur"));
  assert.match(name, /:2,FRS$/);
  assert.deepEqual(await uidl(), before);
  assert.equal((before as string[]).length, 1);
  assert.ok(String(before).endsWith(` ${name.slice(0, name.indexOf(":"))}`), "the unique-id is the name");
});

test("a user of the system logs in by a checkpassword of Debian's, and has the Maildir of the home", {
  skip: skip || without("checkpw"),
}, async () => {
  const home = join(site.root, systemHome);
  const file = join(home, "Maildir/.password");
  writeFileSync(file, "old secret\n", { mode: 0o600 });
  chownSync(file, site.uidOf(systemUser), site.uidOf(systemUser));
  assert.equal(await send(`${systemUser}@mail.example.org`, "to the system"), 250);
  await until("the delivery", () => readdirSync(join(home, "Maildir/new")).length === 1);
  const subject = 'c.select(); result = c.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1].decode()';
  assert.match(String(await imap(systemUser, "old secret", subject)), /^Subject: to the system\r\n/);
  assert.equal(statSync(join(home, "Maildir/dovecot-uidlist")).uid, site.uidOf(systemUser));
  await assert.rejects(imap(systemUser, "new secret", ""), /AUTHENTICATIONFAILED/);
  const pop = (password: string) =>
    python(
      `p = poplib.POP3_SSL("127.0.0.1", 995, context=tls); p.user("${systemUser}")\n` +
        `try: result = p.pass_("${password}").decode() and p.stat()[0]\nexcept poplib.error_proto as e: result = str(e)`,
    );
  assert.equal(await pop("old secret"), 1);
  assert.match(String(await pop("new secret")), /\[AUTH\]/);
});

test("what POP3 deletes is gone in IMAP, and the other way round", { skip }, async () => {
  const user = "both@example.org";
  await postern(["user", "add", user], "secret\n");
  for (const subject of ["one", "two"]) await deliver(user, subject);
  const left = await imap(
    user,
    "secret",
    'c.select(); c.store("1", "+FLAGS", "\\\\Deleted"); c.expunge(); result = c.search(None, "ALL")[1][0].decode()',
  );
  assert.equal(left, "1");
  const pop = `p = poplib.POP3_SSL("127.0.0.1", 995, context=tls); p.user("${user}"); p.pass_("secret")\nresult = p.stat()[0]; p.dele(1); p.quit()`;
  assert.equal(await python(pop), 1);
  assert.equal(await imap(user, "secret", 'result = str(c.select()[1][0], "ascii")'), "0");
});

/** A message of so many octets, without a line end: IMAP and the file count those differently. */
const append = (octets: number): string => `c.append("Sent", None, None, b"y" * ${octets})`;

test("one quota: what IMAP appends counts at RCPT, what is delivered counts in IMAP", { skip }, async () => {
  const sizeFile = (): string => readFileSync(join(maildirOf(tight), "maildirsize"), "latin1");
  /** What the file says is in there. */
  const used = (): number => {
    const [limit, ...lines] = sizeFile().trim().split("\n");
    assert.equal(limit, `${quotaOctets}S`);
    return lines.reduce((sum, line) => sum + Number(line.split(" ")[0]), 0);
  };
  const rcpt = async (): Promise<unknown> => {
    await postern(["reload"]); // what was known of recipients is forgotten
    return await send(tight, "small", 10);
  };
  await deliver(tight, "delivered", 30_000);
  const [name = ""] = readdirSync(join(maildirOf(tight), "new"));
  const { size } = statSync(join(maildirOf(tight), "new", name));
  const root = await imap(tight, "secret", 'result = str(c.getquotaroot("INBOX")[1][1][0], "ascii")');
  const kib = (octets: number): number => Math.ceil(octets / 1_024);
  assert.match(String(root), new RegExp(`STORAGE ${kib(size)} ${kib(quotaOctets)}`));
  assert.equal(used(), size);
  const tooMuch = await imap(tight, "secret", `result = ${append(quotaOctets - size + 100)}[1][0].decode()`);
  assert.match(String(tooMuch), /OVERQUOTA/);
  assert.equal(await imap(tight, "secret", `result = ${append(quotaOctets - size)}[0]`), "OK");
  assert.equal(used(), quotaOctets);
  assert.equal(await rcpt(), 452);
  const emptied = 'c.select("Sent"); c.store("1:*", "+FLAGS", "\\\\Deleted"); result = c.expunge()[0]';
  assert.equal(await imap(tight, "secret", emptied), "OK");
  assert.equal(used(), size);
  assert.equal(await rcpt(), 250);
});

test("while Postern is stopped Dovecot lets nobody in, and tells it is not the password", { skip }, async () => {
  await postern(["stop"]);
  const script = [
    'c = imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=tls)',
    `try: result = c.login("${joe}", "secret")[0]`,
    "except imaplib.IMAP4.error as e: result = str(e)",
  ].join("\n");
  assert.match(String(await python(script)), /\[UNAVAILABLE\] Temporary authentication failure/);
});
