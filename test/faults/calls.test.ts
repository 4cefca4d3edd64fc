import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { exits } from "../crash/table.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { until } from "../support/server.ts";
import { failFlushes } from "./flush.ts";
import { inject, type SystemFault } from "./inject.ts";
import { learnCells, nameOf, sampleOf, tryAll, writers } from "./matrix.ts";
import { type Stage, startStage } from "./stage.ts";

const skip = unlessRoot() || without("strace");
const flushes = ["fsync", "fdatasync"];
const fault = (calls: readonly string[], error: string, when = "1+"): SystemFault => ({ calls, error, when });

/** Faults that last, come in crowds or come together; the matrix has them one by one. */
const rows: readonly { program: string; faults: readonly SystemFault[] }[] = [
  { program: "queue", faults: [fault(flushes, "EIO")] },
  { program: "queue", faults: [fault(flushes, "EIO", "2+3")] },
  { program: "queue", faults: [fault(flushes, "ENOSPC", "1..3")] },
  { program: "queue", faults: [fault(flushes, "EIO", "1+4"), fault(["openat"], "EMFILE", "1+2")] },
  { program: "queue", faults: [fault(["pwrite64"], "EIO", "3+7")] },
  { program: "queue", faults: [fault(["pwrite64"], "EROFS")] },
  { program: "queue", faults: [fault(["pwrite64"], "ENOSPC", "2+5")] },
  { program: "local", faults: [fault(["syncfs"], "EIO")] },
  { program: "deliver", faults: [fault(["openat"], "EMFILE", "2+5")] },
  { program: "deliver", faults: [fault(["openat"], "EROFS", "1+2")] }, // a .qmail file that cannot be opened is there
  { program: "deliver", faults: [fault(["write"], "ENOSPC", "1+3")] },
  { program: "deliver", faults: [fault(["link"], "ENOSPC")] },
  { program: "deliver", faults: [fault(["rename"], "EIO", "1+2"), fault(["unlink"], "EIO")] },
  { program: "deliver", faults: [fault(["ftruncate"], "EIO"), fault(["write"], "EIO", "2+3")] },
  { program: "deliver", faults: [fault(["mkdir"], "ENOSPC")] },
];
const rowTimeoutMs = 60_000;

test("system calls that keep failing: 4xx or later, never lost or twice, and well again by itself", {
  skip,
}, async (t) => {
  await using stage = await startStage();
  await stage.send("mbox"); // there is a deliver, and of the Maildirs not one: they are made meanwhile
  await stage.count();
  for (const { program, faults } of rows.toReversed()) {
    const name = faults.map(({ calls: [call], error, when }) => `${call} ${error} ${when}`).join(" and ");
    await t.test(`in ${program}: ${name}`, { timeout: rowTimeoutMs }, async (t) => {
      const injection = await inject(stage.pids(program), faults);
      try {
        await until("a call to fail", async () => {
          await Promise.all(exits.map(({ name }) => stage.send(name)));
          return injection.failed() > 0;
        });
      } finally {
        t.diagnostic(`${injection.failed()} calls failed`);
        await injection.end();
      }
      stage.disturbed();
      await stage.serving();
      assert.deepEqual(await stage.count(), []);
    });
  }
});

const seed = Number(process.env.POSTERN_SEED ?? (process.env.POSTERN_LONG ? Date.now() % 1_000_000 : 590_420));

test("each kind of call of each program that writes, failing in each way once, and a kill at each", {
  skip,
}, async (t) => {
  t.diagnostic(`POSTERN_SEED=${seed}`);
  await using stage = await startStage();
  for (const program of writers) {
    const cells = await learnCells(stage, program);
    const wrong: string[] = [];
    const missed: string[] = [];
    let hits = 0;
    await tryAll(stage, sampleOf(cells, seed), (cell, tried) => {
      if (tried.hit) hits++;
      else missed.push(nameOf(cell));
      wrong.push(...tried.wrong);
    });
    t.diagnostic(`${program}: ${cells.length} places, ${hits} faults; not met: ${missed.join(", ") || "none"}`);
    assert.deepEqual(wrong, []);
    assert.ok(hits > 0);
  }
});

test("queue: a log whose flush failed is written anew, elsewhere, before anything is added", { skip }, async () => {
  await using stage = await startStage();
  assert.deepEqual(await failFlushes(stage), []);
});

test("a disk that fails is in the log once, however many messages were refused, and once that it is well", {
  skip,
}, async () => {
  await using stage = await startStage();
  const injection = await inject(stage.pids("queue"), [fault(["pwrite64"], "EIO")]);
  for (let n = 0; n < 10; n++) assert.match(await stage.send("Maildir"), /^4\d\d 4\.3\.1 cannot write the queue/);
  await injection.end();
  await stage.serving();
  assert.deepEqual(await stage.count(), []);
  const told = () => linesOf(stage).filter(({ event, text }) => event !== "delivery" && /the queue/.test(text ?? ""));
  await until("the log to say so", () => told().length > 1);
  assert.deepEqual(
    told().map(({ event, text }) => `${event}: ${text}`),
    [
      "alert: cannot write the queue: disk I/O error; it may have the message; refusing new mail until it can be written again",
      "warning: the queue can be written again",
    ],
  );
});

const linesOf = (stage: Stage): { readonly event: string; readonly text?: string }[] =>
  readFileSync(join(stage.server.root, "log/current"), "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
