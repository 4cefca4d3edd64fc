import assert from "node:assert/strict";
import { test } from "node:test";
import { readCdb } from "../cdb/read.ts";
import { writeCdb } from "../cdb/write.ts";
import { catchAllAssignment, findAssignment, parseAssign } from "./assign.ts";
import { parseUsersCdb, usersCdb } from "./users-cdb.ts";

const assign = `=Joe:joe:1001:100:/home/joe:::
+joe-:joe:1001:100:/home/joe:-::
+joe-list-:lists:1002:100:/home/lists:-:pre-:
+:alias:1005:100:/var/alias:-::
.
=late:late:1006:100:/home/late:::
`;

test("usersCdb() has qmail-newu's keys and data", () => {
  const table = parseAssign(assign);
  assert.ok(table.kind === "done");
  const file = usersCdb(table.value);
  assert.ok(file.kind === "done");
  const read = readCdb(file.value);
  assert.deepEqual(read.kind === "done" && [...read.value], [
    ["", "-"],
    ["!joe\0", "joe\x001001\x00100\0/home/joe\0\0"],
    ["!joe-", "joe\x001001\x00100\0/home/joe\0-\0"],
    ["!joe-list-", "lists\x001002\x00100\0/home/lists\0-\0pre-"],
    ["!", "alias\x001005\x00100\0/var/alias\0-\0"],
  ]);
});

const lookups = [
  ["§17.77 `=` beats `+`", "joe", "joe .qmail"],
  ["§17.77 the longer `+` beats the shorter", "joe-list-x", "lists .qmail-pre-x"],
  ["§17.77 the shorter `+` takes the rest", "joe-lists", "joe .qmail-lists"],
  ["§17.78 matched in any case, the extension keeps its case", "JOE-List-Ab.C", "lists .qmail-pre-Ab.C"],
  ["§17.80 text after the last line is ignored", "late", "none, else alias .qmail-late"],
] as const;
for (const [name, localPart, expected] of lookups) {
  test(`${name}: in users/assign and in users/cdb`, () => {
    const text = parseAssign(assign);
    assert.ok(text.kind === "done");
    const file = usersCdb(text.value);
    assert.ok(file.kind === "done");
    const compiled = parseUsersCdb(file.value);
    assert.ok(compiled.kind === "done");
    for (const table of [text.value, compiled.value]) {
      const found = findAssignment(table, localPart);
      const everybody = catchAllAssignment(table, localPart);
      const shown = (one: typeof found): string => (one ? `${one.user} .qmail${one.dash}${one.extension}` : "none");
      assert.equal(found ? shown(found) : `none, else ${shown(everybody)}`, expected);
    }
  });
}

test("parseUsersCdb() finds a wildcard only when its last character is listed, as qmail does", () => {
  const data = "u\x001\x001\0/h\0-\0";
  const file = writeCdb([
    ["", "-"],
    ["!a-", data],
    ["!b+", data],
  ]);
  const table = file.kind === "done" && parseUsersCdb(file.value);
  assert.deepEqual(table && table.kind === "done" && [...table.value.wildcards.keys()], ["a-"]);
});

const damaged: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  ["a key without its mark", [["joe", "u\x001\x001\0/h\0-\0"]]],
  ["too few fields", [["!joe\0", "u\x001\x001\0/h\0-"]]],
  ["too many fields", [["!joe\0", "u\x001\x001\0/h\0-\0x\0"]]],
  ["a uid that is none", [["!joe\0", "u\0x\x001\0/h\0-\0"]]],
  ["a relative home", [["!joe\0", "u\x001\x001\0h\0-\0"]]],
];
for (const [name, records] of damaged) {
  test(`§17.88 parseUsersCdb() refuses ${name}, for now`, () => {
    const file = writeCdb(records);
    assert.equal(file.kind === "done" && parseUsersCdb(file.value).kind, "temporary");
  });
}
