import assert from "node:assert/strict";
import { test } from "node:test";
import { accepted, inDoubt, play, reset } from "../../../test/support/remote-play.ts";
import { die } from "../../../test/support/smtp-peer.ts";

test("remote uses a connection again, and resets what was left open", async () => {
  const script = {
    RCPT: (line: string) => (line.includes("bad") ? "550 no" : undefined),
    DATA: (_: string, n: number) => (n === 2 ? "554 nobody" : undefined),
  };
  await using playing = await play({ peers: { "127.0.0.2": { script } } });
  for (const forwardPath of ["1@d.example", "bad@d.example", "2@d.example"]) {
    await playing.queue.deliver({ body: "x\n", forwardPaths: [forwardPath] });
  }
  const peer = playing.peer();
  assert.equal(peer.connections, 1);
  assert.equal(peer.lines.filter((line) => line === "RSET").length, 1);
  assert.deepEqual(
    peer.received.map((message) => message.forwardPaths),
    [["1@d.example"], ["2@d.example"]],
  );
});

test("remote uses several connections at once, and then those again", async () => {
  await using playing = await play({});
  const deliverThree = () =>
    Promise.all(
      ["1", "2", "3"].map((name) => playing.queue.deliver({ body: "x\n", forwardPaths: [`${name}@d.example`] })),
    );
  await deliverThree();
  await deliverThree();
  assert.equal(playing.peer().connections, 3);
});

test("remote closes a connection after a hundred messages", async () => {
  await using playing = await play({});
  for (let n = 0; n <= 100; n++) await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
  assert.equal(playing.peer().connections, 2);
  assert.equal(playing.peer().lines.filter((line) => line === "QUIT").length, 1);
});

for (const [name, script] of [
  ["said 421 while idle", { idle: (_: string, n: number) => (n === 1 ? "421 4.4.2 idle" : undefined) }],
  ["says 421 to its next message", { MAIL: (_: string, n: number) => (n === 2 ? "421 4.3.2 bye" : undefined) }],
  ["dies at its next message", { MAIL: (_: string, n: number) => (n === 2 ? die : undefined) }],
] as const) {
  test(`remote takes a fresh connection when the old one ${name}`, async () => {
    await using playing = await play({ peers: { "127.0.0.2": { script } } });
    for (let n = 0; n < 2; n++) {
      const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
      assert.deepEqual(reports, [accepted()]);
    }
    assert.equal(playing.peer().connections, 2);
  });
}

test("remote sees a duplicate in the death of a connection used again, after the dot", async () => {
  const script = { end: (_: string, n: number) => (n === 2 ? die : undefined) };
  await using playing = await play({ peers: { "127.0.0.2": { script } } });
  await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
  assert.deepEqual(reports, [inDoubt(reset)]);
});

test("remote closes what was idle for too long", async () => {
  const quit = Promise.withResolvers<void>();
  await using playing = await play({ config: { idleMs: 1 } });
  await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
  const timer = setInterval(() => playing.peer().lines.includes("QUIT") && quit.resolve(), 5);
  await quit.promise;
  clearInterval(timer);
});
