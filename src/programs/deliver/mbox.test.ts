import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { realGround } from "./ground.ts";
import { appendOnce } from "./mbox.ts";
import { tryLock, waitForLock } from "./mbox-lock.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-mbox-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const message = "Return-Path: <>\nSubject: x\n\nFrom me\n";
const entry = (date: string) => `From ${date}\nReturn-Path: <>\nSubject: x\n\n>From me\n\n`;
const box = () => join(folder, "box");
const mark = () => join(folder, ".postern-m1R1.q");
const append = async (date = "first", signal = AbortSignal.timeout(60_000)) => {
  const pieces = [Buffer.from(message)];
  const content = { octets: message.length, pieces: () => pieces };
  const delivery = { line: "./box", path: box(), mark: mark(), fromLine: `From ${date}\n`, content };
  const result = await appendOnce(realGround(), delivery, signal);
  return result.kind === "done" ? "done" : result.text;
};
const text = () => readFileSync(box(), "latin1");

test("appendOnce() makes the mbox, adds to it, leaves no lock", async () => {
  assert.equal(await append(), "done");
  rmSync(mark());
  assert.equal(await append("second"), "done");
  assert.equal(text(), entry("first") + entry("second"));
  assert.equal(existsSync(`${box()}.lock`), false);
});

test("appendOnce() completes a last line that has no end", async () => {
  writeFileSync(box(), "torn");
  await append();
  assert.equal(text(), `torn\n${entry("first")}`);
});

const old = "From before\n\nx\n\n";
const interrupted: readonly { name: string; leave: () => void; mbox: string }[] = [
  { name: "before the mark was whole", leave: () => writeFileSync(mark(), "1"), mbox: old + entry("second") },
  {
    name: "before anything was appended",
    leave: () => writeFileSync(mark(), `${old.length}\nFrom first\n`),
    mbox: old + entry("first"),
  },
  {
    name: "in the middle",
    leave: () => {
      writeFileSync(mark(), `${old.length}\nFrom first\n`);
      writeFileSync(box(), old + entry("first").slice(0, 20));
    },
    mbox: old + entry("first"),
  },
  {
    name: "by a power cut that left zeros",
    leave: () => {
      writeFileSync(mark(), `${old.length}\nFrom first\n`);
      writeFileSync(box(), `${old}${entry("first").slice(0, 20)}${"\0".repeat(12)}`);
    },
    mbox: old + entry("first"),
  },
  {
    name: "when a reader has changed what followed",
    leave: () => {
      writeFileSync(mark(), `${old.length}\nFrom first\n`);
      writeFileSync(box(), `${old}From other\n\n`);
    },
    mbox: `${old}From other\n\n${entry("second")}`,
  },
  {
    name: "at its end",
    leave: () => {
      writeFileSync(mark(), `${old.length}\nFrom first\n`);
      writeFileSync(box(), old + entry("first"));
    },
    mbox: old + entry("first"),
  },
  {
    name: "at its end, when others have appended since",
    leave: () => {
      writeFileSync(mark(), `${old.length}\nFrom first\n`);
      writeFileSync(box(), `${old}${entry("first")}From other\n\n`);
    },
    mbox: `${old}${entry("first")}From other\n\n`,
  },
  {
    name: "when it was done and a reader has removed it",
    leave: () => {
      writeFileSync(mark(), `${old.length}\nFrom first\ndone\n`);
      writeFileSync(box(), "From x\n\n");
    },
    mbox: "From x\n\n",
  },
  {
    name: "when it was done and a reader has removed it from the end",
    leave: () => writeFileSync(mark(), `${old.length}\nFrom first\ndone\n`),
    mbox: old,
  },
  {
    name: "by a power cut after it was done",
    leave: () => {
      writeFileSync(mark(), `${old.length}\nFrom first\ndone\n`);
      writeFileSync(box(), old + entry("first").slice(0, 30));
    },
    mbox: old + entry("first"),
  },
];
for (const { name, leave, mbox } of interrupted) {
  test(`appendOnce() repeated after an interruption ${name} leaves one whole copy`, async () => {
    writeFileSync(box(), old);
    leave();
    assert.equal(await append("second"), "done");
    assert.equal(text(), mbox);
    assert.equal(await append("third"), "done");
    assert.equal(text(), mbox);
  });
}

