import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { Talk } from "../dialogues/talk.ts";
import { writeAccounts } from "../support/accounts.ts";
import { countDelivered, disagreements, type Ledger, queueEmpty } from "../support/load.ts";
import { unlessLong } from "../support/missing.ts";
import { freePort, type Server, startServer, temporaryFolder } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

/** What a program may have at most while it is abused, in MiB; each is far below the limit of its heap. */
const boundsMiB: Readonly<Record<string, number>> = {
  supervise: 90,
  directory: 180, // two passwords at a time, 19 MiB each
  smtpd: 160,
  qmqpd: 110,
  queue: 160,
  local: 90,
  deliver: 90,
  remote: 90,
  logger: 90,
  pop3d: 110,
  pop3session: 90,
};
/** What the well-behaved client gets through during each attack. */
const wanted = 4;
const sockets = 60;
/** At POP3's ports, where most of them log in: a password takes its time. */
const pop3Sockets = 20;

/** What one hostile connection does, again and again, until its socket is gone. */
type Abuse = (socket: Socket, isOver: () => boolean) => Promise<void>;

const endless = "x".repeat(8_192);

/** Writes, and waits for the kernel to take it: our own memory must stay bounded too. */
async function say(socket: Socket, text: string): Promise<void> {
  if (socket.destroyed || socket.write(text, "latin1")) return await wait(betweenWritesMs);
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const event of ["drain", "close"]) socket.once(event, resolve);
  await promise;
}
/** So many attackers share the machine with the server. */
const betweenWritesMs = 50;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const repeat =
  (text: string, before = ""): Abuse =>
  async (socket, isOver) => {
    await say(socket, before);
    while (!isOver() && !socket.destroyed) await say(socket, text);
  };
const dataOf = "MAIL FROM:<a@b.test>\r\nRCPT TO:<abused@localhost>\r\nDATA\r\n";

/** An octet now and then, of a text that never comes to its end. */
const drip =
  (text: string, before = ""): Abuse =>
  async (socket, isOver) => {
    await say(socket, before);
    for (let at = 0; !isOver() && !socket.destroyed; at++) {
      await say(socket, text[at % text.length] ?? "");
      await wait(100);
    }
  };
/** As fast as it goes, each octet in a packet of its own. */
const crumbs =
  (text: string, before = ""): Abuse =>
  async (socket, isOver) => {
    socket.setNoDelay(true);
    await say(socket, before);
    while (!isOver() && !socket.destroyed) {
      for (const octet of text) socket.write(octet);
      await say(socket, "\r");
    }
  };

/** The first of a ClientHello (RFC 8446 §4.1.2), in a record that says it has 512 octets. */
const halfHello = `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${"r".repeat(32)}`;

/** As far as `secureConnect`, and away. */
const handshake: Abuse = async (socket) => {
  const secured = connectTls({ socket, rejectUnauthorized: false });
  secured.on("error", () => {});
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const event of ["secureConnect", "close"]) secured.once(event, resolve);
  await promise;
};

/** What the port with TLS from the start gets to bear. */
const tlsAbuses: readonly { name: string; abuse: Abuse }[] = [
  { name: "handshakes, one after the other", abuse: handshake },
  { name: "clients that stop within the handshake", abuse: drip("", halfHello) },
  { name: "a handshake octet by octet", abuse: drip("r", halfHello) },
  { name: "no TLS where TLS begins", abuse: repeat(endless) },
];

const abuses: readonly { name: string; abuse: Abuse }[] = [
  { name: "slow-loris at the first command", abuse: drip("EHLO never.ends") },
  { name: "slow-loris in a transaction", abuse: drip("RCPT TO:<", "MAIL FROM:<a@b.test>\r\n") },
  { name: "slow-loris in a header", abuse: drip("Subject: ", dataOf) },
  { name: "slow-loris in a body", abuse: drip("line\r\n", `${dataOf}\r\n`) },
  { name: "clients that never say a word", abuse: drip("") },
  { name: "connections that come and go", abuse: async (socket) => void socket.destroy() },
  { name: "commands without end", abuse: repeat("NOOP\r\n".repeat(200)) },
  { name: "RSET without end", abuse: repeat("RSET\r\n".repeat(200), "EHLO x\r\n") },
  { name: "transactions begun and dropped", abuse: repeat("MAIL FROM:<a@b.test>\r\nRSET\r\n".repeat(50)) },
  {
    name: "commands, and no reply is read",
    abuse: (socket, isOver) => repeat("HELP\r\n".repeat(200))(socket.pause(), isOver),
  },
  { name: "errors without end", abuse: repeat("FOO\r\n".repeat(200)) },
  { name: "a command line without end", abuse: repeat(endless) },
  { name: "a command line in crumbs", abuse: crumbs("x".repeat(50)) },
  { name: "a header line without end", abuse: repeat(endless, `${dataOf}Subject: `) },
  { name: "header fields without end", abuse: repeat("X-Field: value\r\n".repeat(500), dataOf) },
  { name: "a body line without end", abuse: repeat(endless, `${dataOf}\r\n`) },
  { name: "a body in crumbs", abuse: crumbs("y".repeat(50), `${dataOf}\r\n`) },
  {
    name: "recipients without end",
    abuse: repeat("RCPT TO:<abused@localhost>\r\n".repeat(20), "MAIL FROM:<a@b.test>\r\n"),
  },
  {
    name: "half-open: the client has said its last word and stays",
    async abuse(socket, isOver) {
      socket.end("EHLO half");
      while (!isOver() && !socket.destroyed) await wait(50);
    },
  },
];

