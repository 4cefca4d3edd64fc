import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, type Copy, judge, type Outage } from "./ledger.ts";

const whole = (atMs: number): Copy => ({ n: 1, isWhole: true, atMs });
const cases: readonly {
  name: string;
  answer?: Answer;
  promise?: "once" | "at least once";
  copies: readonly Copy[];
  crashesMs?: readonly number[];
  outages?: readonly Outage[];
  wrong: number;
}[] = [
  { name: "one copy", copies: [whole(5)], wrong: 0 },
  { name: "none", copies: [], wrong: 1 },
  { name: "two", copies: [whole(5), whole(6)], wrong: 1 },
  { name: "two after a crash, promised once", copies: [whole(5), whole(9)], crashesMs: [7], wrong: 1 },
  { name: "two after a crash", promise: "at least once", copies: [whole(5), whole(9)], crashesMs: [7], wrong: 0 },
  { name: "two before any crash", promise: "at least once", copies: [whole(5), whole(6)], crashesMs: [7], wrong: 1 },
  {
    name: "two, sent after the crash",
    promise: "at least once",
    copies: [whole(5), whole(6)],
    crashesMs: [1],
    wrong: 1,
  },
  { name: "a torn one", copies: [{ n: 1, isWhole: false }], wrong: 1 },
  { name: "a refused one", answer: "refused", copies: [whole(5)], wrong: 1 },
  { name: "a refused one that is gone", answer: "refused", copies: [], wrong: 0 },
  { name: "a doubtful one", answer: "doubtful", copies: [whole(5)], wrong: 0 },
  { name: "a doubtful one that is gone", answer: "doubtful", copies: [], wrong: 0 },
  { name: "a doubtful one twice", answer: "doubtful", copies: [whole(5), whole(6)], wrong: 1 },
  { name: "an unfinished one", answer: "unfinished", copies: [whole(5)], crashesMs: [3], wrong: 1 },
  { name: "an unfinished one that is gone", answer: "unfinished", copies: [], wrong: 0 },
  { name: "one for which nobody listened", answer: "unreachable", copies: [], wrong: 1 },
  {
    name: "one for which nobody listened before the outage",
    answer: "unreachable",
    copies: [],
    outages: [{ fromMs: 5, toMs: 9 }],
    wrong: 1,
  },
  {
    name: "one that came while it was down",
    answer: "unreachable",
    copies: [],
    outages: [{ fromMs: 3, toMs: 9 }],
    wrong: 0,
  },
  { name: "one nobody sent", copies: [whole(5), { n: 2, isWhole: true }], wrong: 1 },
];

for (const { name, answer = "acknowledged", promise = "once", copies, crashesMs = [], outages = [], wrong } of cases) {
  test(`judge() ${wrong ? "refuses" : "takes"} ${name}`, () => {
    const sent = new Map([[1, { exit: "there", atMs: 2, untilMs: 4, answer }]]);
    const verdict = judge(sent, [{ name: "there", exit: "there", promise, copies }], crashesMs, outages);
    assert.equal(verdict.wrong.length, wrong, verdict.wrong.join("\n"));
  });
}

test("judge() refuses what is delivered and bounced", () => {
  const sent = new Map([[1, { exit: "there", atMs: 2, answer: "acknowledged" as const }]]);
  const place = (name: string) => ({ name, exit: name, promise: "once" as const, copies: [whole(5)] });
  assert.equal(judge(sent, [place("there"), place("bounces")], []).wrong.length, 1);
});