test("appendOnce() that finds its message whole remembers it, should a reader take it away", async () => {
  writeFileSync(mark(), `${old.length}\nFrom first\ndo`);
  writeFileSync(box(), old + entry("first"));
  assert.equal(await append("second"), "done");
  writeFileSync(box(), old);
  assert.equal(await append("third"), "done");
  assert.equal(text(), old);
});

test("appendOnce() follows no link and waits for no FIFO", async () => {
  const outside = join(folder, "outside");
  writeFileSync(outside, "theirs");
  symlinkSync(outside, box());
  assert.equal(await append(), "Unable to open ./box: symbolic link loop. (#4.2.1)");
  assert.equal(readFileSync(outside, "latin1"), "theirs");
  rmSync(box());
  execFileSync("mkfifo", [box()]);
  assert.equal(await append(), "Unable to open ./box: invalid argument. (#4.2.1)");
});

test("appendOnce() waits for another's lock, and goes on when it is gone", async () => {
  writeFileSync(`${box()}.lock`, "");
  const waiting = append();
  assert.equal(existsSync(box()), false);
  rmSync(`${box()}.lock`);
  assert.equal(await waiting, "done");
  assert.equal(text(), entry("first"));
});

test("appendOnce() gives up waiting when it is told to stop", async () => {
  writeFileSync(`${box()}.lock`, "");
  await assert.rejects(append("first", AbortSignal.abort()), { name: "AbortError" });
});

const locks = [
  { name: "another's", text: "12345", ageS: 20, taken: true },
  { name: "another's that is very old", text: "12345", ageS: 301, taken: false },
  { name: "a worker's that appends", text: `postern deliver 1 ${hostname()}\n`, ageS: 1, taken: true },
  { name: "a worker's that must have been killed", text: `postern deliver 1 ${hostname()}\n`, ageS: 11, taken: false },
  {
    name: "our own, which could not be removed",
    text: `postern deliver ${process.pid} ${hostname()}\n`,
    ageS: 20,
    taken: false,
  },
];
for (const { name, text: content, ageS, taken } of locks) {
  test(`tryLock() finds a lock that is ${name} ${taken ? "taken" : "free"}`, () => {
    const lock = `${box()}.lock`;
    writeFileSync(lock, content);
    const thenS = Date.now() / 1_000 - ageS;
    utimesSync(lock, thenS, thenS);
    const result = tryLock(realGround(), box());
    assert.equal(result === "taken", taken);
    if (result !== "taken" && result.kind === "done") result.value.release();
    assert.equal(existsSync(lock), taken);
  });
}

test("tryLock() goes without a lock where none can be made", () => {
  const result = tryLock(realGround(), join(folder, "no", "such", "folder"));
  assert.equal(result !== "taken" && result.kind === "done" && result.value.held, false);
});

test("§17.123 appendOnce() takes back what it wrote when the message breaks off", async () => {
  writeFileSync(box(), old);
  const content = {
    octets: 6,
    *pieces() {
      yield Buffer.from("a");
      if (existsSync(mark())) throw Object.assign(new Error("no more"), { code: "ENOSPC" });
      yield Buffer.from("x".repeat(200_000));
    },
  };
  const delivery = { line: "./box", path: box(), mark: mark(), fromLine: "From a\n", content };
  const result = await appendOnce(realGround(), delivery, AbortSignal.timeout(1_000));
  assert.equal(result.kind !== "done" && result.text, "Unable to write ./box: out of disk space. (#4.3.0)");
  assert.equal(text(), old);
  truncateSync(box(), 0);
  assert.equal(await append(), "done");
});

test("§17.122 waitForLock() gives up after 30 seconds, for now", async () => {
  writeFileSync(`${box()}.lock`, "");
  let waitedMs = 0;
  const wait = async (ms: number): Promise<void> => {
    waitedMs += ms;
  };
  const ground = { ...realGround(), wait };
  const lock = await waitForLock(ground, box(), AbortSignal.timeout(60_000));
  assert.equal(lock.kind === "temporary" && lock.text, "File has been locked for 30 seconds straight. (#4.3.0)");
  assert.ok(waitedMs >= 30_000 && waitedMs < 31_000);
});
