import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { followLog, logFiles, readLines, tailLines } from "./log-files.ts";

async function inFolder(check: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "postern-log-"));
  writeFileSync(join(folder, "@1000000000001.jsonl"), "a\nb\n");
  writeFileSync(join(folder, "@1000000000002.jsonl"), "c\n");
  writeFileSync(join(folder, "current"), "d\ne\ntorn");
  await check(folder);
  rmSync(folder, { recursive: true });
}

test("tailLines() reads back over files put aside, and leaves out an unfinished line", () =>
  inFolder((folder) => {
    const files = logFiles(folder, undefined);
    assert.deepEqual(tailLines(files, 0), []);
    assert.deepEqual(tailLines(files, 2), ["d", "e"]);
    assert.deepEqual(tailLines(files, 4), ["b", "c", "d", "e"]);
    assert.deepEqual(tailLines(files, 100), ["a", "b", "c", "d", "e"]);
  }));

test("tailLines() finds the start of lines over many blocks", () =>
  inFolder((folder) => {
    const lines = Array.from({ length: 300 }, (_, n) => `${n}${"x".repeat(1_000)}`);
    writeFileSync(join(folder, "current"), `${lines.join("\n")}\n`);
    assert.deepEqual(tailLines(logFiles(folder, undefined), 150), lines.slice(150));
  }));

test("readLines() reads only files that were still written to at that time", () =>
  inFolder((folder) => {
    assert.deepEqual([...readLines(logFiles(folder, undefined))], ["a", "b", "c", "d", "e"]);
    assert.deepEqual([...readLines(logFiles(folder, 1_000_000_000_002))], ["c", "d", "e"]);
  }));

test("followLog() gives new lines in order, also when the file is put aside between two looks", () =>
  inFolder(async (folder) => {
    const current = join(folder, "current");
    writeFileSync(current, "old\n");
    const steps = [
      () => appendFileSync(current, "one\ntw"),
      () => appendFileSync(current, "o\n"),
      () => {
        appendFileSync(current, "three\n");
        renameSync(current, join(folder, "@1000000000003.jsonl"));
        writeFileSync(current, "four\n");
      },
      () => appendFileSync(current, "five\n"),
      () => {},
    ];
    const seen: string[] = [];
    const wait = async (): Promise<void> => {
      const step = steps.shift();
      if (!step) throw new Error("enough");
      step();
    };
    await assert.rejects(
      followLog(folder, (line) => seen.push(line), wait),
      /enough/,
    );
    assert.deepEqual(seen, ["one", "two", "three", "four", "five"]);
  }));
