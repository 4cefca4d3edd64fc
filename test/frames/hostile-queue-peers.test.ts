import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { serveOperator } from "../../src/programs/queue/operator-socket.ts";
import {
  ask,
  type Bench,
  Deliverer,
  delivers,
  FakePeer,
  settingsOf,
  startQueue,
} from "../../src/programs/queue/queue.testing.ts";
import { isEnvelopeAddress } from "../../src/protocol/address.ts";
import { type Outcome, temporary } from "../../src/protocol/outcome.ts";
import * as delivery from "../../src/protocol/wire/delivery.ts";
import { encodeFrame, headerOctets, maxPayloadOctets } from "../../src/protocol/wire/frame.ts";
import * as submission from "../../src/protocol/wire/submission.ts";
import type { ChannelEvents } from "../../src/services/channel/channel.ts";
import { MemoryStorage } from "../../src/services/storage/memory.ts";
import type { Change } from "../../src/services/storage/storage.ts";
import { mutated, readSeeds } from "../fuzz/mutate.ts";
import { Source } from "../fuzz/source.ts";
import { unlessLong } from "../support/missing.ts";
import { anyAddress, anyNumber, anyText, forwardsAndEnds, hostileFrame, type Kind, turn } from "./hostile-frames.ts";

const seeds = unlessLong() ? 30 : 750;
const rounds = 25;

const submits: readonly Kind[] = [
  (_, stream) => submission.open.encode(stream, {}),
  (source, stream) => encodeFrame(submission.bodyType, stream, source.octets(source.oneIn(9) ? maxPayloadOctets : 50)),
  (source, stream) => submission.recipients.encode(stream, { forwardPaths: source.list(4, () => anyAddress(source)) }),
  (source, stream) =>
    submission.commit.encode(stream, {
      reversePath: anyAddress(source),
      bodyKind: source.below(256),
      uid: anyNumber(source),
    }),
  (source, stream) => {
    const forwardPaths = source.list(4, () => anyAddress(source));
    const parallel = source.oneIn(4) ? source.list(3, () => "") : forwardPaths;
    return submission.dsnRecipients.encode(stream, {
      forwardPaths,
      notify: parallel.map(() => source.pick([0, 1, 2, 4, 7, 8, source.oneIn(9) ? anyNumber(source) : 3])),
      originalRecipients: forwardPaths.map(() => source.pick(["", "rfc822;a+40b", anyText(source).slice(0, 1_200)])),
    });
  },
  (source, stream) =>
    submission.options.encode(stream, {
      envelopeId: source.pick(["", "QQ314159", anyText(source).slice(0, 1_200)]),
      ret: source.below(source.oneIn(9) ? 256 : 3),
      flags: source.below(source.oneIn(9) ? 256 : 4),
      priority: source.below(source.oneIn(9) ? 256 : 19),
      holdUntilMs: source.pick([0, 1, 1_700_000_060_000, 2 ** 53 - 1]),
    }),
  (_, stream) => submission.abandon.encode(stream, {}),
  (source, stream) => submission.stored.encode(stream, { queueId: source.below(9) }),
  (source, stream) => submission.refused.encode(stream, { permanent: 1, status: "1.1", text: anyText(source) }),
  (source, stream) => submission.submissionCredit.encode(stream, { octets: anyNumber(source) }),
];
const deliversBadly: readonly Kind[] = [
  forwardsAndEnds,
  (source, stream) => delivery.deliveryCredit.encode(stream, { octets: anyNumber(source) }),
  (source, stream) =>
    delivery.forward.encode(stream, {
      reversePath: anyAddress(source),
      prefix: source.octets(300),
      forwardPaths: source.list(3, () => anyAddress(source)),
    }),
  (source, stream) =>
    delivery.report.encode(stream, {
      number: source.below(3),
      letter: source.pick(["K", "Z", "D", "", "\n", "KK"]),
      status: source.pick(["", "1.1", "5.0\nSubject: x", "999.999"]),
      text: anyText(source),
    }),
  (source, stream) =>
    delivery.relayed.encode(stream, {
      peer: source.pick(["mx.far.example", "", anyText(source).slice(0, 1_200)]),
      takesDsn: source.pick([0, 1, source.below(256)]),
      isFinal: source.pick([0, 1, source.below(256)]),
    }),
  (source, stream) => delivery.ended.encode(stream, { reached: source.below(6) }),
  (_, stream) => delivery.settled.encode(stream, {}),
  (_, stream) => delivery.bodyEnd.encode(stream, {}),
];

