import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { countDelivered, disagreements, type Ledger, queueEmpty } from "../support/load.ts";
import { type Server, startServer } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

const boundKiB = 300 * 1_024;
/** What the well-behaved client gets through during each attack. */
const wanted = 6;
const sockets = 60;

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
const betweenWritesMs = 20;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const repeat =
  (text: string, before = ""): Abuse =>
  async (socket, isOver) => {
    await say(socket, before);
    while (!isOver() && !socket.destroyed) await say(socket, text);
  };
const dataOf = "MAIL FROM:<a@b.test>\r\nRCPT TO:<abused@localhost>\r\nDATA\r\n";

const abuses: readonly { name: string; abuse: Abuse }[] = [
  {
    name: "slow-loris: an octet now and then",
    async abuse(socket, isOver) {
      for (let at = 0; !isOver() && !socket.destroyed; at++) {
        await say(socket, "EHLO never.ends"[at % 15] ?? "");
        await wait(100);
      }
    },
  },
  { name: "connections that come and go", abuse: async (socket) => void socket.destroy() },
  { name: "commands without end", abuse: repeat("NOOP\r\n".repeat(200)) },
  {
    name: "commands, and no reply is read",
    abuse: (socket, isOver) => repeat("HELP\r\n".repeat(200))(socket.pause(), isOver),
  },
  { name: "errors without end", abuse: repeat("FOO\r\n".repeat(200)) },
  { name: "a line without end", abuse: repeat(endless) },
  { name: "a header line without end", abuse: repeat(endless, `${dataOf}Subject: `) },
  { name: "header fields without end", abuse: repeat("X-Field: value\r\n".repeat(500), dataOf) },
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

test("while a server is abused, a well-behaved client's mail keeps flowing", async (t) => {
  await using server = await startServer();
  const ledger: Ledger = { acknowledged: new Set(), refused: new Set(), doubtful: new Set() };
  for (const { name, abuse } of abuses) {
    for (const addresses of [1, sockets]) {
      await t.test(`${name}, from ${addresses} addresses`, { timeout: 30_000 }, async (t) => {
        let over = false;
        const isOver = (): boolean => over;
        const attack = Promise.all(
          Array.from({ length: sockets }, (_, n) => attacker(server, address(n % addresses), abuse, isOver)),
        );
        const peakKiB = peakMemoryKiB(server, isOver);
        await wellBehaved(server, ledger).finally(() => {
          over = true;
        });
        await attack;
        t.diagnostic(`peak ${Math.round((await peakKiB) / 1_024)} MiB PSS`);
        assert.ok((await peakKiB) < boundKiB, `${await peakKiB} KiB`);
        assert.deepEqual([...ledger.refused], []);
      });
    }
  }
  await queueEmpty(server, 20_000);
  assert.deepEqual(disagreements(ledger, countDelivered(server, ["good"])), []);
  assert.deepEqual(
    (await server.status()).filter(({ restarts }) => restarts > 0),
    [],
  );
});

/** The most that all programs together had at a time, until it is over. */
async function peakMemoryKiB(server: Server, isOver: () => boolean): Promise<number> {
  let peakKiB = 0;
  do {
    const total = (await server.status()).reduce((sum, each) => sum + each.memoryKiB, 0);
    peakKiB = Math.max(peakKiB, total);
    await wait(200);
  } while (!isOver());
  return peakKiB;
}

/** 127.0.1.1 and so on: the well-behaved client has 127.0.0.1 to itself. */
const address = (n: number): string => `127.0.${1 + Math.floor(n / 250)}.${1 + (n % 250)}`;

async function attacker(server: Server, from: string, abuse: Abuse, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const socket = connect({ port: server.smtpPort, host: "127.0.0.1", localAddress: from });
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
