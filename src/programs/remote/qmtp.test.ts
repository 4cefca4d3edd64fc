import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { accepted, answer, died, inDoubt, mx, play, said } from "../../../test/support/remote-play.ts";
import { encodeNetstring } from "../../protocol/netstring.ts";

interface Peer extends AsyncDisposable {
  readonly port: number;
  /** What came in, over all connections. */
  readonly received: () => string;
  readonly connections: () => number;
}

/** A QMTP server that does as the test says, once so many octets have come: by default the whole package. */
async function startPeer(act: (socket: Socket) => void, wholeOctets: number): Promise<Peer> {
  let received = "";
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    let left = wholeOctets;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      const was = left;
      left -= chunk.length;
      if (was > 0 && left <= 0) act(socket);
    });
  }).listen(0, "127.0.0.2");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    received: () => received,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}

const body = "Subject: x\n\n.\nbody\n";
const to = ["c@d.example", "d@d.example"];
const wire = `20:\n${body},16:a@sender.example,30:11:c@d.example,11:d@d.example,,`;
const netstrings = (...texts: readonly string[]): string =>
  texts.map((text) => encodeNetstring(text).toString("latin1")).join("");
const ok = `K 127.0.0.2 accepted message.\n${said("ok 1 qp 2")}`;
const closed = "connection closed by the peer";
const disliked = (report: string, text: string): string =>
  `${report} 127.0.0.2 does not like recipient.\n${said(text)}`;

const rows = [
  {
    name: "gives each recipient its own answer",
    act: (socket: Socket) => socket.write(netstrings("Kok 1 qp 2", "Dno (#5.1.1)")),
    reports: [ok, disliked("D1.1", "no (#5.1.1)")],
  },
  {
    name: "tries again what was refused for now, and what makes no sense",
    act: (socket: Socket) => socket.write(netstrings("Zfull (#4.3.1)", "what")),
    reports: [disliked("Z3.1", "full (#4.3.1)"), disliked("Z3.0", "hat")],
  },
  {
    name: "is in doubt when the peer goes after the whole package",
    act: (socket: Socket) => socket.end(),
    reports: [inDoubt(closed), inDoubt(closed)],
  },
  {
    name: "is in doubt only about the recipients that were not answered",
    act: (socket: Socket) => socket.end(netstrings("Kok 1 qp 2")),
    reports: [ok, inDoubt(closed)],
  },
  {
    name: "does not take SMTP for QMTP",
    act: (socket: Socket) => socket.write("220 hello\r\n"),
    reports: [inDoubt("the peer does not speak QMTP"), inDoubt("the peer does not speak QMTP")],
  },
  {
    name: "does not wait for ever",
    act: () => {},
    config: { silenceTimeoutMs: 50 },
    reports: new Array<string>(2).fill(inDoubt("no progress for too long, waiting for the answers")),
  },
] as const;

for (const { name, act, reports, ...rest } of rows) {
  test(`remote over QMTP ${name}`, async () => {
    await using peer = await startPeer(act, wire.length);
    const qmtpRoutes = new Map([["d.example", { host: "127.0.0.2", port: peer.port }]]);
    const config = { qmtpRoutes, ...("config" in rest && rest.config) };
    await using playing = await play({ peers: {}, config });
    const answered = await playing.queue.deliver({ body, forwardPaths: to });
    assert.deepEqual(answered, { reports, reached: 1 });
    assert.equal(peer.received(), wire);
    assert.deepEqual(playing.asked, [], "a route asks no DNS");
  });
}

test("remote over QMTP is in no doubt when the peer goes before the end of the package", async () => {
  await using peer = await startPeer((socket) => socket.resetAndDestroy(), 100);
  const qmtpRoutes = new Map([["d.example", { host: "127.0.0.2", port: peer.port }]]);
  await using playing = await play({ peers: {}, config: { qmtpRoutes } });
  const { reports } = await playing.queue.deliver({ body: "x".repeat(20_000_000), forwardPaths: ["c@d.example"] });
  assert.equal(reports.length, 1);
  assert.doesNotMatch(reports[0] ?? "", /duplicate/);
  assert.match(reports[0] ?? "", /^Z4\.2 Connected to 127\.0\.0\.2 but connection died\. \(#4\.4\.2\)/);
});

test("remote over QMTP sends a body far larger than the window as it is, the last line too", async () => {
  const large = `${"0123456789abcde\n.\n".repeat(20_000)}end`;
  const whole = `${large.length + 1}:\n${large},16:a@sender.example,15:11:c@d.example,,`;
  await using peer = await startPeer((socket) => socket.write(netstrings("Kok 1 qp 2")), whole.length);
  const qmtpRoutes = new Map([["", { host: "127.0.0.2", port: peer.port }]]);
  await using playing = await play({ peers: {}, config: { qmtpRoutes } });
  assert.deepEqual((await playing.queue.deliver({ body: large, forwardPaths: ["c@d.example"] })).reports, [ok]);
  assert.ok(peer.received() === whole);
});

test("remote does not fall back to SMTP where qmtproutes says QMTP", async () => {
  await using peer = await startPeer(() => {}, 1);
  await peer[Symbol.asyncDispose]();
  const qmtpRoutes = new Map([["d.example", { host: "127.0.0.2", port: peer.port }]]);
  await using playing = await play({ config: { qmtpRoutes } });
  const text = `Z4.1 Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n127.0.0.2: connection refused\n`;
  const answered = await playing.queue.deliver({ body, forwardPaths: ["c@d.example"] });
  assert.deepEqual(answered, { reports: [text], reached: 2 });
});

const byMxps = { "d.example MX": answer(mx(12_801, "mx1.example")) };

test("remote speaks QMTP with an exchanger whose preference says so", async () => {
  await using peer = await startPeer((socket) => socket.write(netstrings("Kok 1 qp 2", "Kok 1 qp 2")), wire.length);
  await using playing = await play({ rules: byMxps, config: { qmtpPort: peer.port } });
  assert.deepEqual((await playing.queue.deliver({ body, forwardPaths: to })).reports, [ok, ok]);
  assert.equal(playing.peer().received.length, 0);
});

test("remote speaks SMTP with such an exchanger when there is no QMTP", async () => {
  await using playing = await play({ rules: byMxps });
  assert.deepEqual((await playing.queue.deliver({ body, forwardPaths: to })).reports, [accepted(), accepted()]);
});

test("remote speaks no SMTP with such an exchanger once QMTP connected", async () => {
  await using peer = await startPeer((socket) => socket.end(), 1);
  await using playing = await play({ rules: byMxps, config: { qmtpPort: peer.port } });
  const { reports } = await playing.queue.deliver({ body: "x", forwardPaths: ["c@d.example"] });
  assert.ok([died(closed), inDoubt(closed)].includes(reports[0] ?? ""), String(reports));
  assert.equal(playing.peer().received.length, 0);
});

test("remote speaks SMTP with an exchanger of any other preference", async () => {
  await using peer = await startPeer(() => {}, 1);
  const rules = { "d.example MX": answer(mx(12_800, "mx1.example")) };
  await using playing = await play({ rules, config: { qmtpPort: peer.port } });
  assert.deepEqual((await playing.queue.deliver({ body, forwardPaths: to })).reports, [accepted(), accepted()]);
  assert.equal(peer.connections(), 0);
});
