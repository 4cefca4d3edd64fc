import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { encodeNetstring } from "../../src/protocol/netstring.ts";
import { framePackage } from "../../src/protocol/qmtp/package.ts";
import { postfixLibraries, postfixTools } from "../setup.ts";
import { postfixTool } from "../support/commands.ts";
import { without } from "../support/missing.ts";
import {
  freePort,
  mailboxOf,
  readMaildir,
  runPostern,
  type Server,
  startServer,
  temporaryFolder,
  until,
} from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import { startSmtpPeer } from "../support/smtp-peer.ts";

const textsOf = (server: Server, localPart: string, domain = "localhost"): string[] =>
  readMaildir(join(mailboxOf(server, localPart), "../../..", domain, localPart, "Maildir")).map(({ text }) => text);

/** Sends octets, ends its side, and resolves with all that is answered. */
async function ask(port: number, octets: string): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let answered = "";
  socket.on("data", (chunk: Buffer) => {
    answered += chunk.toString("latin1");
  });
  socket.end(octets, "latin1");
  await once(socket, "close");
  return answered;
}

const packageOf = (message: string, reversePath: string, ...forwardPaths: readonly string[]): string => {
  const { before, after } = framePackage(message.length, reversePath, forwardPaths);
  return before.toString("latin1") + message + after.toString("latin1");
};

test("§17.175 a server takes QMTP, and answers when it has the message", async () => {
  const port = await freePort();
  await using server = await startServer({ control: { qmtplisten: `127.0.0.1:${port}\n` } });
  const one = packageOf("Subject: one\n\nbody\n", "from@far.test", "u@localhost");
  const two = packageOf("Subject: two\n\nbody\n", "from@far.test", "u@localhost", "v@localhost");
  const answers = await ask(port, one + two + one.slice(0, -1));
  assert.match(answers, /^\d+:Kok \d+ qp (\d+),\d+:Kok \d+ qp (\d+),\d+:Kok \d+ qp \2,$/);
  await until("three deliveries", () => textsOf(server, "u").length === 2 && textsOf(server, "v").length === 1);
  const [text = ""] = textsOf(server, "v");
  assert.match(
    text,
    /^Return-Path: <from@far\.test>\nDelivered-To: v@localhost\nReceived: from unknown \(127\.0\.0\.1\)\n {2}by localhost with QMTP; .*\nSubject: two\n\nbody\n$/,
  );
  assert.ok((await server.status()).some(({ name }) => name === "qmtpd"));
});

test("two servers speak QMTP by control/qmtproutes", async () => {
  const port = await freePort();
  const far = { mailboxdomains: "far.test:create\n", relayclients: "", qmtplisten: `127.0.0.1:${port}\n` };
  await using receiving = await startServer({ control: far });
  await using sending = await startServer({ control: { qmtproutes: `:127.0.0.1:${port}\n` } });
  const body = "0123456789abcde\n".repeat(50_000);
  const client = await SmtpClient.open(sending.smtpPort);
  const recipients = ["a@far.test", "b@far.test", "c@else.test"];
  assert.match(await client.message("s@localhost", recipients, `Subject: x\n\n${body}`), /^250 /);
  client.close();
  await until("two deliveries and a bounce", () => {
    const delivered = ["a", "b"].every((name) => textsOf(receiving, name, "far.test").length === 1);
    return delivered && textsOf(sending, "s").length === 1;
  });
  assert.ok(textsOf(receiving, "a", "far.test")[0]?.endsWith(`Subject: x\n\n${body}`));
  assert.match(
    textsOf(sending, "s")[0] ?? "",
    /<c@else\.test>:\n.*does not like recipient\.\nRemote host said: sorry, that domain isn't/,
  );
});

test("without control/qmtplisten there is no qmtpd", async () => {
  await using server = await startServer();
  assert.ok((await server.status()).every(({ name }) => name !== "qmtpd"));
});

const netstring = (text: string): string => encodeNetstring(text).toString("latin1");

test("§17.180 qmqpd over TCP relays for its clients, with one answer, and for nobody else", async () => {
  const port = await freePort();
  await using sink = await startSmtpPeer();
  const control = { qmqplisten: `127.0.0.1:${port}\n`, relayclients: "", smtproutes: `:127.0.0.1:${sink.port}\n` };
  await using server = await startServer({ control });
  const request = netstring(["Subject: x\n\nbody\n", "s@a.test", "u@localhost", "r@b.test"].map(netstring).join(""));
  assert.equal(await ask(port, request), netstring("Z127.0.0.1 is not in control/qmqpclients (#4.7.1)"));
  writeFileSync(join(server.root, "control/qmqpclients"), "127.0.0.0/8\n");
  assert.equal((await server.postern(["reload"])).code, 0);
  await until("the reload", async () => /^\d+:Kok \d+ qp \d+,$/.test(await ask(port, request)));
  await until("both deliveries", () => textsOf(server, "u").length === 1 && sink.received.length === 1);
  assert.match(textsOf(server, "u")[0] ?? "", /Received: from unknown \(127\.0\.0\.1\)\n {2}by localhost with QMQP; /);
  assert.deepEqual(sink.received[0]?.forwardPaths, ["r@b.test"]);
});

test("Postfix's qmqp-source hands its messages in", { skip: without("smtp-sink") }, async () => {
  const port = await freePort();
  const control = { qmqplisten: `127.0.0.1:${port}\n`, qmqpclients: "127.0.0.1\n" };
  await using server = await startServer({ control });
  const args = ["-s", "4", "-m", "40", "-l", "5000", "-f", "s@localhost", "-t", "u@localhost", `127.0.0.1:${port}`];
  const { code, stderr } = await postfixTool("qmqp-source", args);
  assert.equal(code, 0, stderr);
  await until("forty deliveries", () => textsOf(server, "u").length === 40);
});

