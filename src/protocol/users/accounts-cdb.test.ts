import assert from "node:assert/strict";
import { test } from "node:test";
import { findInCdb } from "../cdb/read.ts";
import { done } from "../outcome.ts";
import { type AccountRecord, accountsCdb, findAccountOf, parseAccountRecord } from "./accounts-cdb.ts";

const records: readonly (readonly [string, AccountRecord])[] = [
  ["@a.test", { kind: "domain", catchAll: [] }],
  ["@all.test", { kind: "domain", catchAll: ["joe@a.test", "x@far.test"] }],
  ["joe@a.test", { kind: "mailbox", quota: "1000S,5C" }],
  ["joe-smith@a.test", { kind: "mailbox", quota: "" }],
  ["info@a.test", { kind: "alias", targets: ["joe@a.test", "jim@far.test"] }],
  ["joe@all.test", { kind: "mailbox", quota: "" }],
];
const file = accountsCdb(records);
assert.ok(file.kind === "done");
const find = (key: string) => findInCdb(file.value, key);

const rows: readonly (readonly [address: string, found: object | undefined])[] = [
  ["joe@a.test", { kind: "mailbox", quota: "1000S,5C", name: "joe", dash: "", extension: "" }],
  ["JOE@a.test", { kind: "mailbox", quota: "1000S,5C", name: "joe", dash: "", extension: "" }],
  ["joe-List-x@a.test", { kind: "mailbox", quota: "1000S,5C", name: "joe", dash: "-", extension: "List-x" }],
  ["joe-smith@a.test", { kind: "mailbox", quota: "", name: "joe-smith", dash: "", extension: "" }],
  ["joe-smith-x@a.test", { kind: "mailbox", quota: "", name: "joe-smith", dash: "-", extension: "x" }],
  ["info@a.test", { kind: "forward", entry: "info@a.test", targets: ["joe@a.test", "jim@far.test"] }],
  ["info-x@a.test", undefined],
  ["info+x@a.test", { kind: "forward", entry: "info@a.test", targets: ["joe@a.test", "jim@far.test"] }],
  ["joe+Shop@a.test", { kind: "mailbox", quota: "1000S,5C", name: "joe", dash: "+", extension: "Shop" }],
  ["joe-list+x@a.test", { kind: "mailbox", quota: "1000S,5C", name: "joe", dash: "-", extension: "list+x" }],
  ["joe-smith+x-y@a.test", { kind: "mailbox", quota: "", name: "joe-smith", dash: "+", extension: "x-y" }],
  ["+joe@a.test", undefined],
  ["nobody@a.test", undefined],
  ["@a.test", undefined],
  ["nobody@all.test", { kind: "forward", entry: "@all.test", targets: ["joe@a.test", "x@far.test"] }],
  ["joe-x@all.test", { kind: "mailbox", quota: "", name: "joe", dash: "-", extension: "x" }],
];
for (const [address, found] of rows) {
  test(`findAccountOf() ${address}`, () => {
    const [localPart = "", domain = ""] = address.split("@");
    assert.deepEqual(findAccountOf(localPart, domain, "-", find), done(found));
  });
}

test("findAccountOf() fails, for now, where the domain or a record is not as it should be", () => {
  assert.equal(findAccountOf("joe", "other.test", "-", find).kind, "temporary");
  assert.equal(findAccountOf("joe", "a.test", "-", () => done("?")).kind, "temporary");
  assert.equal(findAccountOf("joe", "a.test", "-", (key) => findInCdb(Buffer.alloc(5), key)).kind, "temporary");
});

test("parseAccountRecord() knows three kinds", () => {
  for (const data of ["", "x", "\0"]) assert.equal(parseAccountRecord(data), undefined);
});
