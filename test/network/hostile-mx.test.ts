import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { makeSelfSigned } from "../support/self-signed.ts";
import { type Server, startServer, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import { type Act, die, hang, type PeerOptions, type Script, startSmtpPeer } from "../support/smtp-peer.ts";
import { makeAuthority } from "../support/test-authority.ts";
import { bounces, waiting } from "./waiting.ts";

type End = "delivered" | "deferred" | "bounced";
interface Row {
  readonly name: string;
  readonly script: Script;
  /** Of each recipient; one unless more are named. */
  readonly ends: End | readonly End[];
  readonly says?: RegExp;
  readonly peer?: PeerOptions;
  /** What control/tlspolicy says of it. */
  readonly policy?: "encrypt" | "verify";
  /** It said that it took the message, or may have: only then may its copy count. */
  readonly taken?: 0 | 1;
}

const wild = (act: (socket: Socket) => void): Act => ({ wild: act });
/** Writes as fast as it is read, for ever. */
const flood = (text: string): Act =>
  wild((socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(text, "latin1"));
    };
    socket.on("drain", more);
    more();
  });
const drip = (text: string): Act =>
  wild((socket) => {
    let at = 0;
    const timer = setInterval(() => socket.write(text[at++ % text.length] ?? ""), 200);
    socket.on("close", () => clearInterval(timer));
  });
const many = (count: number, line: string): string => `${line}\r\n`.repeat(count);
const kilobyte = "x".repeat(1_024);
const byRecipient = (line: string): string => `${/<u(\d+)-/.exec(line)?.[1] ?? "250"} ruled`;
const injected = "250-injected.example\r\n250 PIPELINING";

const demand = (policy: "encrypt" | "verify", script: Script = {}) => ({ policy, script });

const greetings: readonly Row[] = [
  { name: "no greeting", script: { connect: hang }, ends: "deferred" },
  { name: "a greeting of five octets a second", script: { connect: drip("220-welcome ") }, ends: "deferred" },
  { name: "a greeting without line end", script: { connect: flood(kilobyte) }, ends: "deferred" },
  { name: "a greeting of lines without end", script: { connect: flood("220-more\r\n") }, ends: "deferred" },
  { name: "greeting 554", script: { connect: "554 5.7.1 not you" }, ends: "bounced", says: /554 5.7.1 not you/ },
  { name: "greeting 421", script: { connect: "421 4.3.2 later" }, ends: "deferred", says: /421 4.3.2 later/ },
  { name: "greeting 521", script: { connect: "521 no mail here" }, ends: "bounced", says: /521 no mail here/ },
  { name: "greeting 999", script: { connect: "999 hello" }, ends: "deferred", says: /does not speak SMTP/ },
  { name: "greeting 2x0", script: { connect: "2x0 hello" }, ends: "deferred", says: /does not speak SMTP/ },
  { name: "an empty greeting", script: { connect: "\r\n" }, ends: "deferred" },
  { name: "a greeting of 250", script: { connect: "250 hello" }, ends: "deferred" },
  { name: "codes that differ within a greeting", script: { connect: "220-a\r\n554 b" }, ends: "deferred" },
  {
    name: "replies before the commands",
    script: { connect: `220 hi\r\n${many(5, "250 ok")}354 go\r\n250 ok` },
    ends: "deferred",
    taken: 0,
  },
];

const openings: readonly Row[] = [
  { name: "10,000 extensions", script: { EHLO: `${many(10_000, "250-X-EXT")}250 SIZE` }, ends: "deferred" },
  { name: "NUL and eight bits in EHLO", script: { EHLO: "250-a\0\xff\r\n250 SIZE" }, ends: "delivered" },
  { name: "SIZE=0", script: {}, peer: { extensions: ["SIZE 0"] }, ends: "delivered" },
  { name: "SIZE=1", script: {}, peer: { extensions: ["SIZE 1"] }, ends: "bounced" },
  { name: "SIZE=abc", script: {}, peer: { extensions: ["SIZE abc"] }, ends: "delivered" },
  {
    name: "STARTTLS, then garbage, and in clear good will",
    script: { EHLO: "250-x\r\n250 STARTTLS", STARTTLS: wild((socket) => socket.write(`220 go\r\n${kilobyte}`)) },
    ends: "delivered",
  },
  {
    name: "STARTTLS, then silence, and in clear good will",
    script: { EHLO: "250-x\r\n250 STARTTLS", STARTTLS: wild((socket) => socket.write("220 go\r\n")) },
    ends: "delivered",
  },
  {
    name: "replies injected between STARTTLS and its handshake",
    script: { STARTTLS: `220 go\r\n${injected}` },
    peer: { tls: makeSelfSigned("mx.test") },
    ends: "delivered",
  },
];

