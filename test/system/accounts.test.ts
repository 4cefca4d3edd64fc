import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readMaildir, runPostern, startServer, temporaryFolder, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

test("a domain, its users and aliases, as docs/accounts.md has it", async (t) => {
  await using server = await startServer({ control: { rcpthosts: "localhost\n" } });
  const postern = async (args: readonly string[], input = ""): Promise<string> => {
    const { code, stdout, stderr } = await server.postern(args, input);
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout;
  };
  const mailOf = (user: string): readonly string[] =>
    readMaildir(join(server.root, "mail/example.org", user, "Maildir")).map(({ text }) => text);
  const send = async (...to: string[]): Promise<string> => {
    const client = await SmtpClient.open(server.smtpPort);
    const reply = await client.message("a@far.test", to, "Subject: x\n\nbody\n");
    await client.quit();
    return reply;
  };

  await t.test("domain add makes its mail accepted, without a restart", async () => {
    assert.match(await postern(["domain", "add", "example.org"]), /example\.org: added\nreloaded/);
    assert.match(readFileSync(join(server.root, "control/mailboxdomains"), "utf8"), /^example\.org:accounts$/m);
    assert.match(readFileSync(join(server.root, "control/rcpthosts"), "utf8"), /^example\.org$/m);
  });
  await t.test("user add, its password from standard input, makes a mailbox", async () => {
    await postern(["user", "add", "joe@example.org", "--quota", "2M"], "secret\n");
    assert.match(await send("joe@example.org"), /^250 /);
    await until("the mail", () => mailOf("joe").length === 1);
    assert.match(mailOf("joe")[0] ?? "", /^Delivered-To: joe@example\.org$/m);
  });
  await t.test("an address with a tag is its user's; with an extension, where there is a file for it", async () => {
    assert.match(await send("joe+shop@example.org"), /^250 /);
    await until("the mail", () => mailOf("joe").length === 2);
    assert.ok(mailOf("joe").some((text) => /^Delivered-To: joe\+shop@example\.org$/m.test(text)));
    assert.match(await send("joe-shop@example.org"), /^550 5\.1\.1 /);
    assert.match(await send("nobody+shop@example.org"), /^550 5\.1\.1 /);
    assert.match(await postern(["explain", "joe+shop@example.org"]), /⇒ none: as accounts have it/);
  });
  await t.test("an alias goes to its targets, catch-all to its own", async () => {
    await postern(["user", "add", "ann@example.org"], "secret\n");
    await postern(["alias", "add", "info@example.org", "joe@example.org", "ann@example.org"]);
    await postern(["domain", "set", "example.org", "--catch-all", "ann@example.org"]);
    assert.match(await send("info@example.org", "anything@example.org"), /^250 /);
    await until("the mail", () => mailOf("joe").length === 3 && mailOf("ann").length === 2);
    assert.match(mailOf("joe").join(), /^Delivered-To: info@example\.org$/m);
    assert.match(mailOf("ann").join(), /^Delivered-To: anything@example\.org$/m);
  });
  await t.test("a password never comes from the command line, and is in no file", async () => {
    const { code, stderr } = await server.postern(["user", "set", "joe@example.org", "--password=secret"]);
    assert.equal(code, 100);
    assert.match(stderr, /--password/);
    assert.ok(!readFileSync(join(server.root, "directory/accounts.sqlite")).includes("secret"));
  });
  await t.test("domain remove takes it back, and leaves the mail", async () => {
    assert.equal((await server.postern(["domain", "remove", "example.org"])).code, 100);
    await postern(["domain", "remove", "example.org", "--with-users"]);
    for (const file of ["mailboxdomains", "rcpthosts"]) {
      assert.doesNotMatch(readFileSync(join(server.root, "control", file), "utf8"), /example/);
    }
    assert.equal(mailOf("joe").length, 3);
  });
});

test("a domain cannot be added where nothing can name it, and then nothing is changed", async () => {
  const root = temporaryFolder();
  const { code, stderr } = await runPostern(["domain", "add", "early.test", "--root", root]);
  assert.equal(code, 100);
  assert.match(stderr, /start the server once/);
  assert.deepEqual(readdirSync(root), []);
  rmSync(root, { recursive: true });
});

test("accounts can be made while the server does not run", async () => {
  const root = temporaryFolder();
  await using server = await startServer({ folder: root });
  await server.stop();
  assert.ok(existsSync(join(root, "directory")));
  const added = await server.postern(["domain", "add", "later.test"]);
  assert.equal(added.code, 0);
  assert.match(added.stdout, /the server does not run: it counts from its next start on/);
  assert.equal((await server.postern(["user", "add", "joe@later.test"], "secret\n")).code, 0);
  rmSync(join(root, "directory/accounts.cdb")); // as in a backup, or after a command that was killed
  await using again = await startServer({ root });
  await until("accounts.cdb", () => existsSync(join(root, "directory/accounts.cdb")));
  const client = await SmtpClient.open(again.smtpPort);
  assert.match(await client.message("a@far.test", ["joe@later.test"], "Subject: x\n\nbody\n"), /^250 /);
  await client.quit();
  await until("the mail", () => readMaildir(join(root, "mail/later.test/joe/Maildir")).length === 1);
});
