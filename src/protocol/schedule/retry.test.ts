import assert from "node:assert/strict";
import { test } from "node:test";
import { isExpired, judge, longestWaitMs, nextAttemptMs, tooLong } from "./retry.ts";
import type { Job } from "./scheduler.ts";

const born = 1_000_000_000;
const rows = [
  { channel: "remote", ages: [0, 400, 1_600, 3_600, 6_400, 10_000] },
  { channel: "local", ages: [0, 100, 400, 900, 1_600, 2_500] },
] as const;
for (const { channel, ages } of rows) {
  for (const [at, age] of ages.entries()) {
    const next = ages[at + 1];
    if (next === undefined) continue;
    test(`§17.${channel === "remote" ? 30 : 31} nextAttemptMs() of a ${channel} message aged ${age} s is at ${next} s`, () => {
      assert.equal(nextAttemptMs(born, born + age * 1_000, channel), born + next * 1_000);
      assert.equal(nextAttemptMs(born, born + age * 1_000 + 999, channel), born + next * 1_000);
    });
  }
}

test("nextAttemptMs() takes a message from the future for one born now", () => {
  assert.equal(nextAttemptMs(born, born - 5_000_000, "remote"), born - 5_000_000 + 400_000);
});

for (const { channel, passes } of [
  { channel: "remote", passes: 40 },
  { channel: "local", passes: 79 },
] as const) {
  test(`§17.32 nextAttemptMs() makes ${passes} ${channel} passes in a lifetime of a week`, () => {
    let made = 0;
    let atMs = born;
    do {
      made++;
      atMs = nextAttemptMs(born, atMs, channel);
    } while (!isExpired(born, atMs, 604_800));
    assert.equal(made + 1, passes); // and the last
    assert.equal(atMs - born, 608_400_000);
  });
}

test("longestWaitMs() is what the rule gives at the end of the lifetime", () => {
  assert.equal(longestWaitMs(604_800), ((777 + 20) ** 2 - 604_800) * 1_000);
});

const job: Job = {
  message: 1,
  number: 0,
  forwardPath: "a@b",
  channel: "remote",
  destination: "b",
  arrivedMs: born,
  attempts: 2,
  shares: "always",
  priority: 0,
  askedOctets: 0,
};
const reports = [
  { letter: "K", last: true, verdict: { kind: "delivered", text: "said" } },
  { letter: "D", last: false, verdict: { kind: "failed", text: "said", status: "1.1" } },
  { letter: "Z", last: true, verdict: { kind: "failed", text: `said\n${tooLong}`, status: "4.7" } },
  { letter: "Z", last: false, verdict: { kind: "deferred", text: "said", attempts: 3, nextAttemptMs: born + 400_000 } },
  {
    letter: "?",
    last: false,
    verdict: { kind: "deferred", text: "report mangled, will defer", attempts: 3, nextAttemptMs: born + 400_000 },
  },
] as const;
for (const { letter, last, verdict } of reports) {
  test(`judge() of ${letter}${last ? ", the last attempt" : ""} is ${verdict.kind}`, () => {
    assert.deepEqual(judge({ letter, status: "1.1", text: "said" }, job, born, last), verdict);
  });
}

test("judge() takes no status from a report that is none", () => {
  const verdict = judge({ letter: "D", status: "5.1.1\n", text: "" }, job, born, false);
  assert.deepEqual(verdict, { kind: "failed", text: "", status: "0.0" });
});
