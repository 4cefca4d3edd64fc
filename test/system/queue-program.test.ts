import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startProduction } from "../attacks/production.ts";
import { unlessRoot } from "../support/missing.ts";
import { mailboxOf, readMaildir, type Server, startServer, temporaryFolder, tree, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

/** What a site's filter is like: marks a message and passes it on, or refuses it; the recipient says what it is to do. */
const filter = (folder: string): string => `#!/bin/sh
umask 077
work=$(mktemp -d "${folder}/work-XXXXXX") && cd "$work" || exit 81
cat >message
cat <&1 >envelope
echo x >>${folder}/runs
case $(tr '\\0' ' ' <envelope) in
*Tvirus@*) echo "Dno viruses, please (#5.7.1)" >&6; exit 82 ;;
*Tlater@*) echo "Zgreylisted (#4.7.1)" >&6; exit 82 ;;
*Trefused@*) exit 31 ;;
*Tbroken@*) exit 71 ;;
*Tkilled@*) kill -9 $$ ;;
esac
{ echo "X-Filter: $TCPREMOTEIP relay=\${RELAYCLIENT-no} pid=$$"; cat message; } | ${folder}/qmail-queue 1<envelope
`;

let server: Server;
let folder: string;
before(async () => {
  folder = temporaryFolder();
  chmodSync(folder, 0o777);
  symlinkSync(join(tree, "bin/qmail/qmail-queue"), join(folder, "qmail-queue"));
  writeFileSync(join(folder, "filter"), filter(folder));
  chmodSync(join(folder, "filter"), 0o755);
  server = await startServer({ control: { qmailqueue: `${join(folder, "filter")}\n` } });
});
after(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function send(forwardPath: string, text: string): Promise<string> {
  const client = await SmtpClient.open(server.smtpPort);
  await client.command("EHLO client.test");
  const reply = await client.message("a@example.test", [forwardPath], text);
  await client.quit();
  return reply;
}

async function arrived(localPart: string): Promise<string> {
  await until("its arrival", () => readMaildir(mailboxOf(server, localPart)).length > 0);
  const messages = readMaildir(mailboxOf(server, localPart));
  assert.equal(messages.length, 1);
  return messages[0]?.text ?? "";
}

test("§17.15 §17.19 a filter marks what comes by SMTP and hands it to qmail-queue; qp is its pid", async () => {
  const text = "Subject: x\n\n.dot\n\xe4\n";
  const reply = await send("marked@localhost", text);
  const [, pid] = /^250 2\.0\.0 ok \d+ qp (\d+)$/.exec(reply) ?? [];
  assert.ok(pid, reply);
  const whole = await arrived("marked");
  assert.match(whole, new RegExp(`^X-Filter: 127\\.0\\.0\\.1 relay= pid=${pid}$`, "m"));
  assert.match(whole, /^Received: \(postern \d+ invoked by uid \d+\); /m, "§17.7: qmail-queue's own line");
  assert.match(whole, /^Received: from unknown \(HELO client\.test\) \(127\.0\.0\.1\)\n {2}by localhost with ESMTP;/m);
  assert.ok(whole.endsWith(text));
});

test("a filter passes a message of 8 MB on, whole and once", async () => {
  const text = `Subject: large\n\n${`${"y".repeat(99)}\n`.repeat(80_000)}`;
  assert.match(await send("large@localhost", text), /^250/);
  assert.ok((await arrived("large")).endsWith(text));
});

const refusals = [
  { row: "18", localPart: "virus", reply: "554 5.7.1 no viruses, please" },
  { row: "18", localPart: "later", reply: "451 4.7.1 greylisted" },
  { row: "16", localPart: "refused", reply: "554 5.3.0 mail server permanently rejected message" },
  { row: "16", localPart: "broken", reply: "451 4.3.0 mail server temporarily rejected message" },
  { row: "150", localPart: "killed", reply: "451 4.3.0 qq crashed" },
];

for (const { row, localPart, reply } of refusals) {
  test(`§17.${row} a filter's verdict on ${localPart}@localhost is the reply to the client`, async () => {
    assert.equal(await send(`${localPart}@localhost`, "Subject: x\n\n"), reply);
    assert.deepEqual(readMaildir(mailboxOf(server, localPart)), []);
  });
}

test("§17.15 inject and sendmail run the program that QMAILQUEUE names", async () => {
  const env = { ...process.env, POSTERN_ROOT: server.root, QMAILQUEUE: join(folder, "filter") };
  for (const command of ["inject", "sendmail"]) {
    const ended = await runWith(
      spawn(join(tree, "bin/postern"), [command, `by-${command}@localhost`], { env }),
      "x: y\n\n",
    );
    assert.deepEqual(ended, { code: 0, stderr: "" });
    assert.match(await arrived(`by-${command}`), /^X-Filter: {2}relay=no pid=\d+$/m);
  }
});

test("§17.213 sendmail -bs speaks SMTP, and lets its caller send to anywhere", async () => {
  const env = { ...process.env, POSTERN_ROOT: server.root };
  const child = spawn(join(tree, "bin/postern"), ["sendmail", "-bs"], { env });
  let said = "";
  child.stdout?.on("data", (chunk) => (said += chunk));
  const commands = "EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<bs@localhost>\r\nRCPT TO:<n@elsewhere.test>\r\nRSET\r\n";
  const message = "MAIL FROM:<a@x.test>\r\nRCPT TO:<bs@localhost>\r\nDATA\r\nSubject: bs\r\n.\r\nQUIT\r\n";
  assert.deepEqual(await runWith(child, commands + message), { code: 0, stderr: "" });
  assert.deepEqual(said.match(/^\d+(?= )/gm)?.join(" "), "220 250 250 250 250 250 250 250 354 250 221");
  assert.match(await arrived("bs"), /\nSubject: bs\n$/);
});

const injected = [
  { localPart: "virus", inject: 100, sendmail: 77, text: "no viruses, please" },
  { localPart: "later", inject: 111, sendmail: 75, text: "greylisted" },
];

for (const { localPart, text, ...codes } of injected) {
  test(`§17.211 inject and sendmail tell what the program says: ${text}`, async () => {
    const env = { ...process.env, POSTERN_ROOT: server.root, QMAILQUEUE: join(folder, "filter") };
    for (const command of ["inject", "sendmail"] as const) {
      const child = spawn(join(tree, "bin/postern"), [command, `${localPart}@localhost`], { env });
      const { code, stderr } = await runWith(child, "x: y\n\n");
      assert.equal(code, codes[command]);
      assert.match(stderr, new RegExp(text));
    }
  });
}

/** Runs `qmail-queue` as a filter does: the message on descriptor 0, then the envelope on descriptor 1. */
async function queue(message: string, envelope: string): Promise<{ code: number | null; stderr: string }> {
  const child = spawn("/bin/sh", ["-c", 'exec "$0" 1<&3 3<&-', join(folder, "qmail-queue")], {
    env: { PATH: process.env.PATH, POSTERN_ROOT: server.root },
    stdio: ["pipe", "ignore", "pipe", "pipe"],
  });
  child.stdin?.on("error", () => {});
  const forEnvelope = child.stdio[3];
  assert.ok(forEnvelope instanceof Socket);
  forEnvelope.on("error", () => {});
  child.stdin?.end(Buffer.from(message, "latin1"), () => forEnvelope.end(Buffer.from(envelope, "latin1")));
  return ended(child);
}

function runWith(child: ChildProcess, input: string): Promise<{ code: number | null; stderr: string }> {
  child.stdin?.end(input);
  return ended(child);
}

async function ended(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = "";
  child.stderr?.on("data", (chunk) => (stderr += chunk));
  const [code] = await once(child, "close");
  return { code, stderr };
}

test("§17.1 §17.2 §17.7 qmail-queue reads the message, then the envelope, and adds one Received line", async () => {
  const envelope = "Fs@example.test\0Tqueued@localhost\0\0";
  assert.deepEqual(await queue("Subject: x\n\n\xff no last line", envelope), { code: 0, stderr: "" });
  const whole = await arrived("queued");
  assert.match(whole, /^Return-Path: <s@example\.test>\nDelivered-To: queued@localhost\nReceived: /);
  assert.equal(whole.match(/^Received: /gm)?.length, 1);
  assert.match(whole, /^Received: \(postern \d+ invoked by uid \d+\); \d+ \w+ \d+ [\d:]+ -0000\n/m);
  assert.match(whole, /Subject: x\n\n\xff no last line\n?$/, "§17.9: and nothing else is changed");
});

const codes = [
  { row: "3", name: "no recipient", envelope: "Fs@x.test\0\0", code: 0 },
  { row: "4", name: "an address of 1003 octets", envelope: `Fs\0T${"x".repeat(1_003)}\0\0`, code: 11 },
  { row: "5", name: "an envelope given up", envelope: "Fs\0Tgiven-up@localhost\0", code: 54 },
  { row: "6", name: "what is no envelope", envelope: "Xs\0\0", code: 91 },
];

for (const { row, name, envelope, code } of codes) {
  test(`§17.${row} qmail-queue exits ${code} for ${name}`, async () => {
    assert.equal((await queue("x: y\n\n", envelope)).code, code);
    assert.deepEqual(readMaildir(mailboxOf(server, "given-up")), []);
  });
}

test("qmail-queue exits 31 for what the server will never take, 71 while there is no server, and says why", async () => {
  const refused = await queue("a bare \r here\n", "Fs@x.test\0Ta@localhost\0\0");
  assert.equal(refused.code, 31);
  assert.match(refused.stderr, /^qmail-queue: the message holds a bare carriage return at octet 7\n$/);
  const nowhere = join(folder, "nowhere");
  writeFileSync(join(folder, "envelope"), "Fs@x.test\0Ta@localhost\0\0");
  mkdirSync(nowhere);
  const child = spawn("/bin/sh", ["-c", `exec ${folder}/qmail-queue 1<${folder}/envelope`], {
    env: { PATH: process.env.PATH, POSTERN_ROOT: nowhere },
  });
  assert.equal((await runWith(child, "x: y\n\n")).code, 71);
});

test("as root, a filter runs as postern-hook, with no rights of ours, and qmail-queue hands in as that user", {
  skip: unlessRoot(),
}, async () => {
  const work = join(folder, "of-hook");
  mkdirSync(work);
  chmodSync(work, 0o777);
  const path = join(folder, "who");
  const who = "id -u; id -G; cat /proc/self/status | grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|Groups)'";
  writeFileSync(path, `#!/bin/sh\n{ ${who}; } >${work}/who\ncat <&1 >${work}/e; ${folder}/qmail-queue 1<${work}/e\n`);
  chmodSync(path, 0o755);
  await using production = await startProduction({ users: ["joe"], control: { qmailqueue: path } });
  const hook = (await production.status()).find(({ name }) => name === "hook");
  assert.ok(hook && hook.uid !== 0);
  assert.match(await production.send(["joe@mx.example"], "Subject: x\n\nbody\n"), /^250 /);
  assert.equal((await production.endOf("joe")).result, "success");
  const [uid, groups, ...status] = readFileSync(join(work, "who"), "latin1").trim().split("\n");
  assert.deepEqual([uid, groups], [String(hook.uid), String(hook.uid)]);
  for (const line of status) assert.match(line, /:\s*(0{16})?$/);
  assert.match(production.mailOf("joe")[0] ?? "", new RegExp(`\\(postern \\d+ invoked by uid ${hook.uid}\\)`));
});