/** Peers whose TLS must be good, and what is wrong with it. */
const authority = makeAuthority();
const opens = (offers: string, STARTTLS: Act): Script => ({ EHLO: `250-x\r\n250 ${offers}`, STARTTLS });
const handshakes: readonly Row[] = [
  { name: "TLS to be verified", ...demand("verify"), peer: { tls: authority.issue("mx.test") }, ends: "delivered" },
  {
    name: "an expired certificate",
    ...{ ...demand("verify"), peer: { tls: authority.issue("mx.test", "expired") }, ends: "deferred" },
    says: /its certificate has expired\. control\/tlspolicy demands TLS with a certificate\. \(#4\.7\.5\)/,
  },
  {
    name: "the certificate of another",
    ...{ ...demand("verify"), peer: { tls: authority.issue("other.test") }, ends: "deferred" },
    says: /its certificate does not name mx\.test/,
  },
  {
    name: "a certificate signed by itself",
    ...{ ...demand("verify"), peer: { tls: makeSelfSigned("mx.test") }, ends: "deferred" },
    says: /its certificate is signed by itself/,
  },
  {
    name: "any certificate where TLS must be",
    ...demand("encrypt"),
    peer: { tls: makeSelfSigned("x") },
    ends: "delivered",
  },
  { name: "no TLS where it must be", ...demand("encrypt"), ends: "deferred", says: /it does not offer STARTTLS/ },
  {
    name: "TLS garbage where TLS must be",
    ...demand(
      "encrypt",
      opens(
        "STARTTLS",
        wild((socket) => socket.write(`220 go\r\n${kilobyte}`)),
      ),
    ),
    ...{ ends: "deferred", taken: 0, says: /control\/tlspolicy demands TLS\./ },
  },
  {
    name: "silence where TLS must be",
    ...demand(
      "encrypt",
      opens(
        "STARTTLS",
        wild((socket) => socket.write("220 go\r\n")),
      ),
    ),
    ...{ ends: "deferred", taken: 0, says: /control\/tlspolicy demands TLS\./ },
  },
  {
    name: "replies injected before a handshake that must be",
    ...demand("encrypt", { STARTTLS: `220 go\r\n${injected}` }),
    ...{ peer: { tls: makeSelfSigned("mx.test") }, ends: "deferred", taken: 0 },
  },
];

const envelopes: readonly Row[] = [
  { name: "MAIL 451", script: { MAIL: "451 4.1.8 later" }, ends: "deferred", says: /451 4.1.8 later/ },
  { name: "MAIL 550", script: { MAIL: "550 5.1.8 never" }, ends: "bounced", says: /550 5.1.8 never/ },
  { name: "354 to MAIL", script: { MAIL: "354 go" }, ends: "deferred" },
  {
    name: "550 to some of the recipients",
    script: { RCPT: byRecipient },
    ends: ["bounced", "delivered", "bounced", "delivered"],
  },
  // A message bounces when all of it has ended: so not together with 550.
  { name: "450 to some of the recipients", script: { RCPT: byRecipient }, ends: ["deferred", "delivered", "deferred"] },
  { name: "no reply to RCPT", script: { RCPT: hang }, ends: "deferred" },
  { name: "250 to DATA", script: { DATA: "250 ok" }, ends: "deferred", taken: 0 },
  {
    name: "DATA 354 and no recipient",
    script: { RCPT: "550 5.1.1 nobody" },
    ends: "bounced",
    says: /550 5.1.1 nobody/,
  },
];

const shell = "$(touch /tmp/x)`id`|/bin/sh; exit";
const bodies: readonly Row[] = [
  {
    name: "552 while we send",
    script: { body: "552 5.3.4 too big" },
    ends: "bounced",
    says: /552 5.3.4 too big/,
    taken: 0,
  },
  { name: "250 while we send", script: { body: "250 ok" }, ends: "deferred", taken: 0 },
  { name: "a window that stays shut", script: { body: hang }, ends: "deferred", taken: 0 },
  { name: "close before the dot", script: { body: die }, ends: "deferred", taken: 0 },
  { name: "close after the dot", script: { end: die }, ends: "deferred", says: /Possible duplicate/ },
  { name: "no reply to the dot", script: { end: hang }, ends: "deferred", says: /Possible duplicate/ },
  { name: "4xx to the dot", script: { end: "451 4.3.0 later" }, ends: "deferred", says: /451 4.3.0 later/ },
  { name: "5xx to the dot", script: { end: "554 5.6.0 never" }, ends: "bounced", says: /554 5.6.0 never/ },
  { name: "354 to the dot", script: { end: "354 more" }, ends: "deferred" },
  { name: "two replies to the dot", script: { end: "250 taken\r\n250 taken" }, ends: "delivered" },
  { name: "a flood after the dot", script: { idle: flood("250 taken again\r\n") }, ends: "delivered" },
  {
    name: "shell text in a refusal",
    script: { end: `554 ${shell}` },
    ends: "bounced",
    says: /554 \$\(touch \/tmp\/x\)`id`\|\/bin\/sh; exit/,
  },
  {
    name: "header-like lines in a refusal",
    script: { end: "554-X-Evil: yes\r\n554-\rX-Worse: yes\r\n554-\r\n554 Subject: \x1b[2Jmoney\xfe" },
    ends: "bounced",
    says: /554-X-Evil: yes\n554-\?X-Worse: yes\n/,
  },
  { name: "a refusal without end", script: { end: flood("554-no\r\n") }, ends: "deferred", says: /Possible duplicate/ },
];

const rows = [...greetings, ...openings, ...handshakes, ...envelopes, ...bodies];
const codes: Readonly<Record<End, number>> = { delivered: 250, deferred: 450, bounced: 550 };
const relayOf = (n: number): string => `127.0.1.${n + 1}`;
const recipients = ({ ends }: Row, n: number): string[] =>
  [ends].flat().map((end, place) => `u${codes[end]}-${place}@d${n}.test`);
const text = `Subject: out\n\n${"line\n".repeat(100_000)}`;
const boundKiB = 200_000;

/** What became of each, in the same order; `undefined` while that is not known. */
async function ends(
  server: Server,
  paths: readonly string[],
  taken: (path: string) => number,
): Promise<(End | undefined)[]> {
  const queued = new Map((await waiting(server)).map((row) => [row.forwardPath, row.attempts]));
  const returned = bounces(server).join("\n");
  return paths.map((path) => {
    if (queued.has(path)) return (queued.get(path) ?? 0) > 0 ? "deferred" : undefined;
    if (returned.includes(`<${path}>:`)) return "bounced";
    return taken(path) > 0 ? "delivered" : undefined;
  });
}

test("a server that answers with", async (t) => {
  await using stack = new AsyncDisposableStack();
  const peers = await Promise.all(
    rows.map(({ script, peer }, n) => startSmtpPeer({ ...peer, script, address: relayOf(n) })),
  );
  for (const peer of peers) stack.use(peer);
  const smtproutes = peers.map((peer, n) => `d${n}.test:${relayOf(n)}:${peer.port}\n`).join("");
  // Each relay has an address of its own, so that each may have a rule.
  const tlspolicy = rows
    .map(({ policy }, n) => (policy ? `${relayOf(n)}:${policy}${policy === "verify" ? " mx.test" : ""}\n` : ""))
    .join("");
  await using server = await startServer({
    control: { smtproutes, tlspolicy, tlscas: authority.pem, timeoutremote: "4\n" },
  });
  let peakKiB = 0;
  const look = async (): Promise<void> => {
    const remote = (await server.status()).find(({ name }) => name === "remote");
    peakKiB = Math.max(peakKiB, remote?.memoryKiB ?? 0);
  };
  const client = await SmtpClient.open(server.smtpPort);
  for (const [n, row] of rows.entries()) {
    assert.match(await client.message("sender@localhost", recipients(row, n), text), /^250 /);
  }
  await client.quit();
  for (const [n, row] of rows.entries()) {
    const paths = recipients(row, n);
    const takes = (path: string) => peers[n]?.received.filter((one) => one.forwardPaths.includes(path)).length ?? 0;
    await t.test(`${row.name}: ${[row.ends].flat().join(", ")}`, async () => {
      await look();
      let found: (End | undefined)[] = [];
      await until(
        "its end",
        async () => {
          found = await ends(server, paths, takes);
          return !found.includes(undefined);
        },
        20_000,
      );
      assert.deepEqual(found, [row.ends].flat());
      for (const path of paths) assert.ok(takes(path) <= (row.taken ?? 1), "more copies than one attempt makes");
      if (!row.says) return;
      const queued = (await waiting(server)).find(({ forwardPath }) => forwardPath === paths[0])?.lastReply;
      const said = queued ?? bounces(server).find((bounce) => bounce.includes(`<${paths[0]}>:`)) ?? "";
      assert.match(said, row.says);
      const [header = ""] = said.split("\n\n");
      assert.ok(queued !== undefined || !/evil|worse|money/i.test(header), header);
      assert.doesNotMatch(said, /[^\t\n -~]/);
    });
  }
  t.diagnostic(`remote had ${Math.round(peakKiB / 1_024)} MiB at most`);
  assert.ok(peakKiB < boundKiB, `${peakKiB} KiB`);
  assert.deepEqual(
    (await server.status()).filter(({ restarts }) => restarts > 0),
    [],
  );
});