const settings = settingsOf({ locals: "here.example", envnoathost: "here.example", concurrencydestination: "100" });
const bodyOf = (n: number): string => `Subject: honest ${n}\n\n${"x".repeat(n * 997)}\n`;
const honestPath = (n: number): string => `honest${n}@far.example`;

/** Everything that is left is tried until there is nothing left: nobody's mail may stay behind. */
async function drain({ queue, clock }: Bench): Promise<void> {
  for (let tries = 0; tries < 30; tries++) {
    await ask(queue, clock, { command: "release" });
    await ask(queue, clock, { command: "retry" });
    await clock.advance(60_000);
    const [count] = await ask(queue, clock, { command: "count" });
    if ((count?.row as { messages: number } | undefined)?.messages === 0) return;
  }
  assert.fail(`left: ${JSON.stringify((await ask(queue, clock, { command: "show" })).slice(0, 3))}`);
}

type Role = "smtpd" | "local" | "remote";

/** One hostile peer in this role while others send and deliver honestly. */
async function besiege(seed: number, role: Role): Promise<void> {
  const source = new Source(seed);
  const bench = startQueue(new MemoryStorage(), settings);
  const { queue, clock, smtpd } = bench;
  const remote = role === "remote" ? undefined : new Deliverer(queue, "remote", delivers);
  if (role !== "local") new Deliverer(queue, "local", delivers);
  let hostile = new FakePeer(queue, role);
  const handed: number[] = [];
  for (let round = 0; round < rounds; round++) {
    if (hostile.closed) hostile = new FakePeer(queue, role);
    const streams = role === "smtpd" ? [1, 2, 3, 4] : [1, ...hostile.frames.slice(-20).map(({ stream }) => stream)];
    const kinds = role === "smtpd" ? submits : deliversBadly;
    hostile.send(...source.list(20, () => hostileFrame(source, kinds, streams)));
    if (source.oneIn(2)) handed.push(smtpd.submit(bodyOf(round), [honestPath(round), `me${round}@here.example`]));
    if (source.oneIn(9)) hostile.close();
    if (source.oneIn(3)) await clock.settle();
    if (source.oneIn(6)) await clock.advance(30_000);
  }
  await clock.settle();
  for (const stream of handed) assert.ok(smtpd.answer(stream).id, "an honest message was not taken");
  assert.equal(smtpd.closed, false);
  hostile.close();
  if (role === "local") new Deliverer(queue, "local", delivers);
  const last = remote ?? new Deliverer(queue, "remote", delivers);
  await drain(bench);
  if (role !== "remote") judgeHonest(last, handed.length);
  // What a bounce or a copy is made from later, and what goes into other programs' frames.
  for (const { reversePath, forwardPaths } of last.deliveries) {
    assert.ok([reversePath, ...forwardPaths].every(isEnvelopeAddress), "an address that nobody may queue");
  }
  await queue.stop();
}

/** Each message to far away was delivered once, and as it was. */
function judgeHonest(remote: Deliverer, count: number): void {
  const honest = remote.deliveries.filter(({ forwardPaths }) => forwardPaths[0]?.startsWith("honest"));
  assert.equal(honest.length, count);
  assert.equal(new Set(honest.flatMap(({ forwardPaths }) => forwardPaths)).size, count);
  for (const { forwardPaths, body, reversePath } of honest) {
    const n = Number(/\d+/.exec(forwardPaths[0] ?? "")?.[0]);
    assert.deepEqual([forwardPaths, reversePath, body], [[honestPath(n)], "sender@example.org", bodyOf(n)]);
  }
}

for (const role of ["smtpd", "local", "remote"] as const) {
  test(`queue serves the others while a ${role} sends what it likes, ${seeds} times`, async (t) => {
    for (let seed = 1; seed <= seeds; seed++) await t.test(`seed ${seed}`, () => besiege(seed, role));
  });
}

/** A peer of the queue that never reads: what it is sent piles up. */
function deafPeer({ queue }: Bench, name: string): { say(frame: Buffer): boolean; readonly unreadOctets: number } {
  let unreadOctets = 0;
  let events: ChannelEvents | undefined;
  let isOpen = true;
  queue.connect(name, (given) => {
    events = given;
    return {
      send: (octets) => {
        unreadOctets += octets.length;
      },
      pass: (_type, _stream, payload) => {
        unreadOctets += headerOctets + payload.length;
      },
      flush() {},
      get pendingOctets() {
        return unreadOctets;
      },
      close: () => {
        isOpen = false;
      },
    };
  });
  return {
    say(frame) {
      const [stream, type] = [frame.readUInt32BE(5), frame.readUInt8(4)];
      const answer = events?.onFrame({ type, stream, payload: frame.subarray(9) });
      if (answer === "broken" && isOpen) {
        isOpen = false;
        events?.onClose("broken");
      }
      return isOpen;
    },
    get unreadOctets() {
      return unreadOctets;
    },
  };
}

