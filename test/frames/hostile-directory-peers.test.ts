import assert from "node:assert/strict";
import { test } from "node:test";
import { createLocalLink } from "../../src/programs/directory/local-link.ts";
import { serveClient } from "../../src/programs/directory/serve.ts";
import { serveDirectory } from "../../src/programs/local/serve-directory.ts";
import { done } from "../../src/protocol/outcome.ts";
import * as directory from "../../src/protocol/wire/directory.ts";
import { Source } from "../fuzz/source.ts";
import { anyAddress, anyText, FakeSocket, hostileFrame, type Kind, turn } from "./hostile-frames.ts";

const seeds = 40;
const rounds = 25;
const streams = [1, 2, 3, 4, 5];

const asksBadly: readonly Kind[] = [
  (source, stream) => directory.askRecipient.encode(stream, { address: anyAddress(source) }),
  (source, stream) => directory.askRecipient.encode(stream, { address: anyText(source) }),
  (source, stream) => directory.recipientAnswer.encode(stream, { answer: source.below(256) }),
  (source, stream) => directory.askMailbox.encode(stream, { address: anyAddress(source) }),
  (_, stream) => directory.saslCancel.encode(stream, {}),
];

test(`directory answers another smtpd while one sends what it likes, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const desk = { askRecipient: async () => directory.exists };
    const honest = new FakeSocket();
    serveClient(honest, desk);
    let hostile = new FakeSocket();
    serveClient(hostile, desk);
    for (let round = 1; round <= rounds; round++) {
      if (hostile.isGone) {
        hostile = new FakeSocket();
        serveClient(hostile, desk);
      }
      hostile.say(...source.list(15, () => hostileFrame(source, asksBadly, streams)));
      honest.say(directory.askRecipient.encode(round, { address: "a@here.example" }));
      await turn();
    }
    await turn();
    const answers = honest.takeSent().map(({ type, stream, payload }) => {
      assert.equal(type, directory.recipientAnswer.type);
      return [stream, directory.recipientAnswer.decode(payload)?.answer];
    });
    assert.deepEqual(
      answers,
      Array.from({ length: rounds }, (_, n) => [n + 1, directory.exists]),
    );
    assert.equal(honest.isGone, false);
  }
});

test("directory tells a peer with too many questions that it cannot tell, and hangs up on one that reads nothing", async () => {
  const socket = new FakeSocket();
  serveClient(socket, { askRecipient: () => new Promise(() => {}) });
  for (let n = 1; n <= 10_001; n++) socket.say(directory.askRecipient.encode(n, { address: "a@b" }));
  await turn();
  assert.deepEqual(
    socket.takeSent().map(({ stream }) => stream),
    [10_001],
  );
  socket.unreadOctets = 16_777_217;
  socket.say(directory.askRecipient.encode(10_002, { address: "a@b" }));
  assert.equal(socket.isGone, true);
});

const site = { defaultDelivery: () => "./Maildir/", fullIsPermanent: () => false, isOpen: () => true };
const answersBadly: readonly Kind[] = [
  (source, stream) => directory.mailboxAnswer.encode(stream, { answer: source.pick([0, 1, 2, 3, 4, 5, 255]) }),
  (source, stream) => directory.askMailbox.encode(stream, { address: anyAddress(source) }),
];

test(`directory gives every question one answer, whatever local says, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const link = createLocalLink();
    const answers: Promise<number>[] = [];
    let socket = new FakeSocket();
    link.attach(socket);
    for (let round = 1; round <= rounds; round++) {
      if (socket.isGone) {
        socket = new FakeSocket();
        link.attach(socket);
      }
      answers.push(...source.list(12, () => link.ask("a@here.example")));
      await turn();
      const theirs = [1, ...socket.takeSent().map(({ stream }) => stream)];
      socket.say(...source.list(8, () => hostileFrame(source, answersBadly, theirs)));
    }
    for (let turns = 0; turns < 400; turns++) {
      if (socket.isGone) {
        socket = new FakeSocket();
        link.attach(socket);
      }
      await turn();
      for (const { stream } of socket.takeSent()) socket.say(directory.mailboxAnswer.encode(stream, { answer: 2 }));
      socket.emit("close");
      socket.isGone = true;
    }
    for (const answer of await Promise.all(answers)) assert.ok(answer >= 0 && answer <= directory.overQuotaForGood);
    assert.equal(await createLocalLink().ask("a@here.example"), directory.cannotTell, "without local");
  }
});

test(`local answers one directory while another sends what it likes, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const noWorkers = { take: () => assert.fail(), retire: () => {}, endPrograms: () => {}, close: () => {} };
    const desk = { route: () => done(undefined), workers: noWorkers, ...site };
    const honest = new FakeSocket();
    serveDirectory(honest, desk);
    let hostile = new FakeSocket();
    serveDirectory(hostile, desk);
    for (let round = 1; round <= rounds; round++) {
      if (hostile.isGone) {
        hostile = new FakeSocket();
        serveDirectory(hostile, desk);
      }
      hostile.say(...source.list(15, () => hostileFrame(source, asksBadly, streams)));
      honest.say(directory.askMailbox.encode(round, { address: "a@here.example" }));
      await turn();
    }
    await turn();
    assert.equal(honest.takeSent().length, rounds);
    assert.equal(honest.isGone, false);
  }
});

test("local hangs up on a directory that asks too much at once", () => {
  const noWorkers = { take: () => assert.fail(), retire: () => {}, endPrograms: () => {}, close: () => {} };
  const never = { route: () => new Promise<never>(() => {}), workers: noWorkers, ...site };
  const socket = new FakeSocket();
  serveDirectory(socket, never);
  for (let n = 1; n <= directory.maxMailboxQuestions; n++) socket.say(directory.askMailbox.encode(n, { address: "" }));
  assert.equal(socket.isGone, false);
  socket.say(directory.askMailbox.encode(99, { address: "" }));
  assert.equal(socket.isGone, true);
});
