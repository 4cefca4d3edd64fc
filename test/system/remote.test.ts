import assert from "node:assert/strict";
import { test } from "node:test";
import { type DnsRule, startDnsServer } from "../support/dns-server.ts";
import { freePort, mailboxOf, readMaildir, type Server, startServer, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import { die, hang, type Script, startSmtpPeer } from "../support/smtp-peer.ts";

const sender = "sender@localhost";
const bounces = (server: Server): string[] => readMaildir(mailboxOf(server, "sender")).map(({ text }) => text);

async function submit(server: Server, forwardPaths: readonly string[], text = "Subject: out\n\nbody\n"): Promise<void> {
  const client = await SmtpClient.open(server.smtpPort);
  assert.match(await client.message(sender, forwardPaths, text), /^250 /);
  await client.quit();
}

interface Waiting {
  readonly recipients: readonly { readonly attempts: number; readonly lastReply: string }[];
}
async function waiting(server: Server): Promise<Waiting[]> {
  const { stdout } = await server.postern(["queue", "list", "--json"]);
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Waiting);
}

const behaviours: readonly {
  name: string;
  script: Script;
  ends: "delivered" | "deferred" | "bounced";
  says: RegExp;
}[] = [
  { name: "takes it", script: {}, ends: "delivered", says: /./ },
  { name: "refuses the recipient", script: { RCPT: "550 5.1.1 nobody here" }, ends: "bounced", says: /nobody here/ },
  { name: "refuses the sender", script: { MAIL: "550 5.7.1 not you" }, ends: "bounced", says: /not you/ },
  { name: "refuses the message", script: { end: "554 5.6.0 not that" }, ends: "bounced", says: /not that/ },
  { name: "refuses the recipient for now", script: { RCPT: "451 4.2.0 later" }, ends: "deferred", says: /later/ },
  { name: "refuses DATA for now", script: { DATA: "452 4.3.1 full" }, ends: "deferred", says: /full/ },
  { name: "greets with 421", script: { connect: "421 busy" }, ends: "deferred", says: /./ },
  { name: "dies at MAIL", script: { MAIL: die }, ends: "deferred", says: /connection died/ },
  { name: "dies after the last dot", script: { end: die }, ends: "deferred", says: /Possible duplicate!/ },
  { name: "speaks no EHLO", script: { EHLO: "502 what?" }, ends: "delivered", says: /./ },
];

test("a peer that", async (t) => {
  const peers = await Promise.all(behaviours.map(({ script }) => startSmtpPeer({ script })));
  const routes = peers.map((peer, n) => `d${n}.test:127.0.0.1:${peer.port}\n`).join("");
  await using server = await startServer({ control: { smtproutes: routes } });
  for (const [n, { name, ends, says }] of behaviours.entries()) {
    await t.test(`${name}: ${ends}`, async () => {
      const before = bounces(server).length;
      await submit(server, [`user@d${n}.test`]);
      if (ends === "delivered") await until("its delivery", () => peers[n]?.received.length === 1);
      if (ends === "bounced") {
        await until("the bounce", () => bounces(server).length === before + 1);
        const bounce = bounces(server).find((text) => text.includes(`<user@d${n}.test>:`)) ?? "";
        assert.match(bounce, says);
        assert.match(bounce, /^Return-Path: <>$/m);
        assert.match(bounce, /^Content-Type: multipart\/report;/m);
      }
      if (ends === "deferred") {
        const lastReply = async () =>
          (await waiting(server)).flatMap((row) => row.recipients).map((each) => each.lastReply);
        await until("the deferral", async () => (await lastReply()).some((reply) => says.test(reply)));
        assert.equal((await server.postern(["queue", "delete", "--destination", `d${n}.test`])).code, 0);
      }
      await until("an empty queue", async () => (await waiting(server)).length === 0);
    });
  }
  for (const peer of peers) await peer[Symbol.asyncDispose]();
});

const names: readonly {
  name: string;
  rules: readonly (readonly [string, DnsRule])[];
  ends: "deferred" | "bounced";
  says: RegExp;
}[] = [
  {
    name: "null MX",
    rules: [["x.test MX", { kind: "answer", records: [{ type: "MX", preference: 0, exchange: "" }] }]],
    ends: "bounced",
    says: /5\.1\.10/,
  },
  { name: "no such domain", rules: [["x.test *", { kind: "nxdomain" }]], ends: "bounced", says: /5\.1\.2|5\.4\.4/ },
  { name: "SERVFAIL", rules: [["x.test *", { kind: "servfail" }]], ends: "deferred", says: /./ },
  { name: "a timeout", rules: [["x.test *", { kind: "timeout" }]], ends: "deferred", says: /./ },
  {
    name: "an MX that is ourselves",
    rules: [
      ["x.test MX", { kind: "answer", records: [{ type: "MX", preference: 5, exchange: "us.test" }] }],
      ["us.test A", { kind: "answer", records: [{ type: "A", address: "127.0.0.1" }] }],
    ],
    ends: "bounced",
    says: /best-preference MX/,
  },
];

