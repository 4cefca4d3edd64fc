import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeSelfSigned } from "../../src/services/tls/self-signed.ts";
import { openPop3Stage } from "../dialogues/pop3-stage.ts";
import { Talk } from "../dialogues/talk.ts";

const certificates = [{ name: "default", ...makeSelfSigned(["localhost"], Date.now()) }];
const messages = { "new/1700000001.a.mx": "Subject: private\n\nsecret words\n" };
const base64 = (text: string): string => Buffer.from(text, "latin1").toString("base64");
const user = "USER joe@localhost";
const right = base64("\0joe@localhost\0secret");

/** What a stranger says to get at joe's mail without his password, which is "secret". */
const bypasses: readonly (readonly [name: string, ...lines: readonly string[]])[] = [
  ["nothing"],
  ["PASS without USER", "PASS secret"],
  ["a wrong password", user, "PASS wrong"],
  ["an empty password", user, "PASS "],
  ["no password", user, "PASS"],
  ["the password in capitals", user, "PASS SECRET"],
  ["a blank behind the password", user, "PASS secret "],
  ["a blank before the password", user, "PASS  secret"],
  ["a NUL behind the password", user, "PASS secret\0"],
  ["a tab before the password", user, "PASS\tsecret"],
  ["a bare CR behind the password", user, "PASS secret\rx"],
  ["a NUL behind the user", "USER joe@localhost\0x", "PASS secret"],
  ["a blank behind the user", "USER joe@localhost ", "PASS secret"],
  ["another host's user", "USER joe@localhost.evil.example", "PASS secret"],
  ["a dot at the end", "USER joe@localhost.", "PASS secret"],
  ["an extension", "USER joe-x@localhost", "PASS secret"],
  ["percent for at", "USER joe%localhost", "PASS secret"],
  ["a colon for at", "USER joe:localhost", "PASS secret"],
  ["a quoted user", 'USER "joe"@localhost', "PASS secret"],
  ["a path", "USER ../joe@localhost", "PASS secret"],
  ["a path to a Maildir", "USER /var/lib/postern/mail/localhost/joe", "PASS secret"],
  ["root", "USER root", "PASS secret"],
  ["nobody", "USER ", "PASS secret"],
  ["SQL", "USER ' OR 1=1 --", "PASS ' OR 1=1 --"],
  ["a wildcard", "USER *", "PASS *"],
  ["prototype", "USER __proto__", "PASS "],
  ["look-alike", "USER j\xd0\xbee@localhost", "PASS secret"],
  ["overlong UTF-8", "USER \xc1\xaaoe@localhost", "PASS secret"],
  ["master user (Dovecot)", "USER joe@localhost*root@localhost", "PASS secret"],
  ["a format", "USER %s%s%n", "PASS %s%n"],
  ["USER twice", user, "USER root", "PASS secret"],
  ["APOP, which is off", "APOP joe@localhost rightdigest"],
  ["APOP with an empty digest", "APOP joe@localhost "],
  ["AUTH alone", "AUTH"],
  ["an empty response", "AUTH PLAIN", ""],
  ["an empty initial response", "AUTH PLAIN ="],
  ["NULs alone", `AUTH PLAIN ${base64("\0\0")}`],
  ["an empty user", `AUTH PLAIN ${base64("\0\0secret")}`],
  ["one NUL", `AUTH PLAIN ${base64("joe@localhost\0secret")}`],
  ["a wrong password in PLAIN", `AUTH PLAIN ${base64("\0joe@localhost\0wrong")}`],
  ["a NUL too many", `AUTH PLAIN ${base64("\0joe@localhost\0\0secret")}`],
  ["base64 that is cut", `AUTH PLAIN ${right.slice(0, -1)}`],
  ["base64 with more behind it", `AUTH PLAIN ${right}AAAA`],
  ["a response that is cancelled", "AUTH PLAIN", "*"],
  ["commands for a response", "AUTH PLAIN", "STAT", "RETR 1"],
  ["LOGIN, which POP3 has not", "AUTH LOGIN", base64("joe@localhost"), base64("secret")],
  ["CRAM-MD5, which is off", "AUTH CRAM-MD5", base64("joe@localhost 0123")],
  ["EXTERNAL", `AUTH EXTERNAL ${base64("joe@localhost")}`],
  ["ANONYMOUS", `AUTH ANONYMOUS ${base64("joe@localhost")}`],
  ["half of SCRAM", `AUTH SCRAM-SHA-256 ${base64("n,,n=joe@localhost,r=x")}`, "*"],
  ["a success that the client says itself", user, "+OK ", "+OK 1 31"],
  ["XCLIENT", "XCLIENT ADDR=127.0.0.1 LOGIN=joe@localhost"],
  ["PROXY", "PROXY TCP4 127.0.0.1 127.0.0.1 1 110"],
  ["CAPA, LANG and UTF8", "CAPA", "LANG en", "UTF8"],
];
/** What would show or touch the mail. */
const reads = "STAT\r\nLIST\r\nUIDL\r\nTOP 1 1\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n";

