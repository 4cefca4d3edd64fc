import assert from "node:assert/strict";
import { test } from "node:test";
import { serveCaller } from "../../src/programs/authd/serve.ts";
import * as directory from "../../src/protocol/wire/directory.ts";
import * as login from "../../src/protocol/wire/login.ts";
import { createDirectoryClient } from "../../src/services/directory-client/directory-client.ts";
import { Source } from "../fuzz/source.ts";
import { unlessLong } from "../support/missing.ts";
import { anyText, FakeSocket, hostileFrame, type Kind, turn } from "./hostile-frames.ts";

const seeds = unlessLong() ? 40 : 1_000;
const rounds = 25;

const asksBadly: readonly Kind[] = [
  (source, stream) =>
    login.askLogin.encode(stream, { account: anyText(source), password: source.octets(700), address: "" }),
  (_, stream) => login.askLogin.encode(stream, { account: "joe", password: Buffer.from("x"), address: "x" }),
  (source, stream) => login.findAccount.encode(stream, { account: anyText(source) }),
  (_, stream) => directory.saslCancel.encode(stream, {}),
];
const answersBadly: readonly Kind[] = [
  (source, stream) =>
    directory.placeAnswer.encode(stream, {
      ...{ answer: source.pick([0, 1, 2, 3, 255]), uid: 0, gid: 0 },
      ...{ home: anyText(source), folder: anyText(source), quota: anyText(source) },
    }),
  (source, stream) => directory.senderAnswer.encode(stream, { answer: source.below(256) }),
  (source, stream) => directory.saslChallenge.encode(stream, { octets: source.octets(50) }),
  (source, stream) =>
    directory.saslEnd.encode(stream, {
      ...{ letter: source.pick(["K", "D", "Z", "X", ""]), account: anyText(source), text: anyText(source) },
      ...{ additional: source.octets(50), ticket: source.octets(50) },
    }),
];
const honest = login.askLogin.encode(0, { account: "joe", password: Buffer.from("right"), address: "" });

/** Answers as `directory` does, joe's only question. */
function answer(socket: FakeSocket): void {
  for (const { type, stream } of socket.takeSent()) {
    const end = { letter: "K", account: "joe", text: "", additional: Buffer.alloc(0), ticket: Buffer.alloc(0) };
    const place = { answer: directory.exists, uid: 7, gid: 8, home: "/h", folder: "/h/m", quota: "" };
    if (type === directory.saslBegin.type) socket.say(directory.saslEnd.encode(stream, end));
    if (type === directory.askPlace.type) socket.say(directory.placeAnswer.encode(stream, place));
  }
}

test(`authd answers one caller while another sends what it likes, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const client = createDirectoryClient();
    const toDirectory = new FakeSocket();
    client.attach(toDirectory);
    for (let round = 1; round <= rounds; round++) {
      const hostile = new FakeSocket();
      serveCaller(hostile, client);
      hostile.say(...source.list(4, () => hostileFrame(source, asksBadly, [0, 1])));
      const caller = new FakeSocket();
      serveCaller(caller, client);
      caller.say(honest);
      for (let turns = 0; turns < 4; turns++) {
        await turn();
        answer(toDirectory);
      }
      const [frame] = caller.takeSent();
      assert.equal(frame && login.loginAnswer.decode(frame.payload)?.account, "joe");
      assert.equal(toDirectory.isGone, false, "nothing a caller says breaks with directory");
      for (const socket of [hostile, caller]) socket.emit("close");
    }
  }
});

test(`authd gives a caller at most one answer, whatever directory says, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const client = createDirectoryClient();
    let toDirectory = new FakeSocket();
    client.attach(toDirectory);
    for (let round = 1; round <= rounds; round++) {
      if (toDirectory.isGone) {
        toDirectory = new FakeSocket();
        client.attach(toDirectory);
      }
      const caller = new FakeSocket();
      serveCaller(caller, client);
      caller.say(honest);
      for (let turns = 0; turns < 4; turns++) {
        await turn();
        const streams = [1, ...toDirectory.takeSent().map(({ stream }) => stream)];
        toDirectory.say(...source.list(4, () => hostileFrame(source, answersBadly, streams)));
      }
      toDirectory.emit("close");
      toDirectory.isGone = true;
      await turn();
      const answers = caller.takeSent().map(({ payload }) => login.loginAnswer.decode(payload)?.letter);
      assert.equal(answers.length, 1);
      assert.match(answers[0] ?? "", /^[KDZ]$/);
      caller.emit("close");
    }
  }
});
