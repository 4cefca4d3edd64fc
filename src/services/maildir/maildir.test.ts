import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { Content } from "./file.ts";
import { nodeFiles } from "./files.ts";
import { makeMaildir, removeStale, staleAfterMs } from "./folder.ts";
import { fileNameOf, isNameSafe } from "./name.ts";
import { storeOnce } from "./store.ts";

const contentOf = (...texts: string[]): Content => {
  const pieces = texts.map((text) => Buffer.from(text));
  return { octets: pieces.reduce((sum, piece) => sum + piece.length, 0), pieces: () => pieces };
};
const text = "Return-Path: <>\nDelivered-To: a@b\nSubject: x\n\nbody\n";
const content = contentOf("Return-Path: <>\nDelivered-To: a@b\n", "Subject: x\n\n", "body\n");
const name = "m1R2.host";

let box = "";
beforeEach(() => {
  box = join(mkdtempSync(join(tmpdir(), "postern-maildir-")), "Maildir");
  makeMaildir(nodeFiles, box);
});
afterEach(() => rmSync(join(box, ".."), { recursive: true }));

const fresh = () => join(box, "tmp", name);
const mark = () => `${fresh()}.q`;
const delivered = () => join(box, "new", name);
const store = () => {
  const stored = storeOnce(nodeFiles, box, name, content);
  assert.equal(stored.kind, "done");
  return stored;
};
const assertDelivered = () => {
  assert.equal(readFileSync(delivered(), "utf8"), text);
  assert.deepEqual(readdirSync(join(box, "tmp")), [`${name}.q`]);
};

test("storeOnce() delivers, readable for its owner alone, and leaves the mark", () => {
  const stored = store();
  assertDelivered();
  assert.equal(statSync(delivered()).mode & 0o777, 0o600);
  assert.deepEqual(stored.kind === "done" && stored.value, {
    device: statSync(box).dev,
    mark: mark(),
    isRepetition: false,
  });
});

const whole = () => {
  writeFileSync(fresh(), text);
};
const interrupted: readonly { name: string; leave: () => void }[] = [
  { name: "before anything was written", leave: () => writeFileSync(fresh(), "") },
  { name: "in the middle of writing", leave: () => writeFileSync(fresh(), text.slice(0, 20)) },
  { name: "before the mark", leave: whole },
  {
    name: "between mark and rename",
    leave: () => {
      whole();
      linkSync(fresh(), mark());
    },
  },
  { name: "after the rename", leave: store },
  {
    name: "after the rename, then again in a repetition that had begun to write",
    leave: () => {
      store();
      writeFileSync(fresh(), text.slice(0, 5));
    },
  },
  {
    name: "after the rename, then again in a repetition that had written all",
    leave: () => {
      store();
      whole();
    },
  },
  {
    name: "by a power cut that lost the octets and kept the names",
    leave: () => {
      store();
      truncateSync(delivered(), 0);
    },
  },
];
for (const { name: when, leave } of interrupted) {
  test(`storeOnce() repeated after an interruption ${when} leaves one whole copy`, () => {
    leave();
    store();
    assertDelivered();
    store();
    assertDelivered();
  });
}

const readers: readonly { name: string; act: () => void; left: string[] }[] = [
  { name: "moved", act: () => renameSync(delivered(), join(box, "cur", `${name}:2,S`)), left: [`${name}:2,S`] },
  { name: "deleted", act: () => unlinkSync(delivered()), left: [] },
];
for (const { name: did, act, left } of readers) {
  test(`storeOnce() repeated after a reader has ${did} the message delivers nothing`, () => {
    store();
    act();
    store();
    assert.deepEqual(readdirSync(join(box, "new")), []);
    assert.deepEqual(readdirSync(join(box, "cur")), left);
  });
}

test("storeOnce() delivers again when the reader moved a file that a power cut had emptied", () => {
  store();
  renameSync(delivered(), join(box, "cur", `${name}:2,`));
  truncateSync(join(box, "cur", `${name}:2,`), 0);
  store();
  assertDelivered();
});

