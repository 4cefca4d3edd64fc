import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { done, type Failure, temporary } from "../../protocol/outcome.ts";
import { createFlusher } from "./flush.ts";
import { fewFolders } from "./workers.ts";

test("createFlusher() flushes each device once a turn, before it tells anybody", async () => {
  const happened: string[] = [];
  const flusher = createFlusher((folder) => {
    happened.push(`flush ${folder}`);
    return folder === 30 ? temporary("3.0", "cannot flush") : done(undefined);
  });
  const tell = (name: string) => (failure: Failure | undefined) =>
    void happened.push(`${name} ${failure?.text ?? "ok"}`);
  flusher.add(new Map([[1, 10]]), tell("a"));
  flusher.add(new Map([[1, 11]]), tell("b"));
  flusher.add(
    new Map([
      [1, 11],
      [3, 30],
    ]),
    tell("c"),
  );
  assert.deepEqual(happened, []);
  await turn();
  assert.deepEqual(happened.splice(0), ["flush 10", "flush 30", "a ok", "b ok", "c cannot flush"]);
  flusher.add(new Map([[1, 12]]), tell("d"));
  await turn();
  assert.deepEqual(happened, ["flush 12", "d ok"]);
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