const login = "USER victim@mail.test\r\nPASS secret\r\n";
const guess = "USER guessed@mail.test\r\nPASS wrong\r\n";
/** What the two ports of POP3 get to bear, before the login and after it. */
const pop3Abuses: readonly { name: string; abuse: Abuse }[] = [
  { name: "slow-loris at the first command", abuse: drip("USER never.ends") },
  { name: "slow-loris in a response", abuse: drip("AGpv", "AUTH PLAIN\r\n") },
  { name: "clients that never say a word", abuse: drip("") },
  { name: "connections that come and go", abuse: async (socket) => void socket.destroy() },
  { name: "CAPA without end", abuse: repeat("CAPA\r\n".repeat(50)) },
  { name: "a command line without end", abuse: repeat(endless) },
  { name: "a response without end", abuse: repeat(endless, "AUTH PLAIN\r\n") },
  { name: "guesses, one after the other", abuse: async (socket) => await say(socket, guess) },
  { name: "logins that come and go", abuse: async (socket) => await say(socket, login) },
  { name: "logged in, a command line without end", abuse: repeat(endless, login) },
  { name: "logged in, LIST and UIDL without end", abuse: repeat("LIST\r\nUIDL\r\n".repeat(50), login) },
  {
    name: "logged in, messages without end, and nothing is read",
    abuse: (socket, isOver) => repeat("RETR 1\r\n".repeat(50), login)(socket.pause(), isOver),
  },
  { name: "logged in and silent", abuse: drip("", login) },
];

/** What the local submission socket (QMQP) gets to bear. */
const localAbuses: readonly { name: string; abuse: Abuse }[] = [
  { name: "slow-loris", abuse: drip("1") },
  { name: "clients that never say a word", abuse: drip("") },
  { name: "connections that come and go", abuse: async (socket) => void socket.destroy() },
  { name: "a length without end", abuse: repeat("9".repeat(8_192)) },
  { name: "a message without end", abuse: repeat(endless, "4000000000:3999999000:") },
  { name: "recipients without end", abuse: repeat("9:a@b.test,".repeat(500), "4000000000:1:\n,0:,") },
  { name: "no netstring at all", abuse: repeat("\0\xff:,".repeat(1_000)) },
];

/** Where an abuse goes, and from how many addresses. */
type Door = { readonly port: number; readonly addresses: number } | { readonly path: string };

test("while a server is abused, a well-behaved client's mail keeps flowing", async (t) => {
  await using stack = new AsyncDisposableStack();
  const folder = temporaryFolder();
  stack.defer(() => rmSync(folder, { recursive: true }));
  const [pop3Port, pop3sPort] = [await freePort(), await freePort()];
  const server = stack.use(await startWithMailboxes(folder, pop3Port, pop3sPort));
  const ledger: Ledger = { acknowledged: new Set(), refused: new Set(), doubtful: new Set() };
  const peaks = new Map<string, number>();
  const endure = (name: string, door: Door, abuse: Abuse, isPop3 = false) =>
    t.test(name, { timeout: 30_000 }, async () => {
      let over = false;
      const isOver = (): boolean => over;
      const attack = Promise.all(
        Array.from({ length: isPop3 ? pop3Sockets : sockets }, (_, n) => attacker(door, n, abuse, isOver)),
      );
      const watched = watchMemory(server, peaks, isOver);
      const reads = isPop3 ? reader(pop3Port) : undefined;
      await Promise.all([wellBehaved(server, ledger), reads]).finally(() => {
        over = true;
      });
      await Promise.all([attack, watched]);
      assert.deepEqual([...ledger.refused], []);
      for (const [program, peakMiB] of peaks)
        assert.ok(peakMiB < (boundsMiB[program] ?? 0), `${program}: ${peakMiB} MiB`);
    });
  // The short form takes turns: from one address, from many.
  for (const [n, { name, abuse }] of abuses.entries()) {
    for (const addresses of unlessLong() ? [n % 2 === 0 ? 1 : sockets] : [1, sockets]) {
      await endure(`${name}, from ${addresses} addresses`, { port: server.smtpPort, addresses }, abuse);
    }
  }
  for (const [n, { name, abuse }] of tlsAbuses.entries()) {
    for (const addresses of unlessLong() ? [n % 2 === 0 ? sockets : 1] : [1, sockets]) {
      await endure(`${name}, from ${addresses} addresses`, { port: server.smtpsPort, addresses }, abuse);
    }
  }
  for (const [n, { name, abuse }] of pop3Abuses.entries()) {
    for (const addresses of unlessLong() ? [n % 2 === 0 ? 1 : pop3Sockets] : [1, pop3Sockets]) {
      await endure(`POP3: ${name}, from ${addresses} addresses`, { port: pop3Port, addresses }, abuse, true);
    }
  }
  for (const { name, abuse } of tlsAbuses) {
    await endure(`POP3: ${name}`, { port: pop3sPort, addresses: pop3Sockets }, abuse, true);
  }
  const path = join(server.root, "run/submission/qmqp");
  for (const { name, abuse } of localAbuses) await endure(`${name}, by local users`, { path }, abuse);
  await queueEmpty(server, 20_000);
  assert.deepEqual(disagreements(ledger, countDelivered(server, ["good"])), []);
  assert.deepEqual(
    (await server.status()).filter(({ restarts }) => restarts > 0),
    [],
  );
  t.diagnostic([...peaks].map(([program, peakMiB]) => `${program} ${peakMiB} MiB`).join(", "));
  checkLog(server, t);
});