/** A folder with control/ and no server, and inject and sendmail in it. */
function hostWithoutQueue(servers: string) {
  const root = temporaryFolder();
  mkdirSync(join(root, "control"));
  writeFileSync(join(root, "control/me"), "mini.test\n");
  writeFileSync(join(root, "control/qmqpservers"), servers);
  return {
    run: (args: readonly string[], input: string) =>
      runPostern([...args.slice(0, 1), "--root", root, ...args.slice(1)], input),
    [Symbol.dispose]: () => rmSync(root, { recursive: true }),
  };
}
const message = "To: u@there.test\nSubject: mini\n\nbody\n";

test("Postfix's qmqp-sink takes what inject and sendmail of a host without a queue give it", {
  skip: without("smtp-sink"),
}, async () => {
  const port = await freePort();
  const env = { ...process.env, LD_LIBRARY_PATH: postfixLibraries };
  const sink = spawn(join(postfixTools, "qmqp-sink"), ["-c", `127.0.0.1:${port}`, "10"], { env, stdio: "ignore" });
  try {
    using host = hostWithoutQueue(`127.0.0.1:${port}\n`);
    await until("the sink", async () => (await host.run(["inject"], message)).code === 0);
    assert.deepEqual(await host.run(["sendmail", "-t"], message), { code: 0, stdout: "", stderr: "" });
  } finally {
    sink.kill();
    await once(sink, "exit");
  }
});

test("§17.181 a host without a queue goes to the next server only after a failed connect", async () => {
  const [nobody, port] = [await freePort(), await freePort()];
  const qmqp = { qmqplisten: `127.0.0.1:${port}\n`, qmqpclients: "127.0.0.1\n" };
  await using server = await startServer({ control: { ...qmqp, mailboxdomains: "there.test:create\n" } });
  using host = hostWithoutQueue(`127.0.0.1:${nobody}\n127.0.0.1:${port}\n`);
  assert.equal((await host.run(["inject"], message)).code, 0);
  await until("the delivery", () => textsOf(server, "u", "there.test").length === 1);
  assert.match(textsOf(server, "u", "there.test")[0] ?? "", /with QMQP; (.|\n)*\nFrom: .*@mini\.test>?\n/);
  const unfit = await host.run(["inject", "-f", "a\u0001@b"], message);
  assert.deepEqual([unfit.code, /addresses like that/.test(unfit.stderr)], [100, true]);
  await server.stop();
  assert.equal((await host.run(["inject"], message)).code, 111);
});

test("§17.223 a VERP sender is expanded for local and remote recipients", async () => {
  await using sink = await startSmtpPeer();
  await using server = await startServer({ control: { smtproutes: `:127.0.0.1:${sink.port}\n` } });
  const env = { ...process.env, QMAILINJECT: "r", QMAILUSER: "list", QMAILHOST: "localhost" };
  const args = ["inject", "--root", server.root, "-a", "u@localhost", "a@far.test", "b@far.test"];
  assert.deepEqual(await runPostern(args, message, env), { code: 0, stdout: "", stderr: "" });
  await until("all deliveries", () => textsOf(server, "u").length === 1 && sink.received.length === 2);
  assert.match(textsOf(server, "u")[0] ?? "", /^Return-Path: <list-u=localhost@localhost>\n/);
  const senders = sink.received.map(({ reversePath, forwardPaths }) => [reversePath, ...forwardPaths]);
  assert.deepEqual(senders.sort(), [
    ["list-a=far.test@localhost", "a@far.test"],
    ["list-b=far.test@localhost", "b@far.test"],
  ]);
});

test("§17.225 the queue and the log show the unexpanded sender", async () => {
  await using sink = await startSmtpPeer({ script: { RCPT: "451 4.2.0 later" } });
  await using server = await startServer({ control: { smtproutes: `:127.0.0.1:${sink.port}\n` } });
  const env = { ...process.env, QMAILINJECT: "r", QMAILUSER: "list", QMAILHOST: "localhost" };
  assert.equal((await runPostern(["inject", "--root", server.root, "-a", "a@far.test"], message, env)).code, 0);
  await until("the attempt", () => sink.lines.some((line) => line.startsWith("RCPT")));
  const { stdout } = await server.postern(["queue", "list", "--json"]);
  assert.equal((JSON.parse(stdout) as { reversePath: string }).reversePath, "list-@localhost-@[]");
  const log = () => readFileSync(join(server.root, "log/current"), "latin1");
  await until("the log", () => log().includes("info"));
  assert.ok(log().includes("list-@localhost-@[]"));
});

test("§17.226 XVERP gives each recipient a sender of its own", async () => {
  await using sink = await startSmtpPeer();
  await using server = await startServer({ control: { smtproutes: `:127.0.0.1:${sink.port}\n` } });
  const client = await SmtpClient.open(server.smtpPort);
  assert.match(await client.command("EHLO client.test"), /^250-XVERP\r?$/m);
  for (const [parameter, expected] of [
    ["XVERP", "list+a=far.test@localhost"],
    ["XVERP=-=", "list-a=far.test@localhost"],
    ["XVERP==-", "list=a-far.test@localhost"],
  ]) {
    const count = sink.received.length;
    assert.match(await client.command(`MAIL FROM:<list@localhost> ${parameter}`), /^250 /);
    assert.match(await client.command("RCPT TO:<a@far.test>"), /^250 /);
    assert.match(await client.command("DATA"), /^354 /);
    assert.match(await client.command("Subject: x\r\n\r\nbody\r\n."), /^250 /);
    await until("the delivery", () => sink.received.length === count + 1);
    assert.equal(sink.received[count]?.reversePath, expected);
  }
  client.close();
});
