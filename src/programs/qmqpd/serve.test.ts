import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import type { Event } from "../../protocol/event/event.ts";
import { encodeNetstring } from "../../protocol/netstring.ts";
import { createNetworks } from "../../protocol/network/network.ts";
import { done } from "../../protocol/outcome.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import {
  abandon,
  bodyType,
  commit,
  flagTlsOptional,
  flagUtf8,
  open,
  options,
  recipients,
  refused,
  stored,
  submissionCredit,
  submissionWindowOctets,
} from "../../protocol/wire/submission.ts";
import { createChannel } from "../../services/channel/channel.ts";
import { createQueueClient } from "../../services/submission/queue-client.ts";
import { networkCaller, processCaller } from "./callers.ts";
import { createService, type Limits, limits } from "./serve.ts";

interface Stored {
  body: string;
  forwardPaths: string[];
  reversePath: string;
  uid: number;
  frames: number;
  flags?: number;
}

/** Something that answers as `queue` does, and keeps the books of credit. */
function createFakeQueue(socket: Socket, answer: "stored" | "refused early" | "refused" | "dies") {
  const messages: Stored[] = [];
  const streams = new Map<number, Stored>();
  const abandoned: number[] = [];
  const onFrame = (frame: Frame): undefined => {
    if (frame.type === open.type) {
      streams.set(frame.stream, { body: "", forwardPaths: [], reversePath: "", uid: 0, frames: 0 });
      if (answer === "refused early") {
        channel.send(refused.encode(frame.stream, { permanent: 0, status: "3.1", text: "disk full" }));
      }
      return;
    }
    const message = streams.get(frame.stream);
    if (!message) return assert.fail(`stream ${frame.stream} was never opened`);
    if (frame.type === bodyType) {
      message.body += frame.payload.toString("latin1");
      message.frames++;
      if (answer !== "refused early") {
        channel.send(submissionCredit.encode(frame.stream, { octets: frame.payload.length }));
      }
    } else if (frame.type === recipients.type) {
      message.forwardPaths.push(...(recipients.decode(frame.payload)?.forwardPaths ?? []));
    } else if (frame.type === options.type) {
      message.flags = options.decode(frame.payload)?.flags ?? 0;
    } else if (frame.type === abandon.type) {
      abandoned.push(frame.stream);
      streams.delete(frame.stream);
    } else if (frame.type === commit.type) {
      Object.assign(message, commit.decode(frame.payload));
      messages.push(message);
      if (answer === "dies") channel.close();
      else if (answer === "stored") channel.send(stored.encode(frame.stream, { queueId: 40 + messages.length }));
      else channel.send(refused.encode(frame.stream, { permanent: 1, status: "1.3", text: "no such place" }));
    }
  };
  const channel = createChannel(socket, { onFrame, onClose: () => {} });
  return { messages, abandoned, close: () => channel.close() };
}

async function socketPair(allowHalfOpen = true): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const near = connect({ port: address.port, host: "127.0.0.1", allowHalfOpen });
  const [far] = (await once(server, "connection")) as [Socket];
  server.close();
  return [near, far];
}

async function setUp(answer: Parameters<typeof createFakeQueue>[1], bounds: Partial<Limits> = {}) {
  const [ours, theirs] = await socketPair(false);
  const queue = createFakeQueue(theirs, answer);
  const client = createQueueClient();
  client.attach(ours);
  const events: Event[] = [];
  const service = createService(
    {
      submit: async () => client.submit(),
      identify: () => done(processCaller({ pid: 7, uid: 1000 })),
      number: () => 1,
      log: (event) => events.push(event),
      now: () => Date.UTC(1995, 8, 6, 4, 46, 54),
    },
    { ...limits, ...bounds },
  );
  const call = async (): Promise<Socket> => {
    const [caller, called] = await socketPair();
    service.take(called);
    return caller;
  };
  return { queue, events, service, call, close: () => queue.close() };
}

