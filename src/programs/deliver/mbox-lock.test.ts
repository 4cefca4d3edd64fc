import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type Ground, realGround } from "./ground.ts";
import { type MboxLock, tryLock, waitForLock } from "./mbox-lock.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-mbox-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const box = () => join(folder, "box");
const lockFile = () => `${box()}.lock`;
const limit = () => AbortSignal.timeout(60_000);
const leave = (text: string, ageS: number): void => {
  writeFileSync(lockFile(), text);
  const thenS = Date.now() / 1_000 - ageS;
  utimesSync(lockFile(), thenS, thenS);
};

const ours = `postern deliver 1 ${hostname()}\n`;
const locks = [
  { name: "another's", text: "12345", ageS: 20, found: "taken" },
  { name: "another's that is very old", text: "12345", ageS: 301, found: "stale" },
  { name: "a worker's that appends", text: ours, ageS: 1, found: "taken" },
  { name: "a worker's that must have been killed", text: ours, ageS: 11, found: "stale" },
  { name: "a worker's on another host", text: "postern deliver 1 elsewhere\n", ageS: 11, found: "taken" },
  {
    name: "our own, which could not be removed",
    text: `postern deliver ${process.pid} ${hostname()}\n`,
    ageS: 20,
    found: "stale",
  },
];
for (const { name, text, ageS, found } of locks) {
  test(`tryLock() finds a lock ${found} that is ${name}`, () => {
    leave(text, ageS);
    assert.equal(tryLock(realGround(), box()), found);
    assert.equal(readFileSync(lockFile(), "latin1"), text);
  });
}

test("tryLock() goes without a lock where none can be made", () => {
  const result = tryLock(realGround(), join(folder, "no", "such", "folder"));
  assert.equal(typeof result !== "string" && result.kind === "done" && result.value.held, false);
});

/** A ground whose waits last until the test ends them. */
function waitingGround(pid: number): { ground: Ground; goOn: () => void } {
  const waiting: (() => void)[] = [];
  const wait = (): Promise<void> => new Promise((resolve) => void waiting.push(resolve));
  return { ground: { ...realGround(), pid, wait }, goOn: () => waiting.shift()?.() };
}

const lockOf = (result: Awaited<ReturnType<typeof waitForLock>>): MboxLock => {
  if (result.kind !== "done") throw new Error(result.text);
  return result.value;
};

test("waitForLock() gives a stale lock to one of two that find it at the same time", async () => {
  leave(ours, 11);
  const [one, other] = [waitingGround(1), waitingGround(2)];
  const lstat = one.ground.files.lstat;
  const late: Promise<Awaited<ReturnType<typeof waitForLock>>>[] = [];
  // The other finds it stale after this one has, and before this one has replaced it.
  const files = {
    ...one.ground.files,
    lstat(path: string) {
      const there = lstat(path);
      if (late.length === 0) late.push(waitForLock(other.ground, box(), limit()));
      return there;
    },
  };
  const early = waitForLock({ ...one.ground, files }, box(), limit());
  other.goOn();
  one.goOn();
  const first = await Promise.race([early, ...late]);
  const winner = lockOf(first);
  assert.ok(winner.isOurs() && winner.isTakenOver);
  assert.equal(readFileSync(lockFile(), "latin1"), `postern deliver 1 ${hostname()}\n`);
  winner.release();
  other.goOn();
  const second = lockOf((await Promise.all(late))[0] ?? assert.fail());
  assert.equal(readFileSync(lockFile(), "latin1"), `postern deliver 2 ${hostname()}\n`);
  second.release();
  assert.equal(existsSync(lockFile()), false);
});

test("a lock that another has taken over is not ours to release or to write under", async () => {
  let nowMs = Date.now();
  const lock = tryLock({ ...realGround(), nowMs: () => nowMs }, box());
  if (typeof lock === "string") assert.fail();
  const { release, isOurs, keptBy } = lockOf(lock);
  writeFileSync(lockFile(), "postern deliver 2 elsewhere\n");
  assert.equal(isOurs(), false);
  nowMs += 2_000;
  const content = keptBy({ octets: 1, pieces: () => [Buffer.from("x")] });
  assert.throws(() => [...content.pieces()], /taken over/);
  release();
  assert.equal(existsSync(lockFile()), true);
});

test("a lock is renewed while a long message is appended", () => {
  let nowMs = Date.now();
  const lock = tryLock({ ...realGround(), nowMs: () => nowMs }, box());
  if (typeof lock === "string") assert.fail();
  const { keptBy, isOurs } = lockOf(lock);
  utimesSync(lockFile(), 1, 1);
  const pieces = () => [Buffer.from("x"), Buffer.from("y")];
  assert.equal([...keptBy({ octets: 2, pieces }).pieces()].length, 2);
  assert.equal(statSync(lockFile()).mtimeMs, 1_000);
  nowMs += 2_000;
  assert.equal([...keptBy({ octets: 2, pieces }).pieces()].length, 2);
  assert.ok(statSync(lockFile()).mtimeMs > 1_000);
  assert.ok(isOurs());
});

test("§17.122 waitForLock() gives up after 30 seconds, for now", async () => {
  writeFileSync(lockFile(), "");
  let waitedMs = 0;
  const wait = async (ms: number): Promise<void> => {
    waitedMs += ms;
  };
  const ground = { ...realGround(), wait };
  const lock = await waitForLock(ground, box(), AbortSignal.timeout(60_000));
  assert.equal(lock.kind === "temporary" && lock.text, "File has been locked for 30 seconds straight. (#4.3.0)");
  assert.ok(waitedMs >= 30_000 && waitedMs < 31_000);
});

/** Two readers lock it in turns and leave a moment between: of `periodMs` it is free for the last `freeMs`. */
const rhythms = [50, 77, 100, 150, 250].flatMap((periodMs) => [0, 7, 31].map((phaseMs) => ({ periodMs, phaseMs })));
for (const { periodMs, phaseMs } of rhythms) {
  test(`waitForLock() finds the moment of readers that lock every ${periodMs} ms, from ${phaseMs} ms on`, async () => {
    writeFileSync(lockFile(), "");
    const freeMs = 2;
    let nowMs = phaseMs;
    const wait = async (ms: number): Promise<void> => {
      nowMs += ms;
      const isFree = nowMs % periodMs >= periodMs - freeMs;
      if (isFree) rmSync(lockFile(), { force: true });
      else writeFileSync(lockFile(), "");
    };
    const ground = { ...realGround(), wait };
    lockOf(await waitForLock(ground, box(), limit())).release();
    assert.ok(nowMs < 15_000, `it took ${nowMs} ms`);
  });
}
