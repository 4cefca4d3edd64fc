import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { encodeFrame, type Frame } from "../../protocol/wire/frame.ts";
import { createChannel } from "./channel.ts";

async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const near = connect(address.port, "127.0.0.1");
  const [far] = (await once(server, "connection")) as [Socket];
  server.close();
  return [near, far];
}

test("createChannel() carries frames in order, large and small", async () => {
  const [near, far] = await socketPair();
  const sizes = [0, 1, 65_536, 10, 65_536, 65_536, 65_536, 65_536, 65_536, 3];
  const seen: number[] = [];
  const { promise: complete, resolve } = Promise.withResolvers<void>();
  const receiver = createChannel(far, {
    onFrame: (frame) => {
      assert.equal(frame.stream, seen.length);
      seen.push(frame.payload.length);
      if (seen.length === sizes.length) resolve();
      return undefined;
    },
    onClose: () => {},
  });
  const sender = createChannel(near, { onFrame: () => undefined, onClose: () => {} });
  for (const [stream, size] of sizes.entries()) sender.send(encodeFrame(1, stream, Buffer.alloc(size)));
  await complete;
  assert.deepEqual(seen, sizes);
  sender.close();
  receiver.close();
});

const endings = [
  { name: "the peer goes", provoke: (_: Socket, far: Socket) => void far.destroy() },
  {
    name: "the peer sends a length out of bounds",
    provoke: (_: Socket, far: Socket) => void far.write(Buffer.alloc(9, 255)),
  },
  {
    name: "a frame is out of place",
    provoke: (_: Socket, far: Socket) => void far.write(encodeFrame(99, 0, Buffer.alloc(0))),
  },
];

for (const { name, provoke } of endings) {
  test(`createChannel() closes once when ${name}`, async () => {
    const [near, far] = await socketPair();
    far.on("error", () => {});
    let closed = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const channel = createChannel(near, {
      onFrame: (frame: Frame) => (frame.type === 99 ? "broken" : undefined),
      onClose: () => {
        closed++;
        resolve();
      },
    });
    provoke(near, far);
    await promise;
    channel.close();
    channel.send(encodeFrame(1, 1, Buffer.alloc(1)));
    assert.equal(closed, 1);
    far.destroy();
  });
}

test("flush() has what is queued leave at once, and once", async () => {
  const written: number[] = [];
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      written.push(chunk.length);
      done();
    },
  });
  const channel = createChannel(socket, { onFrame: () => undefined, onClose: () => {} });
  channel.send(encodeFrame(1, 1, Buffer.alloc(3)));
  channel.send(encodeFrame(1, 1, Buffer.alloc(4)));
  assert.deepEqual(written, []);
  channel.flush();
  assert.deepEqual(written, [25]);
  channel.send(encodeFrame(1, 2, Buffer.alloc(0)));
  await turn();
  assert.deepEqual(written, [25, 9]);
});
