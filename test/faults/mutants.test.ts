import assert from "node:assert/strict";
import { test } from "node:test";
import { unlessRoot, without } from "../support/missing.ts";
import { type Fault, mutant } from "../support/mutant.ts";
import { clockTree, stepClock, steps } from "./clock.ts";
import { type Damage, makeVictim, messages, spoilPage, startDamaged, text } from "./damage.ts";
import { failFlushes } from "./flush.ts";
import { inject } from "./inject.ts";
import { type Stage, startStage } from "./stage.ts";

/** Deliberate faults, by the promise they break, the play of these suites that must notice, and what it must say. */
const mutants: readonly {
  readonly name: string;
  readonly fault: Fault;
  readonly says: RegExp;
  readonly play: (fault: Fault) => Promise<readonly string[]>;
}[] = [
  {
    name: "P4: a failed write is answered 250",
    fault: {
      file: "programs/queue/commit.js",
      from: "group.refused?.(failure)",
      to: 'group.answer?.(), group.refused?.({ kind: "done", value: undefined })',
    },
    says: /^250 /,
    play: onStage(async (stage) => {
      const injection = await inject(stage.pids("queue"), [{ calls: ["pwrite64"], error: "EIO", when: "1+" }]);
      const replies = [await stage.send("remote"), await stage.send("Maildir")];
      await injection.end();
      return replies.filter((reply) => reply.startsWith("250"));
    }),
  },
  {
    name: "P4: after a failed flush the same log is used on",
    fault: { file: "services/storage/sqlite.js", from: "if (this.#distrustsLog)", to: "if (false)" },
    says: /^fsync\(.*queue\.sqlite-wal/,
    play: onStage(failFlushes),
  },
  {
    name: "P5: salvage passes over a healthy message",
    fault: {
      file: "services/storage/salvage.js",
      from: ".sort((a, b) => a - b)",
      to: ".sort((a, b) => a - b).slice(0, -1)",
    },
    says: /^\d+ saved, \d+ said to be lost$/,
    play: onDamaged(spoilPage(2)),
  },
  {
    name: "P5: a file that is no database stops the queue",
    fault: { file: "services/storage/sqlite-errors.js", from: "damage.has(resultCode(error) ?? -1)", to: "false" },
    says: /^answered: 4/,
    play: onDamaged(text),
  },
  {
    name: "P11: ages are believed right after a step of the clock",
    fault: {
      file: "programs/queue/core.js",
      from: "return this.watch.isSettled(",
      to: "return true || this.watch.isSettled(",
    },
    says: /^the waiting message was given up$/,
    play: overStep("a year forward"),
  },
  {
    name: "P11: mail from the future is tried again when it was to be by the clock of then",
    fault: {
      file: "protocol/schedule/retry.js",
      from: "Math.min(arrivedMs, startedMs);\n    const ageSeconds = Math.floor(",
      to: "arrivedMs;\n    const ageSeconds = Math.max(0, ",
    },
    says: /^tried again in \d{4}\.?\d* s only$/,
    play: overStep("an hour back"),
  },
];

test("each deliberate fault is noticed", { skip: unlessRoot() || without("strace", "faketime") }, async (t) => {
  for (const { name, fault, says, play } of mutants) {
    await t.test(name, async (t) => {
      const noticed = await play(fault);
      t.diagnostic(noticed.join("; "));
      assert.ok(noticed.some((line) => says.test(line)));
    });
  }
});

function onStage(play: (stage: Stage) => Promise<readonly string[]>) {
  return async (fault: Fault): Promise<readonly string[]> => {
    using made = mutant(fault);
    await using stage = await startStage({ tree: made.tree });
    return await play(stage);
  };
}

function onDamaged(damage: Damage) {
  return async (fault: Fault): Promise<readonly string[]> => {
    using made = mutant(fault);
    using victim = await makeVictim("stopped");
    const { wrong, saved, told } = await startDamaged(victim, "queue/queue.sqlite", damage, made.tree);
    const silent = damage === text || saved + told >= messages ? [] : [`${saved} saved, ${told} said to be lost`];
    return [...wrong, ...silent];
  };
}

function overStep(name: string) {
  return async (fault: Fault): Promise<readonly string[]> => {
    const step = steps.find((each) => each.name === name);
    using clock = clockTree(fault);
    await using stage = await startStage({ tree: clock.tree });
    return step ? await stepClock(stage, clock, step.offSeconds()) : [];
  };
}