/** Two accounts: the mailbox of one has a large message. */
async function startWithMailboxes(folder: string, pop3Port: number, pop3sPort: number): Promise<Server> {
  await writeAccounts(folder, [
    ["ann@mail.test", "secret"],
    ["victim@mail.test", "secret"],
  ]);
  return await startServer({
    folder,
    control: {
      mailboxdomains: "localhost:create\nmail.test:accounts\n",
      pop3listen: `127.0.0.1:${pop3Port}\n`,
      pop3slisten: `127.0.0.1:${pop3sPort}\n`,
      clearlogin: "1\n",
    },
    files: { "mail/mail.test/victim/Maildir/new/1.large": `Subject: large\n\n${"text\n".repeat(1_000_000)}` },
  });
}

/** Each connection has its coming, its going and at most so many refusals in the log; no line tells of single octets. */
const maxLinesOfConnection = 24;
const maxLineOctets = 2_000;

function checkLog(server: Server, t: TestContext): void {
  const folder = join(server.root, "log");
  const lines = readdirSync(folder).flatMap((name) =>
    readFileSync(join(folder, name), "utf8").split("\n").filter(Boolean),
  );
  const ofConnection = new Map<string, number>();
  for (const line of lines) {
    assert.ok(line.length <= maxLineOctets, line);
    const { program, connection } = JSON.parse(line) as { program: string; connection?: number };
    const key = `${program} ${connection}`;
    if (connection !== undefined) ofConnection.set(key, (ofConnection.get(key) ?? 0) + 1);
  }
  t.diagnostic(`${lines.length} lines of log for ${ofConnection.size} connections`);
  assert.ok(Math.max(...ofConnection.values()) <= maxLinesOfConnection);
}

/** Notes the most that each program has at a time, until it is over. */
async function watchMemory(server: Server, peaks: Map<string, number>, isOver: () => boolean): Promise<void> {
  do {
    for (const { name, memoryKiB } of await server.status()) {
      peaks.set(name, Math.max(peaks.get(name) ?? 0, Math.round(memoryKiB / 1_024)));
    }
    await wait(200);
  } while (!isOver());
}

/** 127.0.1.1 and so on: the well-behaved client has 127.0.0.1 to itself. */
const address = (n: number): string => `127.0.${1 + Math.floor(n / 250)}.${1 + (n % 250)}`;

async function attacker(door: Door, n: number, abuse: Abuse, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const socket =
      "path" in door
        ? connect(door.path)
        : connect({ port: door.port, host: "127.0.0.1", localAddress: address(n % door.addresses) });
    socket.on("error", () => {});
    socket.resume();
    const closed = new Promise<void>((resolve) => socket.once("close", resolve));
    await Promise.race([new Promise<void>((resolve) => socket.once("connect", resolve)), closed]);
    await abuse(socket, isOver);
    socket.destroy();
    await closed;
    await wait(betweenWritesMs);
  }
}

/** Looks into a mailbox, again and again, on a connection of its own, as if nothing was going on. */
async function reader(port: number): Promise<void> {
  for (let count = 0; count < wanted; count++) {
    const talk = await Talk.open(port);
    talk.send("USER ann@mail.test\r\nPASS secret\r\nSTAT\r\nQUIT\r\n");
    const replies: (string | undefined)[] = [];
    for (let line = await talk.line(); line !== undefined; line = await talk.line()) replies.push(line);
    talk.close();
    assert.deepEqual(replies, ["+OK localhost ready", "+OK ", "+OK ", "+OK 0 0", "+OK "]);
  }
}

/** Sends one message after the other, each on a connection of its own, as if nothing was going on. */
async function wellBehaved(server: Server, ledger: Ledger): Promise<void> {
  for (let count = 0; count < wanted; count++) {
    const n = ledger.acknowledged.size + ledger.refused.size;
    const client = await SmtpClient.open(server.smtpPort);
    const reply = await client.message("good@example.test", ["good@localhost"], `X-Load: ${n}\n\ngood\n`);
    (reply.startsWith("250") ? ledger.acknowledged : ledger.refused).add(n);
    client.close();
  }
}
