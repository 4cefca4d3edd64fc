import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { postfixTool, run } from "../support/commands.ts";
import { without } from "../support/missing.ts";
import { freePort, mailboxOf, readMaildir, runPostern, startServer, tree, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import { startSmtpPeer } from "../support/smtp-peer.ts";

const json = (text: string) =>
  text
    .trim()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test("the operator sees, holds, releases and deletes what is queued, while it runs", async () => {
  const port = await freePort(); // nobody listens there: everything is deferred
  await using server = await startServer({ control: { smtproutes: `:127.0.0.1:${port}\n` } });
  const client = await SmtpClient.open(server.smtpPort);
  for (const [from, to] of [
    ["a@one.test", "x@far.test"],
    ["b@two.test", "y@far.test"],
    ["b@two.test", "z@away.test"],
  ] as const) {
    assert.match(await client.message(from, [to], "Subject: wait\n\n"), /^250 /);
  }
  await client.quit();
  const list = async (...args: string[]) => json((await server.postern(["queue", "list", "--json", ...args])).stdout);
  await until("three messages", async () => (await list()).length === 3);
  assert.equal((await list("--sender", "@two.test")).length, 2);
  assert.equal((await list("--destination", "far.test")).length, 2);
  assert.equal((await list("--recipient", "z@away.test")).length, 1);
  assert.equal((await list("--older-than", "1h")).length, 0);

  const [first] = await list("--sender", "a@one.test");
  const id = String(first?.id);
  assert.equal((await server.postern(["queue", "hold", id])).code, 0);
  assert.equal((await list()).filter((row) => row.held === true).length, 1);
  assert.equal((await server.postern(["queue", "release", id])).code, 0);
  assert.equal((await list()).filter((row) => row.held === true).length, 0);
  const shown = await server.postern(["queue", "show", id]);
  assert.match(shown.stdout, /x@far\.test/);

  assert.equal((await server.postern(["queue", "delete", "--sender", "@two.test"])).code, 0);
  assert.deepEqual(
    (await list()).map((row) => row.id),
    [Number(id)],
  );
  assert.notEqual((await server.postern(["queue", "delete"])).code, 0);
  assert.equal((await server.postern(["queue", "delete", "999999"])).code, 1);
});

test("destinations left alone are shown, also by qmail-tcpto, and opened by qmail-tcpok", async () => {
  const port = await freePort();
  await using server = await startServer({ control: { smtproutes: `:127.0.0.1:${port}\n` } });
  const client = await SmtpClient.open(server.smtpPort);
  assert.match(await client.message("a@one.test", ["x@far.test"], "Subject: later\n\n"), /^250 /);
  await client.quit();
  await until("the destination to be left alone", async () =>
    /^far\.test +remote +[0-9]+ (?:s|min)$/m.test((await server.postern(["queue", "blocked"])).stdout),
  );
  const tool = (name: string) => run(join(tree, "bin/qmail", name), [], "", { POSTERN_ROOT: server.root });
  assert.match((await tool("qmail-tcpto")).stdout, /^far\.test left alone for [0-9]+ seconds more\n$/);
  await using peer = await startSmtpPeer({ port });
  assert.deepEqual(await tool("qmail-tcpok"), { code: 0, stdout: "", stderr: "" });
  assert.equal((await tool("qmail-tcpto")).stdout, "");
  assert.equal((await server.postern(["queue", "open"])).code, 1);
  assert.equal((await server.postern(["queue", "retry", "--all"])).code, 0);
  await until("the message", () => peer.received.length === 1);
});

test("a second start carries on with the same queue; retry delivers", async () => {
  const port = await freePort();
  await using first = await startServer({ control: { smtproutes: `:127.0.0.1:${port}\n` } });
  const client = await SmtpClient.open(first.smtpPort);
  assert.match(await client.message("a@one.test", ["x@far.test"], "Subject: later\n\n"), /^250 /);
  await client.quit();
  const tried = /"attempts":1\b/;
  await until("a first attempt", async () => tried.test((await first.postern(["queue", "list", "--json"])).stdout));
  assert.equal(await first.stop(), 0);
  writeFileSync(join(first.root, "control/virtualdomains"), "far.test:far\n");
  writeFileSync(join(first.root, "control/smtproutes"), `:127.0.0.1:${first.smtpPort}\n`);
  await using second = await startServer({ root: first.root });
  assert.equal(json((await second.postern(["queue", "list", "--json"])).stdout).length, 1);
  assert.equal(await second.stop(), 0);
});

test("§17.39 §17.41 config: get, set, check; reload takes it up, and keeps the old settings when it is wrong", async () => {
  await using server = await startServer();
  assert.equal((await server.postern(["config", "get", "me"])).stdout, "localhost\n");
  assert.equal((await server.postern(["config", "set", "smtpgreeting", "mail.example.test"])).code, 0);
  assert.equal(readFileSync(join(server.root, "control/smtpgreeting"), "utf8"), "mail.example.test\n");
  assert.notEqual((await server.postern(["config", "set", "databytes", "many"])).code, 0);
  assert.notEqual((await server.postern(["config", "set", "nosuchfile", "1"])).code, 0);
  assert.equal((await server.postern(["config", "check"])).code, 0);
  await server.postern(["config", "set", "pop3slisten", "127.0.0.1:995"]);
  assert.deepEqual(await server.postern(["reload"]), {
    ...{ code: 0, stderr: "" },
    stdout: "control/pop3slisten has changed: it takes effect at the next start\nreloaded\n",
  });
  await until("the new greeting", async () => {
    const client = await SmtpClient.open(server.smtpPort);
    const reply = await client.command("HELO x");
    client.close();
    return reply.includes("mail.example.test");
  });
  writeFileSync(join(server.root, "control/databytes"), "many\n");
  const checked = await server.postern(["config", "check"]);
  assert.equal(checked.code, 100);
  assert.match(checked.stdout + checked.stderr, /control\/databytes: "many" is not a number/);
  assert.notEqual((await server.postern(["reload"])).code, 0);
  const client = await SmtpClient.open(server.smtpPort);
  assert.match(await client.message("a@b.test", ["still@localhost"], "\n"), /^250 /);
  client.close();
});

test("the log tells a message's way in qmail-send's lines", async () => {
  await using server = await startServer();
  const client = await SmtpClient.open(server.smtpPort);
  assert.match(
    await client.message("a b@one.test".replace(" ", ""), ["logged@localhost"], "Subject: log\n\n"),
    /^250 /,
  );
  await client.quit();
  await until("its arrival", () => readMaildir(mailboxOf(server, "logged")).length === 1);
  const expected = [
    /^new msg \d+$/,
    /^info msg \d+: bytes \d+ from <ab@one\.test> qp \d+ uid \d+$/,
    /^starting delivery \d+: msg \d+ to local logged@localhost$/,
    /^status: local 1\/100 remote 0\/100$/,
    /^delivery \d+: success: did_1\+0\+0\/$/,
    /^status: local 0\/100 remote 0\/100$/,
    /^end msg \d+$/,
  ];
  await until("the lines in the log", async () => {
    const { stdout } = await server.postern(["log", "--timestamps", "none"]);
    const lines = stdout.split("\n");
    let at = 0;
    for (const line of lines) if (expected[at]?.test(line)) at++;
    return at === expected.length;
  });
});

test("commands without a server: 111 and one line that says where they looked", async () => {
  for (const args of [["status"], ["queue", "list"], ["reload"], ["stop"]]) {
    const { code, stderr } = await runPostern([...args, "--root", "/nonexistent/postern"]);
    assert.equal(code, 111, args.join(" "));
    assert.match(stderr, /^postern[^\n]*\/nonexistent\/postern[^\n]*\n$/);
  }
});

test("100,000 queued messages: list and count answer while mail flows", { skip: without("smtp-sink") }, async (t) => {
  const port = await freePort();
  await using server = await startServer({ control: { smtproutes: `:127.0.0.1:${port}\n` } });
  const to = ["-t", "user@far.test", "-f", "load@example.test"];
  const sent = await postfixTool("smtp-source", [
    "-m",
    "100000",
    "-s",
    "20",
    "-d",
    "-l",
    "300",
    ...to,
    `127.0.0.1:${server.smtpPort}`,
  ]);
  assert.equal(sent.code, 0, sent.stderr);
  const flowing = postfixTool("smtp-source", [
    "-m",
    "2000",
    "-s",
    "5",
    "-d",
    "-l",
    "300",
    "-t",
    "flow@localhost",
    "-f",
    "l@e.test",
    `127.0.0.1:${server.smtpPort}`,
  ]);
  for (const args of [
    ["queue", "count", "--json"],
    ["queue", "list", "--limit", "1000", "--json"],
    ["queue", "list", "--sender", "@nobody.test", "--json"],
  ]) {
    const began = performance.now();
    const { code } = await server.postern(args);
    t.diagnostic(`postern ${args.join(" ")}: ${Math.round(performance.now() - began)} ms`);
    assert.ok(code === 0 || code === 1);
  }
  assert.equal((await flowing).code, 0);
  await until("the flow's arrival", () => readMaildir(mailboxOf(server, "flow")).length === 2_000);
});
