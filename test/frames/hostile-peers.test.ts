import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { openSync } from "node:fs";
import { test } from "node:test";
import type { HeldForwards } from "../../src/programs/local/delivery.ts";
import { createFlusher } from "../../src/programs/local/flush.ts";
import { serveQueue } from "../../src/programs/local/serve-queue.ts";
import { createWorker, type Worker } from "../../src/programs/local/worker.ts";
import type { Means } from "../../src/programs/remote/attempt.ts";
import { Deliveries } from "../../src/programs/remote/deliveries.ts";
import { isEnvelopeAddress } from "../../src/protocol/address.ts";
import { done, type Outcome, temporary } from "../../src/protocol/outcome.ts";
import * as delivery from "../../src/protocol/wire/delivery.ts";
import { encodeFrame, type Frame } from "../../src/protocol/wire/frame.ts";
import * as submission from "../../src/protocol/wire/submission.ts";
import * as worker from "../../src/protocol/wire/worker.ts";
import { createQueueClient } from "../../src/services/submission/queue-client.ts";
import { createQueueLink } from "../../src/services/submission/queue-link.ts";
import { Source } from "../fuzz/source.ts";
import { unlessLong } from "../support/missing.ts";
import {
  anyAddress,
  anyNumber,
  anyText,
  FakeSocket,
  forwardsAndEnds,
  hostileFrame,
  type Kind,
  turn,
} from "./hostile-frames.ts";

const seeds = unlessLong() ? 40 : 1_000;
const rounds = 25;
const streams = [1, 2, 3, 4, 5];

const asksToDeliver: readonly Kind[] = [
  (source, stream) => deliverFrame(stream, source.below(200), [anyAddress(source)], [source.below(3)]),
  (source, stream) =>
    deliverFrame(
      stream,
      anyNumber(source),
      source.list(4, () => anyAddress(source)),
      source.list(4, () => 1),
    ),
  (source, stream) => encodeFrame(delivery.deliveryBodyType, stream, source.octets(source.oneIn(6) ? 65_536 : 100)),
  (_, stream) => delivery.bodyEnd.encode(stream, {}),
  (_, stream) => delivery.settled.encode(stream, {}),
  (_, stream) => delivery.ended.encode(stream, { reached: 1 }),
];

function deliverFrame(
  stream: number,
  octets: number,
  forwardPaths: readonly string[],
  numbers: readonly number[],
): Buffer {
  const fields = { queueId: 1, name: "1.Q2I3", arrivedMs: 0, bodyKind: 0, attempt: 1, reversePath: "s@far.example" };
  return delivery.deliver.encode(stream, { ...fields, octets, numbers, forwardPaths });
}

const worksBadly: readonly Kind[] = [
  forwardsAndEnds,
  (source, stream) =>
    delivery.deliveryCredit.encode(stream, { octets: source.pick([0, 1, 50, 100, 65_536, 2 ** 32 - 1]) }),
  (source, stream) =>
    delivery.forward.encode(stream, {
      reversePath: anyAddress(source),
      prefix: source.octets(200),
      forwardPaths: source.list(3, () => anyAddress(source)),
    }),
  (source, stream) =>
    delivery.report.encode(stream, {
      number: source.pick([1, 1, 1, 0, 7]),
      letter: source.pick(["K", "D", "Z", "", "x"]),
      status: source.pick(["", "1.1", "1.1\nX: y"]),
      text: anyText(source),
    }),
  (source, stream) => delivery.ended.encode(stream, { reached: source.below(5) }),
  (source, stream) => worker.written.encode(stream, { device: source.below(3), folder: source.below(300) }),
  (_, stream) =>
    worker.run.encode((stream % 1_000) + 1_000_000, { command: "true", home: "/", file: 0, environment: [] }),
  (source, stream) => worker.ran.encode(stream, { exitCode: 0, signalled: 0, output: anyText(source) }),
  (_, stream) => worker.abandon.encode(stream, {}),
];

