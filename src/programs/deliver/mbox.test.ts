import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
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
import { type Files, nodeFiles } from "../../services/maildir/files.ts";
import { realGround } from "./ground.ts";
import { appendOnce, type MboxDelivery } from "./mbox.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-mbox-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const message = "Return-Path: <>\nSubject: x\n\nFrom me\n";
const entry = (date: string) => `From ${date}\nReturn-Path: <>\nSubject: x\n\n>From me\n\n`;
const box = () => join(folder, "box");
const mark = () => join(folder, ".postern-m1R1.q");
const pieces = [Buffer.from(message)];
const deliveryOf = (date: string, own = mark(), others: readonly string[] = []): MboxDelivery => ({
  line: "./box",
  path: box(),
  mark: own,
  otherMarks: () => others,
  fromLine: `From ${date}\n`,
  content: { octets: message.length, pieces: () => pieces },
});
const append = async (date = "first", signal = AbortSignal.timeout(60_000)) => {
  const result = await appendOnce(realGround(), new Set(), deliveryOf(date), signal);
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
const digest = (text: string) => createHash("sha256").update(text, "latin1").digest("hex");
const markText = (date = "first") => `${old.length} ${entry(date).length} ${digest(entry(date))}\nFrom ${date}\n`;
const interrupted: readonly { name: string; leave: () => void; mbox: string }[] = [
  { name: "before the mark was whole", leave: () => writeFileSync(mark(), "1"), mbox: old + entry("second") },
  {
    name: "before anything was appended",
    leave: () => writeFileSync(mark(), markText()),
    mbox: old + entry("first"),
  },
  {
    name: "in the middle",
    leave: () => {
      writeFileSync(mark(), markText());
      writeFileSync(box(), old + entry("first").slice(0, 20));
    },
    mbox: old + entry("first"),
  },
  {
    name: "by a power cut that left zeros",
    leave: () => {
      writeFileSync(mark(), markText());
      writeFileSync(box(), `${old}${entry("first").slice(0, 20)}${"\0".repeat(12)}`);
    },
    mbox: old + entry("first"),
  },
  {
    name: "when a reader has changed what followed",
    leave: () => {
      writeFileSync(mark(), markText());
      writeFileSync(box(), `${old}From other\n\n`);
    },
    mbox: `${old}From other\n\n${entry("second")}`,
  },
  {
    name: "at its end",
    leave: () => {
      writeFileSync(mark(), markText());
      writeFileSync(box(), old + entry("first"));
    },
    mbox: old + entry("first"),
  },
  {
    name: "at its end, when others have appended since",
    leave: () => {
      writeFileSync(mark(), markText());
      writeFileSync(box(), `${old}${entry("first")}From other\n\n`);
    },
    mbox: `${old}${entry("first")}From other\n\n`,
  },
  {
    name: "when it was done and a reader has removed it",
    leave: () => {
      writeFileSync(mark(), `${markText()}done\n`);
      writeFileSync(box(), "From x\n\n");
    },
    mbox: "From x\n\n",
  },
  {
    name: "when it was done and a reader has removed it from the end",
    leave: () => writeFileSync(mark(), `${markText()}done\n`),
    mbox: old,
  },
  {
    name: "by a power cut after it was done",
    leave: () => {
      writeFileSync(mark(), `${markText()}done\n`);
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

/** What another delivery has left whose process died, as it is when ours comes. */
const left = [
  { name: "a part of its entry", box: old + entry("other").slice(0, 25), now: old },
  { name: "the beginning of its From_ line", box: `${old}Fro`, now: old },
  { name: "zeros", box: `${old}From \0\0\0\0\0\0\0\0`, now: old },
  {
    name: "all of its entry, the end in zeros",
    box: `${old}${entry("other").slice(0, -9)}${"\0".repeat(9)}`,
    now: old,
  },
  { name: "nothing yet", box: old, now: old },
  { name: "all of its entry", box: old + entry("other") },
  { name: "a part, and another program has added to it", box: `${old}${entry("other").slice(0, 25)}\nFrom x\n\ny\n\n` },
  { name: "a part, and a reader has put something else there", box: `${old}From them\n\ny\n\n` },
  { name: "a part, and a reader has made the mbox shorter", box: "From them\n\ny\n\n" },
];
for (const { name, box: before, now = before } of left) {
  test(`appendOnce() cuts off what another delivery has left: ${name}`, async () => {
    writeFileSync(box(), before, "latin1");
    const other = join(folder, ".postern-other.q");
    writeFileSync(other, markText("other"));
    const sound = new Set<string>();
    const signal = AbortSignal.timeout(60_000);
    const ours = await appendOnce(realGround(), sound, deliveryOf("ours", mark(), [other]), signal);
    assert.equal(ours.kind, "done");
    assert.equal(text(), now + entry("ours"));
    const again = await appendOnce(realGround(), sound, deliveryOf("again", other, [mark()]), signal);
    assert.equal(again.kind, "done");
    const isThere = before.includes(entry("other"));
    assert.equal(text(), now + entry("ours") + (isThere ? "" : entry("again")));
  });
}

test("appendOnce() notes for another delivery that its entry is whole: a reader may take both", async () => {
  writeFileSync(box(), old + entry("other"));
  const other = join(folder, ".postern-other.q");
  writeFileSync(other, markText("other"));
  const signal = AbortSignal.timeout(60_000);
  const ours = await appendOnce(realGround(), new Set(), deliveryOf("ours", mark(), [other]), signal);
  assert.equal(ours.kind, "done");
  writeFileSync(box(), "");
  const again = await appendOnce(realGround(), new Set(), deliveryOf("again", other, [mark()]), signal);
  assert.equal(again.kind, "done");
  assert.equal(text(), "");
});

test("appendOnce() cuts off nothing of a later delivery, though it begins with the same From_ line", async () => {
  writeFileSync(box(), old);
  const first = join(folder, ".postern-first.q");
  const full = {
    ...deliveryOf("same", first),
    content: {
      octets: 1_000,
      *pieces() {
        if (existsSync(first)) throw Object.assign(new Error("no more"), { code: "ENOSPC" });
        yield Buffer.alloc(1_000, "x");
      },
    },
  };
  const signal = AbortSignal.timeout(60_000);
  assert.equal((await appendOnce(realGround(), new Set(), full, signal)).kind, "temporary");
  for (const date of ["same", "later"]) {
    const fresh = new Set<string>();
    const next = await appendOnce(
      realGround(),
      fresh,
      deliveryOf(date, join(folder, `.postern-${date}.q`), [first]),
      signal,
    );
    assert.equal(next.kind, "done");
  }
  assert.equal(text(), old + entry("same") + entry("later"));
});

test("appendOnce() looks for what was left when it takes over a lock, also in an mbox that it knows", async () => {
  const signal = AbortSignal.timeout(60_000);
  const sound = new Set([box()]);
  writeFileSync(box(), old + entry("other").slice(0, 25));
  const other = join(folder, ".postern-other.q");
  writeFileSync(other, markText("other"));
  writeFileSync(`${box()}.lock`, `postern deliver 1 ${hostname()}\n`);
  utimesSync(`${box()}.lock`, 1, 1);
  const ground = { ...realGround(), wait: () => Promise.resolve() };
  const result = await appendOnce(ground, sound, deliveryOf("ours", mark(), [other]), signal);
  assert.equal(result.kind, "done");
  assert.equal(text(), old + entry("ours"));
});

test("appendOnce() adds nothing behind what it could not cut off, until it can", async () => {
  writeFileSync(box(), old);
  const sound = new Set<string>();
  const signal = AbortSignal.timeout(60_000);
  let isBroken = true;
  const fail = (): never => {
    throw Object.assign(new Error("broken"), { code: "EIO" });
  };
  const files: Files = {
    ...nodeFiles,
    writev: (fd, pieces) =>
      isBroken ? nodeFiles.writev(fd, pieces.slice(0, 2)) && fail() : nodeFiles.writev(fd, pieces),
    truncate: (fd, octets) => (isBroken ? fail() : nodeFiles.truncate(fd, octets)),
  };
  const ground = { ...realGround(), files };
  const first = join(folder, ".postern-first.q");
  assert.equal((await appendOnce(ground, sound, deliveryOf("first", first), signal)).kind, "temporary");
  const torn = text();
  assert.notEqual(torn, old);
  const next = deliveryOf("next", mark(), [first]);
  assert.equal((await appendOnce(ground, sound, next, signal)).kind, "temporary");
  assert.equal(text(), torn);
  isBroken = false;
  assert.equal((await appendOnce(ground, sound, next, signal)).kind, "done");
  assert.equal(text(), old + entry("next"));
});

test("appendOnce() that finds its message whole remembers it, should a reader take it away", async () => {
  writeFileSync(mark(), `${markText()}do`);
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
  const delivery = { ...deliveryOf("a"), content };
  const result = await appendOnce(realGround(), new Set(), delivery, AbortSignal.timeout(1_000));
  assert.equal(result.kind !== "done" && result.text, "Unable to write ./box: out of disk space. (#4.3.0)");
  assert.equal(text(), old);
  truncateSync(box(), 0);
  assert.equal(await append(), "done");
});