test("storeOnce() makes the mark as young as the last attempt", () => {
  store();
  const before = statSync(mark()).ctimeMs;
  store();
  assert.ok(statSync(mark()).ctimeMs >= before);
  assert.equal(statSync(mark()).nlink, 2);
});

test("storeOnce() never makes a missing Maildir", () => {
  const missing = join(box, "..", "Other");
  assert.deepEqual(storeOnce(nodeFiles, missing, name, content), {
    kind: "temporary",
    status: "2.1",
    text: "Unable to chdir to maildir. (#4.2.1)",
  });
  assert.equal(existsSync(missing), false);
});

test("storeOnce() that cannot rename leaves nothing that looks delivered", () => {
  rmSync(join(box, "new"), { recursive: true });
  const failed = storeOnce(nodeFiles, box, name, content);
  assert.deepEqual(failed.kind !== "done" && failed.text, "Temporary error on maildir delivery. (#4.3.0)");
  assert.deepEqual(readdirSync(join(box, "tmp")), []);
  mkdirSync(join(box, "new"));
  store();
  assertDelivered();
});

for (const place of ["fresh", "mark"] as const) {
  const path = () => (place === "fresh" ? fresh() : mark());
  test(`storeOnce() follows no link and waits for no FIFO put in the place of its ${place} file`, () => {
    const outside = join(box, "..", "outside");
    writeFileSync(outside, "theirs");
    symlinkSync(outside, path());
    storeOnce(nodeFiles, box, name, content);
    assert.equal(readFileSync(outside, "utf8"), "theirs");
    rmSync(path(), { force: true });
    execFileSync("mkfifo", [path()]);
    storeOnce(nodeFiles, box, name, content);
  });
}

test("storeOnce() writes a large message piece by piece", () => {
  const pieces = Array.from({ length: 40 }, (_, n) => String(n % 10).repeat(10_000));
  assert.equal(storeOnce(nodeFiles, box, name, contentOf(...pieces)).kind, "done");
  assert.equal(readFileSync(delivered(), "utf8"), pieces.join(""));
});

test("removeStale() removes what nobody touched for 36 hours, and only ours, and only files", () => {
  store();
  mkdirSync(join(box, "tmp", "folder"));
  writeFileSync(join(box, "tmp", ".hidden"), "");
  const visible = (file: string) => !file.startsWith(".");
  removeStale(nodeFiles, join(box, "tmp"), Date.now() + staleAfterMs - 60_000, visible);
  assert.equal(existsSync(mark()), true);
  removeStale(nodeFiles, join(box, "tmp"), Date.now() + staleAfterMs + 60_000, visible);
  assert.deepEqual(readdirSync(join(box, "tmp")).sort(), [".hidden", "folder"]);
  assert.equal(existsSync(delivered()), true);
  removeStale(nodeFiles, join(box, "nowhere"), Date.now(), visible);
});

const names = [
  { copy: { name: "17.Q5", number: 3, line: 1, host: "mx.example.org" }, file: "17.Q5R3.mx.example.org" },
  { copy: { name: "17.Q5", number: 3, line: 2, host: "mx" }, file: "17.Q5R3D2.mx" },
  { copy: { name: "a", number: 0, line: 1, host: "a/b:c\n" }, file: "aR0.a\\057b\\072c_" },
];
for (const { copy, file } of names) {
  test(`fileNameOf() makes ${file}`, () => assert.equal(fileNameOf(copy), file));
}
test("isNameSafe() refuses what could leave the folder or hide in it", () => {
  assert.deepEqual(["a1.b-c", "", ".a", "a/b", "a:b", "a b", "x".repeat(101)].map(isNameSafe), [
    true,
    ...Array.from({ length: 6 }, () => false),
  ]);
});

test("storeOnce() takes away a torn message that a reader has moved, and delivers it again", () => {
  store();
  renameSync(delivered(), join(box, "cur", `${name}:2,S`));
  truncateSync(mark(), 3); // as a power cut may leave it: the names are there, what was in the file is not
  store();
  assert.deepEqual(readdirSync(join(box, "cur")), []);
  assertDelivered();
});