/** A `deliver` process that is none: what `local` sends it arrives at `socket`. */
function fakeWorker(): { worker: Worker; socket: FakeSocket; closed: boolean } {
  const socket = new FakeSocket();
  const child = { pid: 4_194_303, stdio: [null, null, null, socket], kill: () => true, on: () => child };
  const made = { socket, closed: false, worker: undefined as unknown as Worker };
  made.worker = createWorker(child as unknown as ChildProcess, {
    as: undefined,
    serverRoot: undefined,
    mayRun: () => true,
    openFolder: (_, folder) => (folder < 200 ? done(openSync("/dev/null", "r")) : temporary("3.0", "no such folder")),
    flush() {},
    whenIdle() {},
    whenClosed: () => {
      made.closed = true;
    },
  });
  return made;
}

/** `local` between a queue and two workers: what is for "evil" goes to the hostile one. */
function openLocal() {
  const workers = new Map([
    ["good", fakeWorker()],
    ["evil", fakeWorker()],
  ]);
  const of = (name: string) => {
    const known = workers.get(name);
    if (known && !known.closed) return known;
    const fresh = fakeWorker();
    workers.set(name, fresh);
    return fresh;
  };
  const held: HeldForwards = { octets: 0 };
  const confinement = { key: "", uid: 1, gid: 1, folder: "/", isUser: true };
  const desk = {
    route: (address: string) => {
      const name = address.startsWith("evil") ? "evil" : "good";
      const route = { user: "u", home: "/", homeKind: 0, dash: "", extension: "" };
      return done({ ...route, confinement: { ...confinement, key: name } });
    },
    workers: {
      take: ({ key }: { key: string }, give: (worker: Outcome<Worker>) => void) => give(done(of(key).worker)),
      retire: () => {},
      endRetired: () => {},
      endPrograms: () => {},
      close: () => {},
    },
    flusher: createFlusher(
      () => done(undefined),
      () => 1,
    ),
    held,
    defaultDelivery: () => "./Maildir/",
    host: () => "here.example",
    fullIsPermanent: () => false,
    isOpen: () => true,
  };
  const serve = (): FakeSocket => {
    const socket = new FakeSocket();
    serveQueue(socket, desk, { whenIdle: () => {}, whenClosed: () => {} });
    return socket;
  };
  return { serve, of, held };
}

const body = Buffer.from("Subject: x\n\nbody\n");
const bodyFrames = (stream: number): Buffer[] => [
  encodeFrame(delivery.deliveryBodyType, stream, body),
  delivery.bodyEnd.encode(stream, {}),
];

/** The good worker does its work. */
function workWell(socket: FakeSocket): void {
  for (const { type, stream } of socket.takeSent()) {
    if (type !== delivery.bodyEnd.type) continue;
    socket.say(delivery.report.encode(stream, { number: 1, letter: "K", status: "", text: "did 1+0+0\n" }));
    socket.say(delivery.ended.encode(stream, { reached: 1 }));
  }
}

/** Lets all that was asked of the good worker be done, and told. */
async function finish(local: ReturnType<typeof openLocal>): Promise<void> {
  for (let turns = 0; turns < 6; turns++) {
    workWell(local.of("good").socket);
    await turn();
  }
}

interface Told {
  credit: number;
  reports: number;
  ended: number;
  text: string;
}

/** What queue was told, by stream; fails for what it would not stand. */
function tell(told: Map<number, Told>, frames: readonly Frame[]): void {
  for (const { type, stream, payload } of frames) {
    const all = told.get(stream) ?? { credit: 0, reports: 0, ended: 0, text: "" };
    told.set(stream, all);
    assert.equal(all.ended, 0, "something was said after the end");
    if (type === delivery.deliveryCredit.type)
      all.credit += delivery.deliveryCredit.decode(payload)?.octets ?? Number.NaN;
    else if (type === delivery.report.type) {
      const fields = delivery.report.decode(payload);
      assert.ok(fields && fields.number === 1 && /^[KZD]$/.test(fields.letter) && /^[0-9.]*$/.test(fields.status));
      all.reports++;
      all.text = `${fields.letter}${fields.text}`;
    } else if (type === delivery.forward.type) {
      const fields = delivery.forward.decode(payload);
      assert.ok(fields && [fields.reversePath, ...fields.forwardPaths].every(isEnvelopeAddress));
    } else if (type === delivery.ended.type) all.ended++;
    else assert.fail(`a frame ${type} to queue`);
  }
}