const mebi = 1_048_576;

const forwards = [
  { name: "a line end in the reverse-path", reversePath: "a\nBcc: x@y", forwardPaths: ["b@c"] },
  { name: "a control character in a forward-path", reversePath: "", forwardPaths: ["b@c", "\x1b[2J@d"] },
  {
    name: "a reverse-path that fits no frame once it is sent on",
    reversePath: "a".repeat(60_000),
    forwardPaths: ["b@c"],
  },
  {
    name: "a forward-path that fits no frame once it is sent on",
    reversePath: "",
    forwardPaths: [`${"b".repeat(60_000)}@c`],
  },
];
for (const { name, reversePath, forwardPaths } of forwards) {
  test(`queue gives up a local that forwards with ${name}`, async () => {
    const { queue, clock, smtpd } = startQueue(new MemoryStorage(), settings);
    const local = new FakePeer(queue, "local");
    smtpd.submit("x\n", ["a@here.example"]);
    await clock.settle();
    local.send(delivery.forward.encode(1, { reversePath, prefix: Buffer.alloc(0), forwardPaths }));
    assert.equal(local.closed, true);
  });
}

test("queue takes no new mail from a remote", async () => {
  const { queue, clock, smtpd } = startQueue(new MemoryStorage(), settings);
  const remote = new FakePeer(queue, "remote");
  smtpd.submit("x\n", ["a@far.example"]);
  await clock.settle();
  remote.send(delivery.forward.encode(1, { reversePath: "", prefix: Buffer.alloc(0), forwardPaths: ["b@c"] }));
  assert.equal(remote.closed, true);
});

test("queue gives up a local whose reports never end", async () => {
  const { queue, clock, smtpd } = startQueue(new MemoryStorage(), settings);
  const local = new FakePeer(queue, "local");
  for (let n = 0; n < 50; n++) smtpd.submit("x\n", [`a${n}@here.example`]);
  await clock.settle();
  const frames = Array.from({ length: 50 }, (_, stream) =>
    delivery.forward.encode(stream + 1, { reversePath: "", prefix: Buffer.alloc(60_000), forwardPaths: ["b@c"] }),
  );
  let octets = 0;
  while (octets < 100 * mebi && !local.closed) {
    local.send(...frames);
    octets += frames.length * 60_000;
  }
  assert.ok(octets < 70 * mebi, `${octets}`);
});

test("queue gives up an smtpd that does not read its answers", () => {
  const peer = deafPeer(startQueue(new MemoryStorage(), settings), "smtpd");
  const bad = submission.commit.encode(1, { reversePath: "\n", bodyKind: 0, uid: 0 });
  let messages = 0;
  while (messages < 1_000_000 && peer.say(submission.open.encode(1, {})) && peer.say(bad)) messages++;
  assert.ok(messages < 1_000_000);
  assert.ok(peer.unreadOctets < 17 * mebi);
});

test("queue gives up a remote that asks for more of a large message and reads nothing", async () => {
  const bench = startQueue(new MemoryStorage(), settings);
  const { clock, smtpd } = bench;
  const stream = smtpd.begin("", ["a@far.example"]);
  const piece = encodeFrame(submission.bodyType, stream, Buffer.alloc(maxPayloadOctets, "x\n"));
  for (let octets = 0; octets < 80 * mebi; octets += maxPayloadOctets) {
    smtpd.send(piece);
    await clock.settle();
  }
  smtpd.commit(stream);
  const peer = deafPeer(bench, "remote");
  await clock.settle();
  const credit = delivery.deliveryCredit.encode(1, { octets: 65_536 });
  let asked = 0;
  for (; asked < 2_000 && peer.say(credit); asked++) await turn();
  assert.ok(asked < 2_000);
  assert.ok(peer.unreadOctets > 60 * mebi && peer.unreadOctets < 66 * mebi, `${peer.unreadOctets}`);
});

/** A store that says nothing until told, or fails for pieces of bodies. */
class StuckStorage extends MemoryStorage {
  readonly #answer: (changes: readonly Change[]) => Promise<Outcome<undefined>> | undefined;

  constructor(answer: (changes: readonly Change[]) => Promise<Outcome<undefined>> | undefined) {
    super();
    this.#answer = answer;
  }

