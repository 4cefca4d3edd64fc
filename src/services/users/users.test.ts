import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { readCdb } from "../../protocol/cdb/read.ts";
import { defaultAssignOptions } from "../../protocol/users/pw2u.ts";
import { readAssignments } from "../directory/assignments.ts";
import { assignmentsOf, newMoreHosts, newUsers } from "./users.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-newu-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("§17.75 newUsers() puts a new users/cdb in the old one's place, and leaves nothing beside it", async () => {
  writeFileSync(join(folder, "assign"), "=joe:joe:1:1:/h:::\n+:alias:2:2:/a:-::\n.\n");
  assert.deepEqual(await newUsers(folder), { kind: "done", value: 2 });
  const first = readFileSync(join(folder, "cdb"));
  writeFileSync(join(folder, "assign"), "=ann:ann:1:1:/h:::\n.\n");
  assert.deepEqual(await newUsers(folder), { kind: "done", value: 1 });
  assert.ok(!readFileSync(join(folder, "cdb")).equals(first));
  assert.deepEqual(readdirSync(folder).sort(), ["assign", "cdb"]);
  const read = readAssignments(folder);
  assert.equal(read.kind === "done" && read.value.source, "users/cdb");
});

test("§17.79 newUsers() refuses a users/assign without its last line, and the old users/cdb stays", async () => {
  writeFileSync(join(folder, "assign"), "=joe:joe:1:1:/h:::\n");
  writeFileSync(join(folder, "cdb"), "old");
  assert.equal((await newUsers(folder)).kind, "temporary");
  assert.equal(readFileSync(join(folder, "cdb"), "latin1"), "old");
  rmSync(join(folder, "assign"));
  assert.equal((await newUsers(folder)).kind, "permanent");
});

test("§17.75 newMoreHosts() puts a new morercpthosts.cdb in place, its keys in lower case", async () => {
  assert.equal((await newMoreHosts(folder)).kind, "permanent");
  writeFileSync(join(folder, "morercpthosts"), "# hosts\nA.example\n\n.B.example \n");
  assert.deepEqual(await newMoreHosts(folder), { kind: "done", value: 2 });
  const read = readCdb(readFileSync(join(folder, "morercpthosts.cdb")));
  assert.deepEqual(read.kind === "done" && [...read.value], [
    ["a.example", ""],
    [".b.example", ""],
  ]);
  assert.deepEqual(readdirSync(folder).sort(), ["morercpthosts", "morercpthosts.cdb"]);
});

test("assignmentsOf() goes by the files in users/, and by who owns a home", () => {
  const uid = process.getuid?.() || 1;
  const passwd = `alias:x:${uid}:1::${folder}:\njoe:x:${uid}:1::/nonexistent:\n`;
  writeFileSync(join(folder, "append"), "=end:e:1:1:/e:::\n");
  writeFileSync(join(folder, "mailnames"), "# names\nalias:info\n");
  const homes = process.getuid?.() === 0 ? "ignore" : "skip";
  const text = assignmentsOf(folder, passwd.replace(homes === "ignore" ? /joe.*\n/ : /^$/, ""), {
    ...defaultAssignOptions,
    homes,
  });
  const alias = `alias:${uid}:1:${folder}`;
  assert.deepEqual(text, {
    kind: "done",
    value: `+:${alias}:-::\n=info:${alias}:::\n+info-:${alias}:-::\n=end:e:1:1:/e:::\n.\n`,
  });
});