async function ask(socket: Socket, wire: Buffer, size: number): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  for (let at = 0; at < wire.length; at += size) {
    if (!socket.write(wire.subarray(at, at + size))) await once(socket, "drain");
    if (size < 100) await new Promise(setImmediate); // else the kernel puts the pieces together again
  }
  await once(socket, "end");
  socket.end();
  return text;
}

const request = (...elements: readonly string[]): Buffer =>
  encodeNetstring(elements.map((element) => encodeNetstring(element).toString("latin1")).join(""));

const received = "Received: (postern 7 invoked by uid 1000); 6 Sep 1995 04:46:54 -0000\n";
const unfit = "51:Dsorry, I can't accept addresses like that (#5.1.3),";

const cases = [
  {
    name: "takes a message",
    elements: ["a: b\n\nc\n", "s@x", "r@y", "t@z"],
    reply: "20:Kok 810362814 qp 41,",
    body: "a: b\n\nc\n",
  },
  { name: "takes a message for nobody", elements: ["m", ""], reply: "20:Kok 810362814 qp 41,", body: "m" },
  {
    name: "refuses a carriage return",
    elements: ["a\r\n", "s@x", "r@y"],
    reply: "50:Dthe message holds a carriage return (#5.6.11),",
  },
  { name: "refuses a NUL", elements: ["a\0", "s@x", "r@y"], reply: "37:Dthe message holds a NUL (#5.6.0)," },
  { name: "refuses a line end in the sender", elements: ["m", "s\n@x", "r@y"], reply: unfit },
  { name: "refuses a NUL in a recipient", elements: ["m", "s@x", "ok@y", "r\0@y"], reply: unfit },
  { name: "refuses an overlong recipient", elements: ["m", "s@x", "r".repeat(1000)], reply: unfit },
  { name: "refuses a domain in latin1", elements: ["m", "s@x", "r@b\xfccher.example"], reply: unfit },
  { name: "refuses an empty recipient", elements: ["m", "s@x", ""], reply: unfit },
] as const;

for (const { name, elements, reply, ...expected } of cases) {
  for (const size of [1, 5, 1000]) {
    test(`createService() ${name}, ${size} octets at a time`, async () => {
      const { queue, call, close } = await setUp("stored");
      assert.equal(
        (await ask(await call(), request(...elements), size)).replace(/^[0-9]+/, ""),
        reply.replace(/^[0-9]+/, ""),
      );
      const [, reversePath, ...forwardPaths] = elements;
      const bodies = queue.messages.map(({ frames: _, ...message }) => message);
      const message = "body" in expected && {
        body: received + expected.body,
        reversePath,
        forwardPaths,
        uid: 1000,
        bodyKind: 0,
      };
      assert.deepEqual(bodies, message ? [message] : []);
      close();
    });
  }
}

test("createService() refuses addresses in the very octets QMQP servers use", async () => {
  const { call, close } = await setUp("stored");
  assert.equal(await ask(await call(), request("m", "s", "\x01"), 1000), unfit);
  close();
});

test("createService() streams a body far larger than the window, octet for octet", async () => {
  const { queue, call, close } = await setUp("stored");
  const body = "0123456789abcde\n".repeat((5 * submissionWindowOctets) / 16);
  assert.match(await ask(await call(), request(body, "s@x", "r@y"), 65_536), /Kok/);
  assert.equal(queue.messages[0]?.body, received + body);
  close();
});

test("createService() passes many recipients on in frames of bounded size", async () => {
  const { queue, call, close } = await setUp("stored");
  const forwardPaths = Array.from({ length: 5_000 }, (_, n) => `recipient-${n}@somewhere.example`);
  assert.match(await ask(await call(), request("m", "s@x", ...forwardPaths), 65_536), /Kok/);
  assert.deepEqual(queue.messages[0]?.forwardPaths, forwardPaths);
  close();
});

