import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { mock, test } from "node:test";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import type { QmqpRequest } from "../../services/qmqp-client/submit.ts";
import { take } from "./take.ts";

interface Played {
  readonly code: number;
  readonly requests: readonly QmqpRequest[];
  readonly said: readonly string[];
}

async function play(message: Readable, envelope: Readable, answer: Outcome<string> = done("ok")): Promise<Played> {
  const requests: QmqpRequest[] = [];
  const said: string[] = [];
  const code = await take({
    message,
    envelope,
    handIn: async (request) => {
      requests.push(request);
      return answer;
    },
    complain: (text) => said.push(text),
    longestMs: 86_400_000,
  });
  return { code, requests, said };
}

const streamOf = (text: string): Readable => Readable.from([Buffer.from(text, "latin1")]);
const envelope = "Fs@x\0Ta@y\0\0";

test("§17.1 take() reads the message to its end before the first octet of the envelope", async () => {
  const message = new Readable({ read() {} });
  let asked = false;
  const late = new Readable({
    read() {
      asked = true;
      this.push(Buffer.from(envelope));
      this.push(null);
    },
  });
  const playing = play(message, late);
  message.push(Buffer.from("x"));
  await new Promise(setImmediate);
  assert.equal(asked, false);
  message.push(null);
  assert.equal((await playing).code, 0);
});

test("§17.9 take() hands on eight bits and a last line without its end as they are", async () => {
  const { code, requests } = await play(streamOf("\xff\x80\n\n no end"), streamOf(envelope));
  assert.equal(code, 0);
  assert.deepEqual(requests, [
    { message: [Buffer.from("\xff\x80\n\n no end", "latin1")], reversePath: "s@x", forwardPaths: ["a@y"] },
  ]);
});

const refused = [
  { name: "a NUL", message: "a\0b\n", code: 31 },
  { name: "a bare CR", message: "a\rb\n", code: 31 },
];

for (const { name, message, code } of refused) {
  test(`§17.9 take() refuses a message with ${name}, and says why`, async () => {
    const played = await play(streamOf(message), streamOf(envelope));
    assert.deepEqual([played.code, played.requests, played.said.length], [code, [], 1]);
  });
}

const answers = [
  { answer: permanent("1.3", "no such address"), code: 31 },
  { answer: temporary("3.0", "not now"), code: 71 },
  { answer: temporary("4.1", "cannot connect"), code: 74 },
] as const;

for (const { answer, code } of answers) {
  test(`§17.181 take() exits ${code} when the server says: ${answer.text}`, async () => {
    const played = await play(streamOf("x\n"), streamOf(envelope), answer);
    assert.deepEqual([played.code, played.said], [code, [answer.text]]);
  });
}

test("take() exits 54 when the message or the envelope cannot be read", async () => {
  const broken = (): Readable =>
    new Readable({
      read() {
        this.destroy(new Error("EIO"));
      },
    });
  assert.equal((await play(broken(), streamOf(envelope))).code, 54);
  assert.equal((await play(streamOf("x\n"), broken())).code, 54);
});

test("§17.14 take() exits 52 when a submission is not complete after a day", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const playing = play(new Readable({ read() {} }), streamOf(envelope));
    mock.timers.tick(86_399_999);
    assert.equal(
      await Promise.race([playing, new Promise((resolve) => setImmediate(() => resolve("waits")))]),
      "waits",
    );
    mock.timers.tick(1);
    assert.equal((await playing).code, 52);
  } finally {
    mock.timers.reset();
  }
});
