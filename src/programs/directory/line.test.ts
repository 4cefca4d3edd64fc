import assert from "node:assert/strict";
import { test } from "node:test";
import { createLine, type LineLimits } from "./line.ts";

const none = -1;
const stage = (atOnce = 2, more: Partial<LineLimits<number>> = {}) => {
  const line = createLine<number>({ atOnce, maxWaiting: 3, longestMs: 1_000, none, ...more });
  const sent: number[] = [];
  const open = (): void => line.open((frame) => sent.push(frame[0] ?? 0));
  return { line, sent, open, ask: () => line.ask((stream) => Buffer.of(stream)) };
};

test("ask() waits for a peer that is not there yet, and asks again one that went", async () => {
  const { line, sent, open, ask } = stage();
  const [one, other] = [ask(), ask()];
  open();
  assert.deepEqual(sent, [1, 2]);
  assert.equal(line.answer(1, 10), undefined);
  assert.equal(await one, 10);
  line.close();
  open();
  assert.deepEqual(sent, [1, 2, 3]);
  assert.equal(line.answer(2, 20), "broken", "what the one before was asked");
  assert.equal(line.answer(3, 30), undefined);
  assert.equal(await other, 30);
});

test("ask() asks so many at a time, and takes so many that wait", async () => {
  const { line, sent, open, ask } = stage(1);
  open();
  const answers = [ask(), ask(), ask(), ask()];
  assert.equal(await ask(), none);
  for (const stream of [1, 2, 3, 4]) assert.equal(line.answer(stream, stream), undefined);
  assert.deepEqual(sent, [1, 2, 3, 4]);
  assert.deepEqual(await Promise.all(answers), [1, 2, 3, 4]);
});

test("ask() gives up a peer that stays away", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { ask } = stage();
  const answer = ask();
  t.mock.timers.tick(1_000);
  assert.equal(await answer, none);
});

test("ask() gives the place of a question that took too long to the next one, and tells the peer", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { line, sent, open, ask } = stage(1, { forget: (stream) => Buffer.of(100 + stream) });
  open();
  const first = ask();
  t.mock.timers.tick(500);
  const second = ask();
  t.mock.timers.tick(500);
  assert.equal(await first, none);
  assert.deepEqual(sent, [1, 101, 2]);
  assert.equal(line.answer(1, 10), undefined, "it was on its way");
  assert.equal(line.answer(3, 10), "broken");
  assert.equal(line.answer(2, 20), undefined);
  assert.equal(await second, 20);
  line.close();
  open();
  assert.equal(line.answer(2, 20), "broken", "what the one before was asked");
});

test("ask() leaves a question that took too long in its place where the peer cannot forget it", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { line, sent, open, ask } = stage(1);
  open();
  const first = ask();
  t.mock.timers.tick(500);
  const second = ask();
  t.mock.timers.tick(500);
  assert.equal(await first, none);
  assert.equal(line.answer(1, 10), undefined);
  assert.deepEqual(sent, [1, 2]);
  assert.equal(line.answer(2, 20), undefined);
  assert.equal(await second, 20);
});
