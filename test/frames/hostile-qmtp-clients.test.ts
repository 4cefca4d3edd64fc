import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { createQmtpService } from "../../src/programs/qmtpd/serve.ts";
import { readSettings } from "../../src/protocol/control/parse.ts";
import { decodeNetstring } from "../../src/protocol/netstring.ts";
import { createPackageReader, framePackage } from "../../src/protocol/qmtp/package.ts";
import { createQueueClient } from "../../src/services/submission/queue-client.ts";
import { FakeQueue } from "../dialogues/fake-queue.ts";
import { mutated, readSeeds } from "../fuzz/mutate.ts";
import { Source } from "../fuzz/source.ts";
import { unlessLong } from "../support/missing.ts";

const seeds = unlessLong() ? 150 : 3_750;
const addresses = readSeeds("addresses");

/** Packages such as an honest client sends, and then what a hostile one makes of them. */
function hostileStream(source: Source): Buffer {
  const honest = source.list(4, () => {
    const message = source.text(["a: b\n", "\n", "text", "more\n", "text\n", "Received: x\n", "\r\n"], 6);
    const forwardPaths = source.list(4, () => (source.oneIn(2) ? "r@here.example" : source.pick(addresses)));
    const { before, after } = framePackage(message.length, source.pick(addresses), forwardPaths);
    return before.toString("latin1") + message + after.toString("latin1");
  });
  return Buffer.from(source.oneIn(3) ? honest.join("") : mutated(source, [honest.join("")]), "latin1");
}

/** How many answers a stream deserves: one for each recipient of each package that is complete. */
function answersDue(octets: Buffer): number {
  let [due, recipients] = [0, 0];
  for (const { kind } of createPackageReader()(Buffer.from(octets))) {
    if (kind === "forwardPath") recipients++;
    if (kind === "end") [due, recipients] = [due + recipients, 0];
  }
  return due;
}

test(`qmtpd answers each recipient of each whole package and queues no other, ${seeds} times`, async () => {
  const settings = readSettings(new Map(Object.entries({ me: "here.example", databytes: "60" })));
  if (settings.kind !== "done") return assert.fail(settings.text);
  const client = createQueueClient();
  const made = createQmtpService({
    settings: settings.value,
    submit: async () => client.submit(),
    submitToHook: async () => client.submit(),
    log: () => {},
    now: Date.now,
  });
  if (made.kind !== "done") return assert.fail(made.text);
  const queue = new FakeQueue();
  await queue.connect(client.attach);
  const server = createServer({ allowHalfOpen: true }, made.value.take).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") return assert.fail("no port");
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => {
    server.close();
    await made.value.stop();
    await queue.hangUp();
  });
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const octets = hostileStream(source);
    const due = answersDue(octets);
    const queuedBefore = queue.messages.length;
    const socket = connect({ port: address.port, host: "127.0.0.1", allowHalfOpen: true });
    let answered = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      answered = Buffer.concat([answered, chunk]);
    });
    for (const piece of source.pieces(octets)) socket.write(piece);
    socket.end();
    await once(socket, "close");
    const letters: string[] = [];
    for (let at = 0; at < answered.length; ) {
      const answer = decodeNetstring(answered.subarray(at), 10_000);
      if (typeof answer === "string") return assert.fail(`seed ${seed}: ${answered.toString("latin1", at)}`);
      letters.push(answer.text.slice(0, 1));
      at += answer.used;
    }
    assert.equal(letters.length, due, `seed ${seed}: answers`);
    const queued = queue.messages.slice(queuedBefore);
    const recipients = queued.reduce((sum, { forwardPaths }) => sum + forwardPaths.length, 0);
    assert.equal(letters.filter((letter) => letter === "K").length, recipients, `seed ${seed}: recipients`);
    for (const { body, forwardPaths } of queued) {
      assert.ok(
        forwardPaths.length > 0 &&
          forwardPaths.every((path) => !path.includes("@") || path.toLowerCase().endsWith("@here.example")),
      );
      assert.ok(!/[\0\r]/.test(body) && body.startsWith("Received: "));
    }
  }
  assert.ok(queue.messages.length > seeds / 4, `only ${queue.messages.length} messages were whole`);
  await queue.until(() => queue.receivedOctets === 0);
});
