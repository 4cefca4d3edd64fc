import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import type { Outcome } from "../../protocol/outcome.ts";
import { createFrameReader, encodeFrame, type Frame, maxPayloadOctets } from "../../protocol/wire/frame.ts";
import {
  commit,
  dsnRecipients,
  noOptions,
  options as optionsFrame,
  recipients,
  refused,
  stored,
  submissionCredit,
  submissionWindowOctets,
} from "../../protocol/wire/submission.ts";
import { type Asked, inFrames, type Submission } from "./message-stream.ts";
import { createQueueLink, type QueueLink } from "./queue-link.ts";

/** As much of a socket as a channel touches. */
class FakeSocket extends EventEmitter {
  readonly writableLength = 0;
  destroyed = false;
  cork(): void {}
  uncork(): void {}
  write(_: Uint8Array): boolean {
    return true;
  }
  /** The channel writes at the end of a turn. */
  flushed = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  destroy(): void {
    this.destroyed = true;
  }
}

interface Scene {
  readonly link: QueueLink;
  readonly socket: FakeSocket;
  readonly submission: Submission;
  readonly verdicts: Outcome<number>[];
}

function openScene(): Scene {
  const link = createQueueLink();
  const socket = new FakeSocket();
  link.attach(socket as unknown as Socket);
  const verdicts: Outcome<number>[] = [];
  const submission = link.submit({ onRoom: () => {}, onVerdict: (verdict) => verdicts.push(verdict) });
  return { link, socket, submission, verdicts };
}

const envelope = { reversePath: "", bodyKind: 0, uid: 0, forwardPaths: ["a@b"] } as const;
const nonsense = [
  { name: "stored before the commit", frame: stored.encode(1, { queueId: 1 }) },
  { name: "credit nobody waits for", frame: submissionCredit.encode(1, { octets: 1 }) },
  { name: "a frame only we send", frame: commit.encode(1, { reversePath: "", bodyKind: 0, uid: 0 }) },
  { name: "a frame nobody knows", frame: encodeFrame(200, 1, Buffer.alloc(0)) },
  { name: "a frame that is too short", frame: encodeFrame(refused.type, 1, Buffer.alloc(1)) },
  { name: "a frame that is too long", frame: Buffer.from("ffffffff0100000001", "hex") },
];
for (const { name, frame } of nonsense) {
  test(`createQueueLink() closes the channel for ${name}, and every message is refused temporarily`, () => {
    const { link, socket, verdicts } = openScene();
    socket.emit("data", frame);
    assert.deepEqual([socket.destroyed, link.isUp, verdicts.map(({ kind }) => kind)], [true, false, ["temporary"]]);
  });
}

test("createQueueLink() passes over frames for a message it has abandoned", () => {
  const { link, socket, submission, verdicts } = openScene();
  submission.commit({ ...envelope, forwardPaths: [] });
  submission.abandon();
  socket.emit("data", stored.encode(1, { queueId: 1 }));
  assert.deepEqual([link.isUp, verdicts], [true, []]);
});

test("createQueueLink() does not believe a status or an early verdict that makes no sense", () => {
  const { socket, submission, verdicts } = openScene();
  socket.emit("data", refused.encode(1, { permanent: 7, status: "\r\n250", text: "no" }));
  assert.deepEqual(verdicts, [{ kind: "temporary", status: "3.0", text: "no" }]);
  submission.write(Buffer.alloc(submissionWindowOctets + 1));
  assert.equal(submission.isFull, false);
});

test("createQueueLink() sends the envelope after the last of the body", () => {
  const { socket, submission, verdicts } = openScene();
  submission.write(Buffer.alloc(submissionWindowOctets + 1));
  submission.commit({ ...envelope, forwardPaths: ["a@b"] });
  assert.equal(submission.isFull, true);
  socket.emit("data", submissionCredit.encode(1, { octets: 10 }));
  assert.equal(submission.isFull, false);
  socket.emit("data", stored.encode(1, { queueId: 7 }));
  assert.deepEqual(verdicts, [{ kind: "done", value: 7 }]);
});

test("inFrames() fills frames and loses nothing", () => {
  const forwardPaths = Array.from({ length: 700 }, (_, n) => `${n}${"x".repeat(250)}`);
  const frames = [...inFrames(forwardPaths, ({ length }) => length)].map(([from, to]) => forwardPaths.slice(from, to));
  assert.deepEqual(frames.flat(), forwardPaths);
  assert.deepEqual([...inFrames([], () => 0)], []);
  for (const some of frames) assert.ok(some.reduce((sum, { length }) => sum + 4 + length, 4) <= maxPayloadOctets);
});

test("createQueueLink() says what was asked for recipients in frames that fit, and nothing where nothing was", () => {
  const { socket, submission } = openScene();
  const read = createFrameReader();
  const sent: Frame[] = [];
  socket.write = (octets) => {
    const frames = read(Buffer.from(octets));
    assert.ok(frames !== "broken");
    sent.push(...frames);
    return true;
  };
  const forwardPaths = Array.from({ length: 300 }, (_, n) => `${n}@b`);
  const asked: Asked[] = [];
  asked[0] = { notify: 1, originalRecipient: "" };
  for (let n = 100; n < 300; n++) asked[n] = { notify: 8, originalRecipient: `rfc822;${"x".repeat(490)}` };
  submission.commit({ ...envelope, forwardPaths, asked, options: { ...noOptions, envelopeId: "id" } });
  return socket.flushed().then(() => {
    const lists = sent
      .filter(({ type }) => type === dsnRecipients.type)
      .map(({ payload }) => dsnRecipients.decode(payload));
    assert.ok(lists.length > 1);
    assert.deepEqual(
      lists.flatMap((list) => list?.forwardPaths),
      forwardPaths,
    );
    assert.deepEqual(
      lists.flatMap((list) => list?.notify),
      forwardPaths.map((_, at) => asked[at]?.notify ?? 0),
    );
    assert.deepEqual(
      lists.flatMap((list) => list?.originalRecipients),
      forwardPaths.map((_, at) => asked[at]?.originalRecipient ?? ""),
    );
    const options = sent.filter(({ type }) => type === optionsFrame.type);
    assert.deepEqual(
      options.map(({ payload }) => optionsFrame.decode(payload)?.envelopeId),
      ["id"],
    );
    assert.ok(!sent.some(({ type }) => type === recipients.type));
  });
});
