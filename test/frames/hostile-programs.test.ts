import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Fault, mutant } from "../support/mutant.ts";
import { mailboxOf, readMaildir, type Server, startServer, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

/** At a reload every program claims to be `queue` in the log, then says on its channel what no program of ours says. */
const wentOver: Fault = {
  file: "services/program/program.js",
  from: 'case "reload":',
  to: `case "reload":
    events.log({ event: "warning", text: "forged by " + name, program: "queue" });
    setTimeout(() => process.getBuiltinModule("node:fs").writeSync(3, "x\\n"), 500);`,
};
const unguarded: Fault = {
  file: "programs/supervise/member.js",
  from: "guardChannel(child,",
  to: "((_child, _) => {})(child,",
};
const programs = ["smtpd", "qmqpd", "queue", "directory", "local", "remote", "logger"];

const isAlive = (server: Server): boolean => server.process.exitCode === null && server.process.signalCode === null;

test("supervise outlives programs that send it what they like; each is started again, and mail flows", async (t) => {
  using hostile = mutant(wentOver);
  await using server = await startServer({ tree: hostile.tree });
  await until("the start of all", () => server.output().includes("Postern is running"));
  assert.equal((await server.postern(["reload"])).code, 0);
  await until("a fresh start of each", async () =>
    (await server.status()).every(
      ({ name, restarts, pid }) => !programs.includes(name) || (restarts === 1 && pid !== null),
    ),
  );
  assert.ok(isAlive(server));
  const client = await SmtpClient.open(server.smtpPort);
  assert.match(await client.message("a@b.test", ["u@localhost"], "Subject: on\n\n"), /^250 /);
  await client.quit();
  await until("its delivery", () => readMaildir(mailboxOf(server, "u")).length === 1);
  await t.test("and none of them speaks as another in the log", () => {
    const lines = readFileSync(join(server.root, "log/current"), "utf8")
      .split("\n")
      .filter((line) => line.includes("forged by"));
    const logged = lines.map((line) => JSON.parse(line) as { program: string; text: string });
    assert.ok(logged.length > 0);
    for (const { program, text } of logged) assert.equal(text, `forged by ${program}`);
  });
});

test("mutant: without its guard supervise parses what they say, and does not end them", async () => {
  using hostile = mutant(wentOver, unguarded);
  await using server = await startServer({ tree: hostile.tree });
  await server.postern(["reload"]);
  await until("an exception in supervise", () => server.output().includes("SyntaxError"), 20_000);
  assert.ok((await server.status()).every(({ restarts }) => restarts === 0));
});
