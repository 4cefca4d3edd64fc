import assert from "node:assert/strict";
import { test } from "node:test";
import { accountSplits, isFolderName } from "./account-names.ts";
import { catchAllAssignment, findAssignment, parseAssign } from "./assign.ts";
import { mailboxDomains } from "./mailbox-domains.ts";
import { parsePasswd } from "./passwd.ts";

const assign = `=joe:joe:1001:100:/home/joe:::
+joe-:joe:1001:100:/home/joe:-::
+joe-list-:lists:1002:100:/home/lists:-:pre-:
=Mixed:mix:1003:100:/home/mix:::
=joe:other:1009:100:/home/other:::
-odd:odd:1004:100:/home/odd:-/:x:more:text
+:alias:1005:100:/var/alias:-::
.
=late:late:1006:100:/home/late:::
`;
const lookups: readonly (readonly [string, string | undefined])[] = [
  ["joe", "joe /home/joe/.qmail"],
  ["JOE", "joe /home/joe/.qmail"],
  ["joe-Ext.A", "joe /home/joe/.qmail-Ext.A"],
  ["Joe-List-X", "lists /home/lists/.qmail-pre-X"],
  ["joe-list", "joe /home/joe/.qmail-list"],
  ["mixed", "mix /home/mix/.qmail"],
  ["odd", "odd /home/odd/.qmail-/x"],
  ["joey", undefined],
  ["late", undefined],
  ["", undefined],
];
for (const [localPart, expected] of lookups) {
  test(`findAssignment() of "${localPart}" is ${expected ?? "none"}`, () => {
    const table = parseAssign(assign);
    assert.equal(table.kind, "done");
    if (table.kind !== "done") return;
    const found = findAssignment(table.value, localPart);
    assert.equal(found && `${found.user} ${found.home}/.qmail${found.dash}${found.extension}`, expected);
    assert.equal(catchAllAssignment(table.value, localPart)?.extension, localPart);
  });
}

const broken = [
  { name: "no last line", text: "=joe:joe:1:1:/h:::\n", says: 'users/assign: the last line, ".", is missing' },
  { name: "nothing", text: "", says: 'users/assign: the last line, ".", is missing' },
  { name: "too few colons", text: "=joe:joe:1:1:/h::\n.\n", says: "users/assign: bad format in line 1" },
  { name: "an empty first field", text: ":joe:1:1:/h:::\n.\n", says: "users/assign: bad format in line 1" },
  { name: "a NUL", text: "=a:a:1:1:/h:::\n=j\0:joe:1:1:/h:::\n.\n", says: "users/assign: bad format in line 2" },
  { name: "a uid that is none", text: "=joe:joe:x:1:/h:::\n.\n", says: "users/assign: bad format in line 1" },
  { name: "a relative home", text: "=joe:joe:1:1:h:::\n.\n", says: "users/assign: bad format in line 1" },
  { name: "an empty line", text: "\n.\n", says: "users/assign: bad format in line 1" },
];
for (const { name, text, says } of broken) {
  test(`parseAssign() refuses a file with ${name}, for now`, () => {
    assert.deepEqual(parseAssign(text), { kind: "temporary", status: "3.5", text: says });
  });
}

test("findAssignment() in 5,000 lines needs no search through them", () => {
  const lines = Array.from({ length: 5_000 }, (_, n) => `=user${n}:u:1000:100:/home/u${n}:::\n`).join("");
  const table = parseAssign(`${lines}.\n`);
  assert.equal(table.kind === "done" && findAssignment(table.value, "USER4999")?.home, "/home/u4999");
});

const splits: readonly (readonly [string, readonly string[], delimiters?: string])[] = [
  ["joe", ["joe||"]],
  ["A-b-C", ["a-b-c||", "a-b|-|C", "a|-|b-C"]],
  ["-joe", ["-joe||"]],
  ["joe-", ["joe-||", "joe|-|"]],
  ["", []],
  [`${"x".repeat(32)}-y`, []],
  ["a+b-c", ["a+b-c||", "a+b|-|c"]],
  ["a+b-c", ["a+b-c||", "a+b|-|c", "a|+|b-c"], "-+"],
  ["a+b-c", ["a+b-c||", "a|+|b-c"], "+"],
  ["a-b", ["a-b||"], ""],
  [`${"x".repeat(31)}-Y.z`, [`${"x".repeat(31)}|-|Y.z`]],
];
for (const [localPart, expected, delimiters = "-"] of splits) {
  test(`accountSplits() of "${localPart}" at "${delimiters}", the longest name first`, () => {
    assert.deepEqual(
      accountSplits(localPart, delimiters).map(({ name, dash, extension }) => `${name}|${dash}|${extension}`),
      expected,
    );
  });
}

const folders: readonly (readonly [string, boolean])[] = [
  ["joe", true],
  ["joe.doe+x", true],
  ["", false],
  [".", false],
  ["..", false],
  [".hidden", false],
  ["a/b", false],
  ["a\nb", false],
  ["x".repeat(256), false],
];
for (const [name, fits] of folders) {
  test(`isFolderName() of ${JSON.stringify(name.slice(0, 20))} is ${fits}`, () =>
    assert.equal(isFolderName(name), fits));
}

test("parsePasswd() passes over what it cannot read; the first of a name counts", () => {
  const text =
    "root:x:0:0:root:/root:/bin/sh\nbad\njoe:x:1000:100::/home/joe:\njoe:x:7:7::/x:\nno:x:y:1::/h:\nrel:x:1:1::h:\n";
  assert.deepEqual([...parsePasswd(text).keys()], ["root", "joe"]);
  assert.deepEqual(parsePasswd(text).get("joe"), { name: "joe", uid: 1000, gid: 100, home: "/home/joe" });
});

test("mailboxDomains() knows which make their mailboxes", () => {
  const domains = mailboxDomains(["Example.org", "new.example:create"]);
  assert.deepEqual(
    [...domains],
    [
      ["example.org", { create: false, accounts: false }],
      ["new.example", { create: true, accounts: false }],
    ],
  );
});
