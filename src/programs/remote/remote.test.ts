import assert from "node:assert/strict";
import { test } from "node:test";
import { startDeliveryQueue } from "../../../test/support/delivery-queue.ts";
import { accepted, answer, died, mx, play } from "../../../test/support/remote-play.ts";
import { hang } from "../../../test/support/smtp-peer.ts";
import { bodyEnd, deliver, deliveryBodyType, settled } from "../../protocol/wire/delivery.ts";
import { encodeFrame } from "../../protocol/wire/frame.ts";

test("remote lets no hanging peer hold up another", async () => {
  const peers = { "127.0.0.2": { script: { connect: hang } }, "127.0.0.3": {} } as const;
  const rules = { "other.example MX": answer(mx(10, "mx2.example")) };
  await using playing = await play({ peers, rules });
  const stuck = Array.from({ length: 50 }, () => playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] }));
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@other.example"] });
  assert.deepEqual(reports, [accepted("127.0.0.3")]);
  await playing.program.stop();
  for (const { reports: ended } of await Promise.all(stuck)) {
    assert.deepEqual(ended, [died("this server is being stopped")]);
  }
});

test("remote answers what waits for DNS when it is stopped", async () => {
  await using playing = await play({ rules: { "d.example MX": { kind: "timeout" } } });
  const waiting = playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
  while (playing.asked.length === 0) await new Promise(setImmediate);
  await playing.program.stop();
  assert.deepEqual(await waiting, { reports: ["Z3.2 This server is being stopped. (#4.3.2)\n"], reached: 0 });
});

test("remote sends no end of a message whose queue went away", async () => {
  await using playing = await play({});
  const body = "x\n".repeat(100);
  const partial = playing.queue.deliver({ body, forwardPaths: ["c@d.example"] }).catch(() => "gone");
  playing.queue.channel.close();
  assert.equal(await partial, "gone");
  const again = await startDeliveryQueue();
  await using _ = again;
  playing.program.peer?.("queue", again.programEnd);
  const { reports } = await again.deliver({ body: "y\n", forwardPaths: ["c@d.example"] });
  assert.deepEqual(reports, [accepted()]);
  assert.deepEqual(
    playing.peer().received.map((message) => message.body),
    ["y\r\n"],
  );
});

const fields = {
  queueId: 1,
  name: "n",
  arrivedMs: 0,
  octets: 2,
  bodyKind: 0,
  attempt: 1,
  reversePath: "",
  numbers: [0],
  forwardPaths: ["c@d.example"],
};
const whole = deliver.encode(1, fields);
const broken: { name: string; frames: Buffer[] }[] = [
  { name: "a frame it does not know", frames: [encodeFrame(99, 1, Buffer.alloc(0))] },
  { name: "a torn deliver", frames: [encodeFrame(deliver.type, 1, Buffer.alloc(3))] },
  { name: "a stream opened twice", frames: [whole, whole] },
  { name: "a delivery to nobody", frames: [deliver.encode(1, { ...fields, numbers: [], forwardPaths: [] })] },
  { name: "numbers that do not match", frames: [deliver.encode(1, { ...fields, numbers: [0, 1] })] },
  { name: "a body over its length", frames: [whole, encodeFrame(deliveryBodyType, 1, Buffer.from("xyz"))] },
  { name: "a body that is torn", frames: [whole, bodyEnd.encode(1, {})] },
];

for (const { name, frames } of broken) {
  test(`remote closes the channel at ${name}`, async () => {
    await using playing = await play({ peers: { "127.0.0.2": { script: { connect: hang } } } });
    for (const frame of frames) playing.queue.channel.send(frame);
    assert.equal(await playing.queue.broken, "peer closed");
  });
}

test("remote passes over what still comes for a stream it has answered", async () => {
  await using playing = await play({});
  for (const frame of [
    encodeFrame(deliveryBodyType, 9, Buffer.from("x")),
    bodyEnd.encode(9, {}),
    settled.encode(9, {}),
  ]) {
    playing.queue.channel.send(frame);
  }
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
  assert.deepEqual(reports, [accepted()]);
});
