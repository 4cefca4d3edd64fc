import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { parseAssign } from "../../protocol/users/assign.ts";
import { usersCdb } from "../../protocol/users/users-cdb.ts";
import { assignmentsVersion, readAssignments } from "./assignments.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-users-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const assign = (name: string): string => `=${name}:joe:1:1:/h:::\n.\n`;
const write = (file: "assign" | "cdb", name: string, atS: number): void => {
  const table = parseAssign(assign(name));
  const cdb = table.kind === "done" && usersCdb(table.value);
  writeFileSync(join(folder, file), file === "assign" ? assign(name) : cdb && cdb.kind === "done" ? cdb.value : "");
  utimesSync(join(folder, file), atS, atS);
};
const read = (): string => {
  const assignments = readAssignments(folder);
  if (assignments.kind !== "done") return `${assignments.kind}: ${assignments.text.replaceAll(folder, "")}`;
  return `${assignments.value.source}: ${[...assignments.value.table.exact.keys()].join()}`;
};

const cases: readonly (readonly [string, () => void, string])[] = [
  ["without either file nobody is assigned anything", () => {}, "undefined: "],
  ["users/assign alone counts", () => write("assign", "a", 1), "users/assign: a"],
  ["users/cdb alone counts", () => write("cdb", "c", 1), "users/cdb: c"],
  [
    "users/cdb counts when it is newer",
    () => {
      write("assign", "a", 1);
      write("cdb", "c", 2);
    },
    "users/cdb: c",
  ],
  [
    "users/cdb counts when it is as old",
    () => {
      write("assign", "a", 2);
      write("cdb", "c", 2);
    },
    "users/cdb: c",
  ],
  [
    "users/assign counts when it is newer",
    () => {
      write("assign", "a", 3);
      write("cdb", "c", 2);
    },
    "users/assign: a",
  ],
  [
    "§17.79 a users/assign without its last line is not used",
    () => writeFileSync(join(folder, "assign"), "=a:joe:1:1:/h:::\n"),
    'temporary: users/assign: the last line, ".", is missing',
  ],
  [
    "§17.88 a damaged users/cdb makes mail wait, whatever users/assign says",
    () => {
      write("assign", "a", 1);
      writeFileSync(join(folder, "cdb"), "x".repeat(3_000));
    },
    "temporary: users/cdb: not a cdb, or damaged",
  ],
  [
    "§17.88 a users/cdb that cannot be read makes mail wait",
    () => mkdirSync(join(folder, "cdb")),
    "temporary: cannot read /cdb: EISDIR",
  ],
];
for (const [name, prepare, expected] of cases) {
  test(`${name}: readAssignments()`, () => {
    prepare();
    assert.equal(read(), expected);
  });
}

test("assignmentsVersion() changes with either file", () => {
  const versions = [assignmentsVersion(folder)];
  write("assign", "a", 1);
  versions.push(assignmentsVersion(folder));
  write("cdb", "c", 1);
  versions.push(assignmentsVersion(folder));
  write("cdb", "c", 2);
  versions.push(assignmentsVersion(folder));
  assert.equal(new Set(versions).size, 4);
  assert.equal(assignmentsVersion(folder), versions[3]);
});
