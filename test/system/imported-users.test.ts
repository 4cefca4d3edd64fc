/** Users of other servers, with hashes made by other programs. */
import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { doveadm } from "../setup.ts";
import { run } from "../support/commands.ts";
import { without } from "../support/missing.ts";
import { type Server, startServer, temporaryFolder } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

const skip = without("openssl", "dovecot");
let server: Server;
let vpopmail: string;
before(async () => {
  vpopmail = temporaryFolder();
  server = await startServer({ control: { authwithouttls: "1\n", relayclients: "" } });
});
after(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(vpopmail, { recursive: true });
});

const made = async (command: string, ...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await run(command, args);
  assert.equal(code, 0, stderr);
  return stdout.trim();
};
const byOpenssl = (form: string, password: string): Promise<string> => made("openssl", "passwd", form, password);
const byDoveadm = (scheme: string, password: string): Promise<string> =>
  made(doveadm, "pw", "-s", scheme, "-p", password);

async function login(account: string, password: string): Promise<string> {
  const client = await SmtpClient.open(server.submissionPort);
  await client.command("EHLO c.example");
  const token = Buffer.from(`\0${account}\0${password}`).toString("base64");
  const reply = await client.command(`AUTH PLAIN ${token}`);
  client.close();
  return reply.slice(0, 3);
}

const hashOf = async (account: string): Promise<string> =>
  /^password +(\S+)/m.exec((await server.postern(["user", "show", account])).stdout)?.[1] ?? "";

const tools = [
  ["openssl passwd -6", (password: string) => byOpenssl("-6", password), "sha512-crypt"],
  ["doveadm pw -s SHA512-CRYPT", (password: string) => byDoveadm("SHA512-CRYPT", password), "sha512-crypt"],
  ["doveadm pw -s SSHA", (password: string) => byDoveadm("SSHA", password), "salted-sha"],
  ["doveadm pw -s SSHA256", (password: string) => byDoveadm("SSHA256", password), "salted-sha"],
  ["doveadm pw -s SSHA512", (password: string) => byDoveadm("SSHA512", password), "salted-sha"],
] as const;
for (const [at, [tool, make, form]] of tools.entries()) {
  test(`a hash by ${tool} is right for its password, and argon2id from the first login on`, { skip }, async () => {
    const account = `u${at}@old.example`;
    const password = "pass wörd: 1";
    const added = await server.postern(["user", "import"], `${account}:${await make(password)}:1000000S\n`);
    assert.equal(added.code, 0, added.stderr);
    assert.equal(await hashOf(account), form);
    assert.equal(await login(account, "pass word: 1"), "535");
    assert.equal(await hashOf(account), form);
    assert.equal(await login(account, password), "235");
    assert.equal(await hashOf(account), "argon2id");
    assert.equal(await login(account, password), "235");
  });
}

test("vpopmail's users come with their passwords and quotas; what cannot be taken is named", { skip }, async () => {
  const at = (domain: string, user: string): string => join(vpopmail, "domains", domain, user);
  const line = async (domain: string, user: string, hash: string, quota: string, clear = ""): Promise<string> => {
    mkdirSync(join(at(domain, user), "Maildir"), { recursive: true });
    return `${user}:${hash}:1:0:${user}:${at(domain, user)}:${quota}${clear && `:${clear}`}\n`;
  };
  const first = [
    await line("one.example", "postmaster", await byOpenssl("-6", "pm"), "NOQUOTA"),
    await line("one.example", "ann", await byOpenssl("-1", "from clear"), "2000000S,100C", "from clear"),
    await line("one.example", "md5", await byOpenssl("-1", "old"), "NOQUOTA"),
  ];
  const second = await line("0/two.example", "bob", await byOpenssl("-6", "bob's"), "5000000S");
  writeFileSync(join(vpopmail, "domains/one.example/vpasswd"), first.join(""));
  writeFileSync(join(vpopmail, "domains/0/two.example/vpasswd"), second);
  const told = await server.postern(["user", "import", "--vpopmail", vpopmail]);
  assert.match(told.stdout + told.stderr, /md5@one\.example/);
  assert.equal(await login("postmaster@one.example", "pm"), "235");
  assert.equal(await login("ann@one.example", "from clear"), "235");
  assert.equal(await login("bob@two.example", "bob's"), "235");
  assert.equal(await login("md5@one.example", "old"), "535");
  const ann = (await server.postern(["user", "show", "ann@one.example"])).stdout;
  assert.match(ann, /^quota octets +2000000\nquota messages +100$/m);
  assert.match((await server.postern(["domain", "list"])).stdout, /^one\.example +no /m);
});
