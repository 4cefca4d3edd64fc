import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { without } from "../../../test/support/missing.ts";
import { findInCdb, readCdb } from "./read.ts";
import { writeCdb } from "./write.ts";

const many = Array.from({ length: 1_000 }, (_, n) => [`key${n}`, "x".repeat(n % 50)] as const);
const sets: readonly { name: string; records: readonly (readonly [string, string])[] }[] = [
  { name: "nothing", records: [] },
  { name: "one record", records: [["one", "eins"]] },
  { name: "an empty key and empty data", records: [["", ""]] },
  {
    name: "one key several times",
    records: [
      ["a", "first"],
      ["b", ""],
      ["a", "second"],
    ],
  },
  { name: "all octets", records: [[String.fromCharCode(...Array.from({ length: 256 }, (_, n) => n)), "\0\n\xff"]] },
  { name: "many records", records: many },
];

const written = (records: Iterable<readonly [string, string]>): Buffer => {
  const made = writeCdb(records);
  assert.equal(made.kind, "done");
  return made.kind === "done" ? made.value : Buffer.alloc(0);
};
const firsts = (records: readonly (readonly [string, string])[]) => new Map([...records].reverse());

for (const { name, records } of sets) {
  test(`readCdb() and findInCdb() give back ${name} that writeCdb() wrote`, () => {
    const file = written(records);
    const read = readCdb(file);
    assert.ok(read.kind === "done");
    const expected = firsts(records);
    assert.deepEqual(new Map([...read.value].sort()), new Map([...expected].sort()));
    for (const [key, data] of expected) assert.deepEqual(findInCdb(file, key), { kind: "done", value: data });
    assert.deepEqual(findInCdb(file, "nobody"), { kind: "done", value: undefined });
  });

  test(`tinycdb makes octet for octet the file that writeCdb() makes of ${name}, and reads it`, {
    skip: without("cdb"),
  }, () => {
    const folder = mkdtempSync(join(tmpdir(), "postern-cdb-"));
    const text = records.map(([key, data]) => `+${key.length},${data.length}:${key}->${data}\n`).join("");
    writeFileSync(join(folder, "text"), `${text}\n`, "latin1");
    execFileSync("cdb", ["-c", join(folder, "theirs"), join(folder, "text")]);
    const ours = written(records);
    assert.ok(readFileSync(join(folder, "theirs")).equals(ours));
    writeFileSync(join(folder, "ours"), ours);
    assert.equal(execFileSync("cdb", ["-d", join(folder, "ours")]).toString("latin1"), `${text}\n`);
    rmSync(folder, { recursive: true });
  });
}

test("readCdb() refuses a file that lost its end, wherever it was cut", () => {
  const file = written(many.slice(0, 40));
  for (let length = 0; length < file.length; length++) {
    assert.equal(readCdb(file.subarray(0, length)).kind, "temporary", `${length} octets`);
  }
});

test("readCdb() takes a file with one octet changed for damaged, unless it is an octet of data", () => {
  const file = written([
    ["key", ""],
    ["other", ""],
  ]);
  for (let at = 0; at < file.length; at++) {
    const changed = Buffer.from(file);
    changed.writeUInt8((changed.readUInt8(at) + 1) & 255, at);
    const read = readCdb(changed);
    const isUnusedTable = at < 2048 && file.readUInt32LE((at & ~7) + 4) === 0 && (at & 7) < 4;
    const isEmptySlot = at >= file.length - 32 && file.readUInt32LE(at - (at % 8) + 4) === 0 && at % 8 < 4;
    assert.equal(read.kind, isUnusedTable || isEmptySlot ? "done" : "temporary", `octet ${at}`);
  }
});

test("readCdb() and findInCdb() end, and stay inside, whatever octets they are given", () => {
  let seed = 17;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  const file = written(many.slice(0, 20));
  for (let round = 0; round < 3_000; round++) {
    const hostile = Buffer.from(file.subarray(0, random(2) === 0 ? file.length : random(file.length)));
    for (let change = random(20); change >= 0 && hostile.length > 0; change--) {
      hostile.writeUInt8([0, 8, 255, random(256)][random(4)] ?? 0, random(hostile.length));
    }
    const read = readCdb(hostile);
    assert.notEqual(read.kind, "permanent");
    assert.ok(read.kind !== "done" || read.value.size <= hostile.length / 8);
    for (const key of ["key1", "key19", "none", ""]) assert.notEqual(findInCdb(hostile, key).kind, "permanent");
  }
});

test("findInCdb() ends in a table without an empty slot", () => {
  const file = written([["a", "b"]]);
  const full = file.subarray(0, file.length);
  const table = file.length - 16;
  const hash = full.readUInt32LE(table + 4) === 0 ? table + 8 : table;
  full.copy(full, hash === table ? table + 8 : table, hash, hash + 8);
  const search = Array.from({ length: 3_000 }, (_, n) => findInCdb(full, `x${n}`));
  assert.ok(search.every((found) => found.kind === "done" && found.value === undefined));
});
