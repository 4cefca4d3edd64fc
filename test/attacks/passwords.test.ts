import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Talk } from "../dialogues/talk.ts";
import { writeAccounts } from "../support/accounts.ts";
import { freePort, type Server, startServer, temporaryFolder, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

let server: Server;
let pop3Port: number;
before(async () => {
  const folder = temporaryFolder();
  await writeAccounts(folder, [
    ["joe@mail.example", "secret"],
    ["ann@mail.example", "secret"],
    ["pia@mail.example", "secret"],
  ]);
  pop3Port = await freePort();
  const control = {
    ...{ relayclients: "", authwithouttls: "1\n", loginfailuresperaccount: "10\n" },
    ...{ mailboxdomains: "mail.example:accounts\n", pop3listen: `127.0.0.1:${pop3Port}\n`, clearlogin: "1\n" },
  };
  server = await startServer({ folder, control });
  await until("directory", async () => (await plain("ann@mail.example", "secret")).startsWith("235"));
});
after(() => server[Symbol.asyncDispose]());

const base64 = (text: string): string => Buffer.from(text, "latin1").toString("base64");

/** Says these lines in one session of its own, and gives the replies to them. */
async function play(...lines: readonly string[]): Promise<readonly string[]> {
  const client = await SmtpClient.open(server.submissionPort);
  await client.command("EHLO c.example");
  const replies: string[] = [];
  for (const line of lines) replies.push(await client.command(line));
  client.close();
  return replies;
}
const plain = async (account: string, password: string, authorization = ""): Promise<string> =>
  (await play(`AUTH PLAIN ${base64(`${authorization}\0${account}\0${password}`)}`))[0] ?? "";

/** The same by POP3; the reply may be that a line is too long. */
async function plainByPop3(account: string, password: string, authorization = ""): Promise<string> {
  const talk = await Talk.open(pop3Port);
  await talk.line();
  talk.send(`AUTH PLAIN\r\n${base64(`${authorization}\0${account}\0${password}`)}\r\n`);
  await talk.line();
  const reply = (await talk.line(60_000)) ?? "";
  talk.close();
  return reply;
}

const bypasses: readonly (readonly [name: string, account: string, password: string, authorization?: string])[] = [
  ["an empty password", "joe@mail.example", ""],
  ["a password cut at a NUL", "joe@mail.example", "secret\0x"],
  ["a password with a line end", "joe@mail.example", "secret\r\n"],
  ["a password in capitals", "joe@mail.example", "SECRET"],
  ["a name cut at a NUL", "joe@mail.example\0x", "secret"],
  ["a statement of SQL as the name", "' OR 1=1 --@mail.example", "secret"],
  ["a pattern as the name", "%@mail.example", "secret"],
  ["a path as the name", "../joe@mail.example", "secret"],
  ["a trailing dot", "joe@mail.example.", "secret"],
  ["an extension", "joe-x@mail.example", "secret"],
  ["the domain alone", "@mail.example", "secret"],
  ["the name alone", "joe", "secret"],
  ["letters that look alike (Cyrillic o)", "j\xd0\xbee@mail.example", "secret"],
  ["letters of full width", "\xef\xbd\x8aoe@mail.example", "secret"],
  ["an overlong form of a letter", "\xc1\xaaoe@mail.example", "secret"],
  ["an invisible letter", "joe\xe2\x80\x8b@mail.example", "secret"],
  ["another to act for", "ann@mail.example", "secret", "joe@mail.example"],
  ["an overlong password", "joe@mail.example", "x".repeat(5_000)],
];
test("nobody logs in without the password, by SMTP or by POP3", async (t) => {
  assert.match(await plainByPop3("pia@mail.example", "secret"), /^\+OK/);
  // At the same time: each refusal to one account takes longer than the last. By POP3 to another account.
  const pia = (text = ""): string => text.replace("joe@", "pia@");
  const [bySmtp, byPop3] = await Promise.all([
    Promise.all(bypasses.map(([, account, password, as]) => plain(account, password, as))),
    Promise.all(bypasses.map(([, account, password, as]) => plainByPop3(pia(account), password, pia(as)))),
  ]);
  for (const [at, [name]] of bypasses.entries()) {
    await t.test(`with ${name}`, () => {
      assert.match(bySmtp[at] ?? "", /^5[0-9]{2} /);
      assert.match(byPop3[at] ?? "", /^-ERR /);
    });
  }
});

test("nobody learns from a reply which accounts there are, nor which mechanism would work for them", async () => {
  const replies = await Promise.all(
    ["ann@mail.example", "nobody@mail.example", "x@elsewhere.example"].map((account) => plain(account, "guess")),
  );
  assert.equal(new Set(replies).size, 1);
  const first = async (account: string): Promise<string> => {
    const [reply = ""] = await play(`AUTH SCRAM-SHA-256 ${base64(`n,,n=${account},r=abc`)}`);
    const challenge = Buffer.from(reply.slice(4), "base64").toString("latin1");
    return challenge.replace(/[A-Za-z0-9+/_-]{16,}/g, "RANDOM").replace(/=+,/, ",");
  };
  assert.equal(await first("ann@mail.example"), await first("nobody@mail.example"));
});

test("who has not proved it may not send as an account, nor go on as if he had", async () => {
  const [, mail = "", rcpt = ""] = await play(
    `AUTH PLAIN ${base64("\0nobody@mail.example\0x")}`,
    "MAIL FROM:<joe@mail.example> AUTH=joe@mail.example",
    "RCPT TO:<x@far.example>",
  );
  assert.match(`${mail} ${rcpt}`, /5\d\d/);
});

test("a flood of guesses is shut out, the owner's network is not, and all of it is in the log", async () => {
  const [owner, victim] = ["ann@mail.example", "victim@mail.example"] as const;
  assert.match(await plain(owner, "secret"), /^235 /);
  const flood = (account: string, count: number): Promise<readonly string[]> =>
    Promise.all(Array.from({ length: count }, (_, n) => plain(account, `guess ${n}`)));
  const [guesses] = await Promise.all([flood(victim, 12), flood(owner, 10)]);
  assert.deepEqual([count(guesses, "535"), count(guesses, "454")], [10, 2], "beyond ten at once nobody looks");
  assert.match(await plain(victim, "another"), /^454 /, "and after ten in an hour not at all");
  assert.match(await plain(owner, "secret"), /^235 /);
  const failures = (): readonly string[] =>
    readFileSync(join(server.root, "log/current"), "utf8")
      .split("\n")
      .filter((line) => line.includes('"login failure"') && line.includes(victim));
  await until("all of it to be in the log", () => failures().length >= 13);
  assert.equal(failures().length, 13);
});

test("guesses by POP3 and by SMTP are counted together", async () => {
  const account = "both@mail.example";
  const guesses = await Promise.all(
    Array.from({ length: 12 }, (_, n) => (n % 2 === 0 ? plain : plainByPop3)(account, `guess ${n}`)),
  );
  const refused = guesses.filter((reply) => /^(535|-ERR \[AUTH\]) /.test(reply));
  const put = guesses.filter((reply) => /^(454|-ERR \[SYS\/TEMP\]) /.test(reply));
  assert.deepEqual([refused.length, put.length], [10, 2], guesses.join("\n"));
  assert.match(await plainByPop3(account, "another"), /^-ERR \[SYS\/TEMP\] /);
  assert.match(await plain(account, "another"), /^454 /);
});

const count = (replies: readonly string[], code: string): number =>
  replies.filter((reply) => reply.startsWith(code)).length;