const failures = [
  { answer: "refused early", reply: /^[0-9]+:Zdisk full \(#4\.3\.1\),$/ },
  { answer: "refused", reply: /^[0-9]+:Dno such place \(#5\.1\.3\),$/ },
  { answer: "dies", reply: /^[0-9]+:Zthe queue went away.*\(#4\.3\.0\),$/ },
] as const;

for (const { answer, reply } of failures) {
  test(`createService() tells the client when the queue has ${answer}`, async () => {
    const { call, events, close } = await setUp(answer);
    const body = "x\n".repeat(submissionWindowOctets);
    assert.match(await ask(await call(), request(body, "s@x", "r@y"), 65_536), reply);
    assert.equal(events[0]?.event, "refusal");
    close();
  });
}

test("createService() answers Z while there is no queue", async () => {
  const service = createService({
    submit: async () => createQueueClient().submit(),
    identify: () => done(processCaller({ pid: 7, uid: 1000 })),
    number: () => 1,
    log: () => {},
    now: Date.now,
  });
  const [caller, called] = await socketPair();
  service.take(called);
  assert.match(await ask(caller, request("m", "s", "r"), 1000), /^[0-9]+:Zthe queue is not running \(#4\.3\.0\),$/);
});

test("createService() abandons the message of a client that goes away", async () => {
  const { queue, call, service, close } = await setUp("stored");
  const caller = await call();
  caller.write(request("message", "s@x", "r@y").subarray(0, 12));
  await new Promise(setImmediate);
  caller.destroy();
  await service.stop();
  while (queue.abandoned.length === 0) await new Promise(setImmediate);
  assert.deepEqual(queue.messages, []);
  close();
});

test("createService() refuses one user's connection too many, and takes another when one has gone", async () => {
  const { call, service, close } = await setUp("stored", { connectionsPerCaller: 1 });
  const first = await call();
  assert.match(await ask(await call(), request("m", "s", "r"), 1000), /Ztoo many connections of uid 1000/);
  assert.match(await ask(first, request("m", "s", "r"), 1000), /Kok/);
  await service.stop();
  assert.match(await ask(await call(), request("m", "s", "r"), 1000), /Kok/);
  close();
});

test("createService() keeps no more octets of addresses than it may", async () => {
  const { call, close } = await setUp("stored", { addressOctets: 100 });
  assert.match(await ask(await call(), request("m", "s", "r@a", "r@b", "r@c"), 1000), /Ztoo many recipients under way/);
  assert.match(await ask(await call(), request("m", "s", "r@a", "r@b"), 1000), /Kok/);
  close();
});

const clients = createNetworks(["192.0.2.0/24"]);

test("networkCaller() lets the clients of control/qmqpclients in, and nobody else", () => {
  if (clients.kind !== "done") return assert.fail(clients.text);
  const known = networkCaller("192.0.2.7", clients.value, "mx.example");
  if (known.kind !== "done") return assert.fail(known.text);
  assert.equal(known.value.name, "192.0.2.7");
  assert.equal(
    known.value.received(810_362_814_000),
    "Received: from unknown (192.0.2.7)\n  by mx.example with QMQP; 6 Sep 1995 04:46:54 -0000\n",
  );
  for (const address of ["192.0.3.1", "2001:db8::1", undefined]) {
    assert.equal(networkCaller(address, clients.value, "mx.example").kind, "temporary");
  }
});

for (const { elements, addresses, flags } of [
  { elements: ["m", "s@x", "r@bücher.example"], addresses: ["s@x", "r@xn--bcher-kva.example"], flags: 0 },
  { elements: ["m", "jörg@x", "r@y"], addresses: ["jörg@x", "r@y"], flags: flagUtf8 },
  { elements: ["a: b\nTLS-Required: no\n\n", "s@x", "r@y"], addresses: ["s@x", "r@y"], flags: flagTlsOptional },
]) {
  test(`createService() keeps addresses as smtpd does, and says what a message needs: ${elements.join(" ")}`, async () => {
    const { queue, call, close } = await setUp("stored");
    const octets = elements.map((text) => Buffer.from(text).toString("latin1"));
    assert.match(await ask(await call(), request(...octets), 1000), /:Kok /);
    const [message] = queue.messages;
    const kept = message ? [message.reversePath, ...message.forwardPaths] : [];
    assert.deepEqual(
      kept.map((text) => Buffer.from(text, "latin1").toString()),
      addresses,
    );
    assert.equal(message?.flags ?? 0, flags);
    close();
  });
}
