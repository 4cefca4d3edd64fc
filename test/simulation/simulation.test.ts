import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { type Fault, faults } from "./profile.ts";
import { simulate } from "./simulate.ts";

/** How many messages each of two processes plays, always the same ones. */
const messages = process.env.POSTERN_LONG ? 10_000_000 : 500_000;
const mostMs = process.env.POSTERN_LONG ? 14_400_000 : 600_000;

/** Runs that once failed, and what they found. What a seed means changes with the code. */
const found: readonly { seed: number; steps: number; keeps: readonly Fault[]; bug: string }[] = [
  { seed: 5, steps: 100, keeps: faults, bug: "gave messages up in the minute before a clock jump was noticed" },
  { seed: 4, steps: 100, keeps: faults, bug: "let a message from the future wait until the clock was there again" },
  { seed: 3, steps: 100, keeps: faults, bug: "forgot to look again for what it gave back to the disk" },
  {
    seed: 50,
    steps: 98,
    keeps: ["power", "restart", "full", "broken", "jump", "reload", "down", "hang", "defer", "reject", "silence"],
    bug: "did not see that the clock went back while nothing could be written",
  },
  {
    seed: 56,
    steps: 25,
    keeps: ["crash", "power", "restart", "full", "broken", "reads", "jump", "operator", "lie", "reject", "breakOff"],
    bug: "lost sight of an overdue recipient whose message could not be read",
  },
  { seed: 2_000_049, steps: 100, keeps: faults, bug: "forgot what was due again before its result was written down" },
  {
    seed: 2_000_178,
    steps: 74,
    keeps: ["crash", "restart", "break", "full", "operator", "lie", "defer", "breakOff"],
    bug: "delivered twice what was released while it was being claimed",
  },
  {
    seed: 1_065,
    steps: 42,
    keeps: ["restart", "jump", "operator", "reload", "lie", "hang", "defer", "reject", "breakOff", "silence"],
    bug: "waited for a time of before the clock was set back",
  },
  {
    seed: 1_086,
    steps: 91,
    keeps: [
      "crash",
      "restart",
      "full",
      "broken",
      "operator",
      "reload",
      "down",
      "dns",
      "hang",
      "defer",
      "reject",
      "breakOff",
      "large",
      "silence",
    ],
    bug: "stood still when new mail alone could not be written, until something else was",
  },
  {
    seed: 1_248,
    steps: 38,
    keeps: ["break", "reads", "operator", "reload", "down", "lie", "hang", "defer", "breakOff", "large", "silence"],
    bug: "let marks go for results of a deleted message that were not written down",
  },
  {
    seed: 1_266,
    steps: 100,
    keeps: faults,
    bug: "forgot whom it had just claimed, when the last result of the same message was written at that moment",
  },
  {
    seed: 2_000_211,
    steps: 100,
    keeps: faults,
    bug: "left the mail of a destination on disk that was no longer left alone",
  },
  {
    seed: 1_225,
    steps: 49,
    keeps: ["power", "restart", "jump", "operator", "reload", "down", "dns", "hang", "defer", "reject", "silence"],
    bug: "gave a destination one more turn for each urgent mail, while others waited",
  },
  {
    seed: 2_000_222,
    steps: 4,
    keeps: [
      "crash",
      "power",
      "broken",
      "reads",
      "jump",
      "down",
      "dns",
      "hang",
      "defer",
      "reject",
      "breakOff",
      "large",
      "silence",
    ],
    bug: "was blamed for a report of delay when an earlier attempt ended in the same batch",
  },
  {
    seed: 1_262,
    steps: 66,
    keeps: ["power", "restart", "full", "broken", "jump", "reload", "lie", "defer", "breakOff", "large", "silence"],
    bug: "was blamed for a rest that was over, by a clock that was wrong, before it could be written down",
  },
  {
    seed: 1_385,
    steps: 38,
    keeps: [
      "crash",
      "power",
      "break",
      "full",
      "operator",
      "reload",
      "down",
      "dns",
      "lie",
      "reject",
      "breakOff",
      "large",
    ],
    bug: "was blamed for calling a message deleted that just ended, out of reach for too long",
  },
  {
    seed: 3_370,
    steps: 61,
    keeps: ["crash", "restart", "break", "jump", "operator", "down", "lie", "defer", "reject", "breakOff", "silence"],
    bug: "gave up what was young when the clock was set while it looked for what is old",
  },
  { seed: 3_370, steps: 100, keeps: faults, bug: "delivered what was held between the disk and its memory" },
  { seed: 3_811, steps: 100, keeps: faults, bug: "waited for ten years after a clock was wrong for some seconds" },
  { seed: 3_839, steps: 100, keeps: faults, bug: "was blamed for a place that a report of success still had" },
  { seed: 5_278, steps: 100, keeps: faults, bug: "was blamed for a wait that was over when a destination opened" },
  { seed: 6_723, steps: 100, keeps: faults, bug: "was blamed when a forward of what is late was late itself" },
  {
    seed: 7_050,
    steps: 100,
    keeps: faults,
    bug: "was blamed for the time it takes to read thousands from a slow disk",
  },
  {
    seed: 2_000_499,
    steps: 14,
    keeps: faults.filter((fault) => !["full", "dns", "hang", "defer", "breakOff", "silence"].includes(fault)),
    bug: "took an answer for news that came before the last failure, and was reported after it",
  },
];
for (const { seed, steps, keeps, bug } of found) {
  test(`the queue no longer ${bug}`, async () => {
    const without = new Set(faults.filter((fault) => !keeps.includes(fault)));
    assert.equal((await simulate(seed, { steps, without })).violation, undefined);
  });
}

/** The one thing that the queue draws by lot. */
const boundary = /=_[\da-f-]{36}/g;

test("simulate() does the same again for the same seed", async () => {
  const lines: string[][] = [[], []];
  for (const each of lines) {
    await simulate(7, { steps: 8, without: new Set(), trace: (line) => void each.push(line.replace(boundary, "")) });
  }
  assert.ok((lines[0]?.length ?? 0) > 1_000);
  assert.deepEqual(lines[0], lines[1]);
});

test("the queue keeps its bounds when more waits than fits in memory", async () => {
  const without = new Set<Fault>(faults);
  const { violation, recipients } = await simulate(1, { steps: 0, without, flood: true });
  assert.equal(violation, undefined);
  assert.ok(recipients > 10_000);
});

test("the queue loses, repeats and forgets nothing", { timeout: mostMs }, async (t) => {
  const explore = async (from: number): Promise<number> => {
    const args = [join(import.meta.dirname, "run.ts"), "--from", String(from), "--messages", String(messages)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const [said, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    t.diagnostic(said.trim());
    return code;
  };
  assert.deepEqual(await Promise.all([1_000, 2_000_000].map(explore)), [0, 0]);
});