async function besiegeByWorker(seed: number): Promise<void> {
  const source = new Source(seed);
  const local = openLocal();
  const queue = local.serve();
  const told = new Map<number, Told>();
  let stream = 0;
  const evil: number[] = [];
  const good: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const to of ["evil", "good"]) {
      queue.say(deliverFrame(++stream, body.length, [`${to}@here.example`], [1]));
      if (to === "good" || source.oneIn(2)) queue.say(...bodyFrames(stream));
      (to === "evil" ? evil : good).push(stream);
    }
    const { socket } = local.of("evil");
    const theirs = [...new Set([1, ...socket.takeSent().map((frame) => frame.stream)])];
    socket.say(...source.list(12, () => hostileFrame(source, worksBadly, theirs)));
    workWell(local.of("good").socket);
    if (source.oneIn(8)) socket.emit("close");
    await turn();
    tell(told, queue.takeSent());
  }
  local.of("evil").socket.emit("close");
  await finish(local);
  tell(told, queue.takeSent());
  assert.equal(queue.isGone, false, "queue was given a reason to hang up");
  for (const each of [...good, ...evil]) assert.deepEqual([told.get(each)?.reports, told.get(each)?.ended], [1, 1]);
  for (const each of good) assert.deepEqual(told.get(each), { credit: 0, reports: 1, ended: 1, text: "Kdid 1+0+0\n" });
  for (const each of evil) assert.ok((told.get(each)?.credit ?? 0) <= body.length);
  assert.equal(local.held.octets, 0);
}

test(`local serves the other users while a worker sends what it likes, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) await besiegeByWorker(seed);
});

test(`local serves another queue while one sends what it likes, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const local = openLocal();
    const honest = local.serve();
    let hostile = local.serve();
    const told = new Map<number, Told>();
    for (let round = 1; round <= rounds; round++) {
      if (hostile.isGone) hostile = local.serve();
      hostile.say(...source.list(15, () => hostileFrame(source, asksToDeliver, streams)));
      honest.say(deliverFrame(round, body.length, ["good@here.example"], [1]), ...bodyFrames(round));
      workWell(local.of("good").socket);
      await turn();
    }
    await finish(local);
    tell(told, honest.takeSent());
    for (let round = 1; round <= rounds; round++) assert.deepEqual(told.get(round)?.text, "Kdid 1+0+0\n");
    assert.equal(honest.isGone, false);
  }
});

test("local gives up a worker that asks for programs nobody waits for, and does not read the answers", async () => {
  const { socket, worker: made } = fakeWorker();
  socket.unreadOctets = 67_000_000;
  const ask = worker.run.encode(7, { command: "true", home: "/", file: 0, environment: [] });
  const flood = Buffer.concat(Array.from({ length: 10_000 }, () => ask));
  let asked = 0;
  for (; asked < 1_000 && !socket.isGone; asked++) {
    socket.say(flood);
    await turn();
  }
  assert.ok(asked < 1_000 && socket.unreadOctets < 70_000_000);
  assert.equal(made.isIdle, true);
});

test("local gives up a worker that gives credit for nothing", () => {
  const local = openLocal();
  const queue = local.serve();
  queue.say(deliverFrame(1, body.length, ["evil@here.example"], [1]), ...bodyFrames(1));
  const { socket } = local.of("evil");
  socket.say(delivery.deliveryCredit.encode(1, { octets: 0 }));
  assert.deepEqual([socket.isGone, queue.isGone], [true, false]);
});

const answersBadly: readonly Kind[] = [
  (source, stream) =>
    submission.submissionCredit.encode(stream, { octets: source.pick([0, 1, 100, 65_536, 2 ** 32 - 1]) }),
  (source, stream) => submission.stored.encode(stream, { queueId: source.below(2 ** 32) }),
  (source, stream) =>
    submission.refused.encode(stream, {
      permanent: source.below(3),
      status: source.pick(["1.1", "", "\r\n250 ok"]),
      text: anyText(source),
    }),
  (_, stream) => submission.open.encode(stream, {}),
];

const envelope = { reversePath: "", bodyKind: 0, uid: 0, forwardPaths: ["a@b"] };

