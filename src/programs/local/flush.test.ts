import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { done, temporary } from "../../protocol/outcome.ts";
import { createFlusher } from "./flush.ts";
import { fewFolders } from "./workers.ts";

/** Device 3 cannot be flushed; two may wait. */
function stage() {
  const happened: string[] = [];
  const flusher = createFlusher(
    (folder) => {
      happened.push(`flush ${folder}`);
      return folder === 30 ? temporary("3.0", "cannot flush") : done(undefined);
    },
    () => 3,
  );
  const add = (name: string, devices: Record<number, number>, mayWait: boolean) => {
    const folders = new Map(Object.entries(devices).map(([device, folder]) => [Number(device), folder]));
    flusher.add(folders, mayWait, (failure) => void happened.push(`${name} ${failure?.text ?? "ok"}`));
  };
  return { happened, flusher, add };
}

test("createFlusher() flushes each device once a turn, before it tells anybody", async () => {
  const { happened, add } = stage();
  add("a", { 1: 10 }, false);
  add("b", { 1: 11 }, true);
  add("c", { 1: 11, 3: 30 }, false);
  assert.deepEqual(happened, []);
  await turn();
  assert.deepEqual(happened.splice(0), ["flush 10", "flush 30", "a ok", "b ok", "c cannot flush"]);
  add("d", { 1: 12 }, false);
  await turn();
  assert.deepEqual(happened, ["flush 12", "d ok"]);
});

test("createFlusher() keeps who may wait for 10 ms, for others of the kind, or until it is told", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { happened, flusher, add } = stage();
  add("a", { 1: 10 }, true);
  t.mock.timers.tick(6);
  add("b", { 1: 10 }, true);
  await turn();
  assert.deepEqual(happened, []);
  t.mock.timers.tick(4);
  assert.deepEqual(happened.splice(0), ["flush 10", "a ok", "b ok"]);
  for (const name of ["c", "d", "e"]) add(name, { 1: 10 }, true);
  await turn();
  assert.deepEqual(happened.splice(0), ["flush 10", "c ok", "d ok", "e ok"]);
  add("f", { 1: 10 }, true);
  flusher.now();
  assert.deepEqual(happened.splice(0), ["flush 10", "f ok"]);
  t.mock.timers.tick(20);
  assert.deepEqual(happened, []);
});

const walls: readonly (readonly [readonly string[], number, readonly string[]])[] = [
  [["/h/a", "/h/b", "/h/a"], 2, ["/h/a", "/h/b"]],
  [["/h/a", "/h/b", "/h/c"], 2, ["/h"]],
  [["/v/x/1", "/v/y/2", "/v/z/3"], 2, ["/v"]],
  [["/d/ann", "/d-e", "/d", "/d/bob/x"], 9, ["/d-e", "/d"]],
];
for (const [folders, most, few] of walls) {
  test(`fewFolders() of ${folders.join(" ")} is ${few.join(" ")}`, () =>
    assert.deepEqual(fewFolders(folders, most), few));
}
