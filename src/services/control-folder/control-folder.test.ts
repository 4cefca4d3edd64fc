import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readControlFile, readControlFiles, removeControlFile, writeControlFile } from "./control-folder.ts";

test("a control folder gives back what was written, and leaves nothing else behind", async () => {
  const folder = mkdtempSync(join(tmpdir(), "postern-control-"));
  writeFileSync(join(folder, ".hidden"), "");
  writeFileSync(join(folder, "me~"), "");
  assert.equal((await writeControlFile(folder, "me", "old\n")).kind, "done");
  assert.equal((await writeControlFile(folder, "me", "n\xfcw\n")).kind, "done");
  assert.equal((await writeControlFile(folder, "locals", "a\n")).kind, "done");
  assert.deepEqual(readControlFile(folder, "me"), { kind: "done", value: "n\xfcw\n" });
  assert.deepEqual(readControlFile(folder, "nosuch"), { kind: "done", value: undefined });
  const files = readControlFiles(folder);
  assert.deepEqual(files.kind === "done" && [...files.value], [
    ["locals", "a\n"],
    ["me", "n\xfcw\n"],
  ]);
  assert.equal((await removeControlFile(folder, "locals")).kind, "done");
  assert.deepEqual(readdirSync(folder).sort(), [".hidden", "me", "me~"]);
  rmSync(folder, { recursive: true });
});

test("a control folder that is not there is a temporary failure, with its name", async () => {
  for (const outcome of [readControlFiles("/nonexistent"), await writeControlFile("/nonexistent", "me", "x")]) {
    assert.equal(outcome.kind, "temporary");
    assert.match(outcome.kind === "temporary" ? outcome.text : "", /\/nonexistent.*ENOENT/);
  }
});

test("readControlFiles() does not open what is known from qmail and not ours", () => {
  const folder = mkdtempSync(join(tmpdir(), "postern-control-"));
  mkdirSync(join(folder, "domainkeys"));
  writeFileSync(join(folder, "servercert.pem"), "a private key");
  const files = readControlFiles(folder);
  assert.deepEqual(files.kind === "done" && [...files.value], [
    ["domainkeys", ""],
    ["servercert.pem", ""],
  ]);
  rmSync(folder, { recursive: true });
});