test(`smtpd's link gives each message one verdict, whatever queue says, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const link = createQueueLink();
    const verdicts: (Outcome<number>[] | "abandoned")[] = [];
    let socket = new FakeSocket();
    link.attach(socket);
    for (let round = 0; round < rounds; round++) {
      if (!link.isUp) {
        socket = new FakeSocket();
        link.attach(socket);
      }
      const mine: Outcome<number>[] = [];
      const at = verdicts.push(mine) - 1;
      const message = link.submit({ onRoom: () => {}, onVerdict: (verdict) => void mine.push(verdict) });
      message.write(source.octets(source.oneIn(4) ? 300_000 : 100));
      if (source.oneIn(2)) message.commit(envelope);
      socket.say(...source.list(10, () => hostileFrame(source, answersBadly, [round, round + 1])));
      if (mine.length === 0 && source.oneIn(5)) {
        message.abandon();
        verdicts[at] = "abandoned";
      }
      await turn();
      socket.takeSent();
    }
    socket.emit("close");
    for (const mine of verdicts) {
      if (mine === "abandoned") continue;
      assert.equal(mine.length, 1);
      const [verdict] = mine;
      assert.ok(verdict?.kind === "done" || /^[0-9]{1,3}\.[0-9]{1,3}$/.test(verdict?.status ?? ""));
    }
  }
});

test(`qmqpd's link gives each message one outcome, whatever queue says, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const client = createQueueClient();
    const outcomes: Promise<Outcome<number>>[] = [];
    let socket = new FakeSocket();
    client.attach(socket);
    for (let round = 0; round < rounds; round++) {
      if (socket.isGone) {
        socket = new FakeSocket();
        client.attach(socket);
      }
      const submitted = client.submit();
      if (submitted.kind !== "done") continue;
      outcomes.push(submitted.value.outcome);
      void submitted.value.write(source.octets(source.oneIn(4) ? 300_000 : 100));
      if (source.oneIn(2)) submitted.value.commit("", ["a@b"], 0);
      socket.say(...source.list(10, () => hostileFrame(source, answersBadly, [round, round + 1])));
      if (source.oneIn(5)) submitted.value.abandon();
      await turn();
      socket.takeSent();
    }
    socket.emit("close");
    for (const outcome of await Promise.all(outcomes)) {
      assert.ok(outcome.kind === "done" || /^[0-9]{1,3}\.[0-9]{1,3}$/.test(outcome.status), JSON.stringify(outcome));
    }
  }
});

test(`remote answers another queue while one sends what it likes, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const unknown = { kind: "unknown", why: "no network" } as const;
    const means = {
      config: {
        routes: new Map(),
        qmtpRoutes: new Map(),
        lmtpRoutes: new Map(),
        silenceTimeoutMs: 1_000,
        isOwn: () => true,
      },
      dns: {
        mx: async () => (source.oneIn(2) ? turn().then(() => unknown) : unknown),
        addresses: async () => unknown,
        close() {},
      },
      watch: { now: () => 0, add: (watched: { expire(): void }) => watched.expire(), delete() {} },
      random: () => 0,
    } as unknown as Means;
    const deliveries = new Deliveries(() => means);
    const honest = new FakeSocket();
    deliveries.serve(honest);
    let hostile = new FakeSocket();
    deliveries.serve(hostile);
    const told = new Map<number, Told>();
    for (let round = 1; round <= rounds; round++) {
      if (hostile.isGone) {
        hostile = new FakeSocket();
        deliveries.serve(hostile);
      }
      hostile.say(...source.list(15, () => hostileFrame(source, asksToDeliver, streams)));
      honest.say(deliverFrame(round, body.length, ["a@far.example"], [1]), ...bodyFrames(round));
      if (source.oneIn(2)) await turn();
    }
    for (let turns = 0; turns < 5; turns++) await turn();
    tell(told, honest.takeSent());
    for (let round = 1; round <= rounds; round++) {
      assert.deepEqual([told.get(round)?.reports, told.get(round)?.ended], [1, 1]);
      assert.match(told.get(round)?.text ?? "", /^ZSorry, I couldn't find any host by that name/);
    }
    assert.equal(honest.isGone, false);
    await deliveries.stop(0);
  }
});