test("a name with", async (t) => {
  await using dns = await startDnsServer();
  await using server = await startServer({ control: { nameservers: `${dns.address}\n` } });
  for (const [n, { name, rules, ends, says }] of names.entries()) {
    await t.test(`${name}: ${ends}`, async () => {
      for (const [key, rule] of rules) dns.rules.set(key.replace("x.test", `x${n}.test`), rule);
      const before = bounces(server).length;
      await submit(server, [`user@x${n}.test`]);
      if (ends === "bounced") {
        await until("the bounce", () => bounces(server).length > before);
        assert.match(bounces(server).find((text) => text.includes(`user@x${n}.test`)) ?? "", says);
        return;
      }
      await until("the deferral", async () => (await waiting(server)).some((row) => row.recipients[0]?.attempts === 1));
      await server.postern(["queue", "delete", "--destination", `x${n}.test`]);
    });
  }
});

test("one message to 300 recipients of one domain goes in a few transactions, each recipient with its own fate", async () => {
  await using peer = await startSmtpPeer({
    script: { RCPT: (line) => (/<u(\d*5)@/.test(line) ? "550 5.1.1 no five" : undefined) },
  });
  await using server = await startServer({ control: { smtproutes: `:127.0.0.1:${peer.port}\n` } });
  await submit(
    server,
    Array.from({ length: 300 }, (_, n) => `u${n}@many.test`),
  );
  await until("one bounce for all that failed", () => bounces(server).length === 1);
  const [bounce = ""] = bounces(server);
  assert.equal(bounce.match(/^Final-Recipient: /gm)?.length, 30);
  assert.equal(peer.received.flatMap((message) => message.forwardPaths).length, 270);
  assert.ok(peer.received.length <= 10, `${peer.received.length} transactions`);
});

test("a server that takes 7 recipients and 2 messages at once gets all of 40, at the first attempt", async () => {
  await using peer = await startSmtpPeer({ extensions: ["PIPELINING", "LIMITS RCPTMAX=7 MAILMAX=2"] });
  await using server = await startServer({
    control: { smtproutes: `:127.0.0.1:${peer.port}\n`, concurrencydestination: "1\n" },
  });
  const forwardPaths = Array.from({ length: 40 }, (_, n) => `u${n}@few.test`);
  await submit(server, forwardPaths);
  await until("an empty queue", async () => (await waiting(server)).length === 0);
  assert.deepEqual(peer.received.flatMap((message) => message.forwardPaths).toSorted(), forwardPaths.toSorted());
  assert.deepEqual(
    peer.received.map((message) => message.forwardPaths.length),
    [7, 7, 7, 7, 7, 5],
  );
  assert.deepEqual(
    peer.received.map(({ connection }) => connection),
    [1, 1, 2, 2, 3, 3],
  );
});

test("a destination that hangs does not hold up the others", async () => {
  await using hanging = await startSmtpPeer({ script: { EHLO: hang } });
  await using good = await startSmtpPeer();
  const control = { smtproutes: `hang.test:127.0.0.1:${hanging.port}\n:127.0.0.1:${good.port}\n` };
  await using server = await startServer({ control });
  for (let n = 0; n < 150; n++) await submit(server, [`u${n}@hang.test`]);
  for (let n = 0; n < 20; n++) await submit(server, [`u${n}@good${n}.test`]);
  await until("the good ones", () => good.received.length === 20, 20_000);
});

test("bounces of bounces go to postmaster, and bounces of those nowhere", async () => {
  await using peer = await startSmtpPeer({ script: { RCPT: "550 5.1.1 never" } });
  const port = await freePort();
  assert.ok(port);
  await using server = await startServer({
    control: { smtproutes: `:127.0.0.1:${peer.port}\n`, bounceformat: "qsbmf\n" },
  });
  const client = await SmtpClient.open(server.smtpPort);
  assert.match(await client.message("", ["x@far.test"], "Subject: from nobody\n\n"), /^250 /);
  await client.quit();
  const double = () => readMaildir(mailboxOf(server, "postmaster"));
  await until("the double bounce", () => double().length === 1);
  assert.match(double()[0]?.text ?? "", /^Return-Path: <#@\[\]>$/m);
  assert.match(double()[0]?.text ?? "", /the bounce bounced!/);
});