  override apply(changes: readonly Change[]): Promise<Outcome<undefined>> {
    return this.#answer(changes) ?? super.apply(changes);
  }
}

test("queue takes no more bodies than it can hold while the disk stands still, though they are abandoned", async () => {
  const bench = startQueue(new StuckStorage(() => new Promise(() => {})), settings);
  const { smtpd, clock } = bench;
  let refused = 0;
  smtpd.onFrame = ({ type }) => {
    if (type === submission.refused.type) refused++;
  };
  const piece = Buffer.alloc(maxPayloadOctets);
  let messages = 0;
  for (; messages < 4_000 && refused === 0; messages++) {
    const stream = messages + 1;
    smtpd.send(submission.open.encode(stream, {}), encodeFrame(submission.bodyType, stream, piece));
    smtpd.send(encodeFrame(submission.bodyType, stream, piece), submission.abandon.encode(stream, {}));
    smtpd.frames.length = 0;
  }
  await clock.settle();
  assert.ok(messages <= (129 * mebi) / maxPayloadOctets, `${messages} were kept`);
});

test("queue does not mistake a new message for an older one of the same stream", async () => {
  const failure = temporary("3.1", "disk full");
  let failing = true;
  const storage = new StuckStorage((changes) => {
    if (!failing || !changes.some(({ kind }) => kind === "chunk")) return undefined;
    failing = false;
    return Promise.resolve(failure);
  });
  const { smtpd, clock } = startQueue(storage, settings);
  const piece = encodeFrame(submission.bodyType, 1, Buffer.alloc(maxPayloadOctets));
  smtpd.send(submission.open.encode(1, {}), piece, piece);
  smtpd.commit(1);
  smtpd.send(submission.open.encode(1, {}), submission.recipients.encode(1, { forwardPaths: ["a@far.example"] }));
  await clock.settle();
  assert.ok(smtpd.answer(1).refused);
  smtpd.frames = [];
  smtpd.commit(1);
  await clock.settle();
  assert.ok(smtpd.answer(1).id);
});

const requests = readSeeds("operator-requests");

test(`queue answers a hostile operator in JSON lines, and mail flows, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const bench = startQueue(new MemoryStorage(), settings);
    const remote = new Deliverer(bench.queue, "remote", () => ({ letter: "Z", text: anyText(source) }));
    for (let n = 0; n < 20; n++) bench.smtpd.submit("x\n", [`a${n}@far.example`, anyAddress(source) || "b"]);
    await bench.clock.settle();
    const [ours, theirs] = duplexPair();
    let said = "";
    theirs.on("data", (chunk) => {
      said += chunk;
    });
    const served = serveOperator(ours, 0, (line, uid, answer) => bench.queue.operate(line, uid, answer));
    const lines = source.list(20, () => mutated(source, requests)).join("\n");
    for (const piece of source.pieces(Buffer.from(lines, "latin1"))) theirs.write(piece);
    theirs.end();
    let isServed = false;
    void served.then(() => {
      isServed = true;
    });
    while (!isServed) await bench.clock.settle();
    await turn();
    for (const line of said.trimEnd().split("\n")) assert.equal(typeof JSON.parse(line), "object");
    remote.fate = delivers;
    const before = remote.deliveries.length;
    const stream = bench.smtpd.submit("y\n", ["new@other.example"]);
    await bench.clock.settle();
    assert.ok(bench.smtpd.answer(stream).id);
    assert.ok(remote.deliveries.slice(before).some(({ forwardPaths }) => forwardPaths[0] === "new@other.example"));
    await bench.queue.stop();
  }
});

test("queue reads no more requests from an operator who reads no answers", async () => {
  const bench = startQueue(new MemoryStorage(), settings);
  for (let n = 0; n < 50; n++) bench.smtpd.submit("x\n", [`a${n}@far.example`]);
  await bench.clock.settle();
  const [ours, theirs] = duplexPair();
  const served = serveOperator(ours, 0, (line, uid, answer) => bench.queue.operate(line, uid, answer));
  const flood = '{"command":"show"}\n'.repeat(5_000);
  for (let piece = 0; piece < 20; piece++) theirs.write(flood);
  for (let turns = 0; turns < 50; turns++) await bench.clock.settle();
  assert.ok(ours.writableLength < mebi && ours.readableLength < mebi);
  assert.ok(theirs.writableLength > mebi, "the requests wait at the operator's side");
  ours.destroy();
  let isServed = false;
  void served.then(() => {
    isServed = true;
  });
  while (!isServed) await bench.clock.settle();
});
