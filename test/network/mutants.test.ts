import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { startDnsServer } from "../support/dns-server.ts";
import { unlessLong } from "../support/missing.ts";
import { type Fault, mutant } from "../support/mutant.ts";
import { type Server, startServer, tree, until } from "../support/server.ts";
import { greeting, SmtpClient } from "../support/smtp-client.ts";
import { hang, startSmtpPeer } from "../support/smtp-peer.ts";
import { bounces, waiting } from "./waiting.ts";

/** Whether the promise is kept; waits no longer than a server that keeps it needs. */
interface Check {
  readonly name: string;
  readonly fault: Fault;
  readonly control: (ports: { readonly silent: number; readonly dns: string }) => Record<string, string>;
  readonly isKept: (server: Server) => Promise<boolean>;
}

async function sendTo(server: Server, path: string): Promise<void> {
  const client = await SmtpClient.open(server.smtpPort);
  assert.match(await client.message("sender@localhost", [path], "Subject: out\n\n"), /^250 /);
  await client.quit();
}
const within = (limitMs: number, condition: () => boolean | Promise<boolean>): Promise<boolean> =>
  until("it", condition, limitMs).then(
    () => true,
    () => false,
  );
const isDeferred = async (server: Server): Promise<boolean> =>
  (await waiting(server)).some(({ attempts }) => attempts > 0);

const checks: readonly Check[] = [
  {
    name: "P2: SERVFAIL treated as NXDOMAIN",
    fault: { file: "services/dns/dns.js", from: 'code === "ENOTFOUND"', to: 'code === "ESERVFAIL"' },
    control: ({ dns }) => ({ nameservers: `${dns}\n` }),
    async isKept(server) {
      await sendTo(server, "u@sick.test");
      await until("an end", async () => bounces(server).length > 0 || (await isDeferred(server)));
      return bounces(server).length === 0;
    },
  },
  {
    name: "P6: no timeout of a command",
    fault: { file: "programs/remote/connection.js", from: "this.#config.silenceTimeoutMs)", to: "2 ** 40) + 2 ** 40" },
    control: ({ silent }) => ({ smtproutes: `:127.0.0.1:${silent}\n`, timeoutremote: "1\n" }),
    async isKept(server) {
      await sendTo(server, "u@silent.test");
      return await within(15_000, () => isDeferred(server));
    },
  },
  {
    name: "P6: no limit for an address",
    fault: { file: "services/submission/admission.js", from: "its >= limits.maxConnectionsPerAddress", to: "its < 0" },
    control: () => ({ maxconnectionsperaddress: "5\n", smtpdprocesses: "1\n" }),
    async isKept(server) {
      const held = await Promise.all(Array.from({ length: 5 }, () => SmtpClient.open(server.smtpPort)));
      const said = await greeting(server.smtpPort);
      for (const client of held) client.close();
      return said?.startsWith("421") ?? false;
    },
  },
  {
    name: "P6: a line kept whole, however long",
    fault: { file: "protocol/lines.js", from: "input.length >= most", to: "input.length >= 2 ** 40" },
    control: () => ({ smtpdprocesses: "1\n" }),
    async isKept(server) {
      const sockets = await Promise.all(Array.from({ length: 30 }, () => endlessLine(server.smtpPort, 4_000_000)));
      const smtpd = (await server.status()).find(({ name }) => name === "smtpd");
      for (const socket of sockets) socket.destroy();
      return (smtpd?.memoryKiB ?? 0) < 120_000 && smtpd?.restarts === 0;
    },
  },
];

/** Resolves when all of it was taken. */
function endlessLine(port: number, octets: number): Promise<Socket> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => resolve(socket));
  socket.on("close", () => resolve(socket));
  socket.write("x".repeat(octets), "latin1", () => resolve(socket));
  return promise;
}

for (const { name, fault, control, isKept } of checks) {
  for (const faults of [[], [fault]]) {
    test(`${faults.length > 0 ? "mutant" : "no mutant"}: ${name}`, { skip: unlessLong() }, async () => {
      await using silent = await startSmtpPeer({ script: { MAIL: hang } });
      await using dns = await startDnsServer([["*", { kind: "servfail" }]]);
      using made = faults.length > 0 ? mutant(...faults) : undefined;
      await using server = await startServer({
        tree: made?.tree ?? tree,
        control: control({ silent: silent.port, dns: dns.address }),
      });
      assert.equal(await isKept(server), faults.length === 0);
    });
  }
}
