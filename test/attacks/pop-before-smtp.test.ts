import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { writeAccounts } from "../support/accounts.ts";
import { run } from "../support/commands.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { type Server, startServer, temporaryFolder } from "../support/server.ts";

const skip = unlessRoot() || without("ip", "python3", "unshare");
const [reader, neighbour, proxy] = ["198.51.100.7", "198.51.100.8", "198.51.100.9"];
const joe = "joe@mail.test";
let server: Server;

/** A network of its own, where one host has these addresses: who connects to one comes from it. */
before(async () => {
  if (skip) return;
  const folder = temporaryFolder();
  await writeAccounts(folder, [[joe, "secret"]]);
  const addresses = [reader, neighbour, proxy].map((address) => `ip addr add ${address}/32 dev lo`);
  const begin = ["ip link set lo up", ...addresses, 'exec "$@"'].join(" && ");
  server = await startServer({
    folder,
    within: ["unshare", "--net", "sh", "-c", begin, "sh"],
    control: {
      mailboxdomains: "mail.test:accounts\n",
      relayclients: "",
      smtplisten: "0.0.0.0:2525\n",
      submissionlisten: "",
      smtpslisten: "",
      pop3listen: "",
      pop3slisten: "0.0.0.0:2995\n",
      proxyclients: `${proxy}\n`,
    },
  });
});
after(async () => {
  await server?.stop();
});

async function python(script: string): Promise<unknown> {
  const lines = ["import poplib, smtplib, socket, ssl, json", "tls = ssl._create_unverified_context()", script];
  const inside = ["--target", String(server.process.pid), "--net", "python3", "-"];
  const { code, stdout, stderr } = await run("nsenter", inside, [...lines, "print(json.dumps(result))"].join("\n"));
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** Whether the login worked. */
const read = (address: string, password = "secret"): Promise<unknown> =>
  python(`p = poplib.POP3_SSL("${address}", 2995, context=tls)
p.user("${joe}")
try: result = p.pass_("${password}")[:3] == b"+OK"
except poplib.error_proto: result = False`);

/** The reply to a recipient elsewhere, what else is said before left to the caller. */
const relay = (address: string): Promise<unknown> =>
  python(`s = smtplib.SMTP("${address}", 2525, local_hostname="x")
s.helo(); s.mail("a@far.example")
result = s.rcpt("b@elsewhere.example")[0]
s.close()`);

/** The same, behind a header of the PROXY protocol: was it taken? */
const relayBehindHeader = (address: string, named = reader): Promise<unknown> =>
  python(`c = socket.create_connection(("${address}", 2525), 10)
c.sendall(b"PROXY TCP4 ${named} ${address} 4000 25\\r\\n")
f = c.makefile("rb")
lines = [f.readline()]
for line in [b"HELO x", b"MAIL FROM:<a@far.example>", b"RCPT TO:<b@elsewhere.example>", b"QUIT"]: c.sendall(line + b"\\r\\n")
lines += f.readlines()
result = any(line.startswith(b"250 2.1.5") for line in lines)`);

async function setWindow(minutes: number): Promise<void> {
  writeFileSync(join(server.root, "control/popbeforesmtp"), `${minutes}\n`);
  const { code, stderr } = await server.postern(["reload"]);
  assert.equal(code, 0, stderr);
}

test("POP before SMTP is off by default, and what was read then does not count later", { skip }, async () => {
  assert.equal(await read(reader), true);
  assert.equal(await relay(reader), 550);
  await setWindow(30);
  assert.equal(await relay(reader), 550);
});

test("a wrong password lets nobody relay", { skip }, async () => {
  assert.equal(await read(reader, "Secret"), false);
  assert.equal(await relay(reader), 550);
});

test("a login lets its own address relay, and no other", { skip }, async () => {
  assert.equal(await read(reader), true);
  assert.equal(await relay(reader), 250);
  for (const address of [neighbour, "127.0.0.1"]) assert.equal(await relay(address), 550, address);
});

test("a header of the PROXY protocol does not make a stranger the reader", { skip }, async () => {
  assert.equal(await relayBehindHeader(neighbour), false);
  assert.equal(await relayBehindHeader("127.0.0.1"), false);
  assert.equal(await relayBehindHeader(proxy), true, "a proxy of ours may say whose name it comes in");
});

test("a login on loopback, or from a proxy with many clients behind it, lets nobody relay", { skip }, async () => {
  for (const address of ["127.0.0.1", proxy]) assert.equal(await read(address), true, address);
  assert.equal(await relay("127.0.0.1"), 550);
  assert.equal(await relayBehindHeader(proxy, "127.0.0.1"), false);
  assert.equal(await relayBehindHeader(proxy, proxy), false);
});

test("switched off, it is over at once", { skip }, async () => {
  assert.equal(await relay(reader), 250);
  await setWindow(0);
  assert.equal(await relay(reader), 550);
  await setWindow(30);
  assert.equal(await relay(reader), 550);
});

test("a restart of directory forgets who has read", { skip }, async () => {
  assert.equal(await read(reader), true);
  assert.equal(await relay(reader), 250);
  const directory = (await server.status()).find(({ name }) => name === "directory");
  process.kill(directory?.pid ?? 0, "SIGKILL");
  let reply = await relay(reader);
  for (let times = 0; reply === 451 && times < 100; times++) reply = await relay(reader);
  assert.equal(reply, 550);
});
