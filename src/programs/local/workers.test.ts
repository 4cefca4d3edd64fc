import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Confinement } from "../../services/directory/route.ts";
import type { Worker } from "./worker.ts";
import { createWorkers, maxWorkers, type WorkersOptions } from "./workers.ts";

type Options = Parameters<WorkersOptions["start"]>[1];

/** A worker that does nothing; `isIdle` is what the test says. */
interface FakeWorker extends Worker {
  isIdle: boolean;
  lastUsedMs: number;
  readonly options: Options;
  isClosed: boolean;
}

const plan = { node: "node", code: "/", program: "deliver" } as const;
const wall = { read: [], write: [], network: "none", ffi: false, kernel: "confined" } as const;
const limits = { descriptors: 256, heapMiB: 64 };

function stage() {
  const started: FakeWorker[] = [];
  const start = (_: unknown, options: Options): FakeWorker => {
    const worker: FakeWorker = {
      options,
      pid: 0,
      open: () => 0,
      send() {},
      pass() {},
      forget() {},
      isIdle: false,
      runningPrograms: 0,
      lastUsedMs: started.length,
      isClosed: false,
      close() {
        worker.isClosed = true;
        options.whenClosed("closed");
      },
      endPrograms() {},
    };
    started.push(worker);
    return worker;
  };
  const workers = createWorkers({
    facts: { embedded: true, deliver: { ...plan, wall: { ...wall, limits } } },
    mailFolders: () => [],
    homesOf: () => [],
    mostProgramsOfOneUser: () => 1,
    start,
    log() {},
  });
  return { started, workers };
}

const folder = "/";
const user = (n: number): Confinement => ({ key: `${n}`, uid: n, gid: n, folder, isUser: true });

test("take() waits for a place, and gives it in the order of the asking", async () => {
  const { started, workers } = stage();
  const given: string[] = [];
  for (let n = 0; n < maxWorkers + 3; n++) workers.take(user(n), ({ kind }) => given.push(`${n} ${kind}`));
  assert.equal(given.length, maxWorkers);
  workers.take(user(7), ({ kind }) => given.push(`7 again ${kind}`));
  assert.equal(given.at(-1), "7 again done", "one that has a worker does not wait");
  for (const n of [9, 4]) {
    const worker = started[n];
    if (!worker) throw new Error("not started");
    worker.isIdle = true;
    worker.options.whenIdle();
  }
  await turn();
  assert.deepEqual(given.slice(-2), [`${maxWorkers} done`, `${maxWorkers + 1} done`]);
  assert.deepEqual([started[9]?.isClosed, started[4]?.isClosed, started[5]?.isClosed], [true, true, false]);
  started[5]?.close();
  await turn();
  assert.equal(given.at(-1), `${maxWorkers + 2} done`);
  workers.close();
});

test("take() gives up after a minute", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  const { workers } = stage();
  const given: string[] = [];
  for (let n = 0; n <= maxWorkers; n++) workers.take(user(n), ({ kind }) => given.push(kind));
  nowMs = 50_000;
  t.mock.timers.tick(50_000);
  assert.equal(given.length, maxWorkers);
  nowMs = 70_000;
  t.mock.timers.tick(20_000);
  assert.equal(given.at(-1), "temporary");
  workers.close();
});