test("the catalogue has at least forty forms", () => assert.ok(bypasses.length >= 40));

async function rest(talk: Talk): Promise<string> {
  let text = "";
  for (let line = await talk.line(); line !== undefined; line = await talk.line()) text += `${line}\n`;
  return text;
}

for (const tls of [false, true]) {
  test(`no form of not logging in opens a mailbox by POP3, ${tls ? "behind TLS" : "in the clear"}`, async (t) => {
    await using stage = await openPop3Stage({ messages, certificates });
    for (const [name, ...lines] of bypasses) {
      await t.test(name, async () => {
        const talk = await Talk.open(stage.port);
        await talk.line();
        if (tls) {
          talk.send("STLS\r\n");
          await talk.line();
          await talk.secure();
        }
        talk.send(lines.map((line) => `${line}\r\n`).join("") + reads);
        assert.doesNotMatch(await rest(talk), /private|secret words|^\+OK 1 |^1 1700000001/m);
        talk.close();
      });
    }
    assert.deepEqual(readdirSync(join(stage.maildir, "new")), ["1700000001.a.mx"]);
    assert.ok(stage.events.every(({ event }) => event !== "mailbox"));
  });
}

test("in the clear not even the right password is taken, nor does directory hear of it", async () => {
  await using stage = await openPop3Stage({ messages, certificates, control: { clearlogin: "0" } });
  for (const login of [`${user}\r\nPASS secret`, `AUTH PLAIN ${right}`]) {
    const talk = await Talk.open(stage.port);
    talk.send(`${login}\r\n${reads}`);
    const said = await rest(talk);
    assert.match(said, /^-ERR no login without TLS/m);
    assert.doesNotMatch(said, /private|^\+OK 1 /m);
    talk.close();
  }
  assert.deepEqual(stage.directory.begun, []);
});

const begin = "+OK begin TLS negotiation";
const crowded = "-ERR nothing may follow STLS before its reply";
/**
 * Somebody on the way puts his words before the client's (CVE-2011-0411, and the family of CVE-2021-33515): in clear,
 * before STLS or behind it, that they be obeyed inside. And what we answer.
 */
const injections: readonly (readonly [name: string, text: string, ...replies: readonly string[]])[] = [
  ["a command behind STLS", "STLS\r\nCAPA\r\n", crowded],
  ["a login behind STLS", `STLS\r\n${user}\r\nPASS secret\r\n`, crowded],
  ["half a command behind STLS", "STLS\r\nDELE 1", crowded],
  ["a line end behind STLS", "STLS\r\n\r\n", crowded],
  ["one octet behind STLS", "STLS\r\n\0", crowded],
  ["STLS twice", "STLS\r\nSTLS\r\n", crowded],
  ["STLS with a bare line end", "STLS\nDELE 1\r\n", crowded],
  ["a user before STLS", `${user}\r\nSTLS\r\n`, "+OK ", begin],
  ["half an exchange before STLS", "AUTH PLAIN\r\n*\r\nSTLS\r\n", "+ ", "-ERR authentication cancelled", begin],
  ["STLS within an exchange", "AUTH PLAIN\r\nSTLS\r\n", "+ ", "-ERR [AUTH] wrong user or password"],
  ["a login before STLS", `${user}\r\nPASS secret\r\nSTLS\r\n`, "+OK ", "+OK ", "-ERR unimplemented"],
];

for (const [name, text, ...replies] of injections) {
  test(`nothing said in the clear counts after STLS: ${name}`, async () => {
    await using stage = await openPop3Stage({ messages, certificates });
    const talk = await Talk.open(stage.port);
    await talk.line();
    talk.send(text);
    for (const reply of replies) assert.equal(await talk.line(), reply);
    if (replies.at(-1) === begin) {
      await talk.secure();
      talk.send(`PASS secret\r\nAUTH PLAIN ${right}\r\nSTAT\r\nQUIT\r\n`);
      assert.equal(await rest(talk), "-ERR USER first\n+OK \n+OK 1 31\n+OK \n");
    } else if (replies.at(-1) === crowded) assert.equal(await talk.line(), undefined);
    talk.close();
  });
}
