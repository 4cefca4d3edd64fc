import assert from "node:assert/strict";
import { test } from "node:test";
import { without } from "../../../test/support/missing.ts";
import { accepted, play } from "../../../test/support/remote-play.ts";
import { makeSelfSigned } from "../../../test/support/self-signed.ts";
import { die } from "../../../test/support/smtp-peer.ts";

const noOpenssl = without("openssl");

test("remote uses TLS where it is offered, whoever signed the certificate", { skip: noOpenssl }, async () => {
  const tls = makeSelfSigned("elsewhere.example");
  await using playing = await play({ peers: { "127.0.0.2": { tls } } });
  for (let n = 0; n < 2; n++) {
    const { reports } = await playing.queue.deliver({ body: "x\n".repeat(100_000), forwardPaths: ["c@d.example"] });
    assert.deepEqual(reports, [accepted()]);
  }
  assert.deepEqual(
    playing.peer().received.map(({ secure, connection }) => [secure, connection]),
    [
      [true, 1],
      [true, 1],
    ],
  );
  assert.deepEqual(playing.peer().lines.slice(0, 3), ["EHLO us.example", "STARTTLS", "EHLO us.example"]);
});

test("remote does not use a connection where something was said in clear before the handshake", {
  skip: noOpenssl,
}, async () => {
  const tls = makeSelfSigned("mx1.example");
  const script = { STARTTLS: (_: string, n: number) => (n === 1 ? "220 go ahead\r\n250 injected" : undefined) };
  await using playing = await play({ peers: { "127.0.0.2": { tls, script } } });
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
  assert.deepEqual(reports, [accepted()]);
});

for (const [name, STARTTLS] of [
  ["refuses it", "454 not now"],
  ["answers with garbage", "220 go ahead\r\nnot TLS"],
  ["dies of it", die],
] as const) {
  test(`remote delivers in clear when the peer offers TLS and ${name}`, async () => {
    const extensions = ["PIPELINING", "STARTTLS"];
    await using playing = await play({ peers: { "127.0.0.2": { extensions, script: { STARTTLS } } } });
    const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
    assert.deepEqual(reports, [accepted()]);
    assert.equal(playing.peer().received[0]?.secure, false);
  });
}
