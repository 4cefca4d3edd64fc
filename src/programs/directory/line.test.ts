import assert from "node:assert/strict";
import { test } from "node:test";
import { createLine } from "./line.ts";

const none = -1;
const stage = (atOnce = 2) => {
  const line = createLine<number>({ atOnce, maxWaiting: 3, longestMs: 1_000, none });
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
