import assert from "node:assert/strict";
import { findInCdb, readCdb } from "../../../src/protocol/cdb/read.ts";
import { writeCdb } from "../../../src/protocol/cdb/write.ts";
import { clientRuleLines, createClientRules } from "../../../src/protocol/network/client-rules.ts";
import { parseAssign } from "../../../src/protocol/users/assign.ts";
import { assignFromAccounts, defaultAssignOptions } from "../../../src/protocol/users/pw2u.ts";
import { parseUsersCdb } from "../../../src/protocol/users/users-cdb.ts";
import type { Row } from "../explore.ts";
import { mutated } from "../mutate.ts";
import type { Source } from "../source.ts";

const keys = ["", "a", "!joe\0", "!joe-", "!", "127.", "192.0.2.1", "x".repeat(300)];
const data = ["", "joe\x001\x001\0/h\0-\0", "+RELAYCLIENT=\0", "D\0", "\xff\0\n"];
const tearFile = (source: Source, file: Buffer): Buffer => {
  const torn = Buffer.from(source.oneIn(4) ? file.subarray(0, source.below(file.length + 1)) : file);
  const numbers = [0, 1, 8, 2_048, 0x7fffffff, 0xffffffff, file.length];
  for (let changes = source.below(6); changes > 0 && torn.length >= 4; changes--) {
    const near = source.oneIn(2) ? Math.max(0, torn.length - 200) : 0;
    torn.writeUInt32LE(source.pick(numbers), Math.min(near + source.below(torn.length), torn.length - 4));
  }
  return torn;
};

const cdb: Row = {
  name: "cdb",
  cases: 2_000,
  check(source) {
    const records = source.list(
      20,
      () => [source.pick(keys) + source.text(["a", "\0", "."]), source.pick(data)] as const,
    );
    const made = writeCdb(records);
    assert.ok(made.kind === "done");
    const read = readCdb(made.value);
    assert.ok(read.kind === "done");
    const firsts = new Map(records.toReversed());
    assert.equal(read.value.size, firsts.size);
    for (const [key, value] of firsts) {
      assert.equal(read.value.get(key), value);
      assert.deepEqual(findInCdb(made.value, key), { kind: "done", value });
    }
    const torn = tearFile(source, made.value);
    const found = findInCdb(torn, source.pick(keys));
    assert.ok(found.kind === "temporary" || (found.kind === "done" && (found.value ?? "").length <= torn.length));
    for (const outcome of [readCdb(torn), parseUsersCdb(torn), clientRuleLines(torn)]) {
      assert.notEqual(outcome.kind, "permanent");
    }
  },
};

const ruleLines = [
  "127.:allow",
  '10.0.0.1-9:allow,RELAYCLIENT=""',
  ":deny",
  "[2001:db8::]/32:deny",
  "192.0.2.0/24:allow,A='b',C=/d/",
  "=host.example:allow",
];

const clientRules: Row = {
  name: "client rules",
  cases: 3_000,
  check(source) {
    const lines = source.list(6, () => mutated(source, ruleLines, [",", ":", "=", '"', "-", "/", "0", "[", "]"]));
    const rules = createClientRules(lines);
    if (rules.kind !== "done") return assert.equal(rules.kind, "permanent");
    assert.equal(rules.value.all.length, lines.length);
    for (const address of ["127.0.0.1", "10.0.0.5", "192.0.2.1", "2001:db8::1", mutated(source, ["::1", "1.2.3.4"])]) {
      const rule = rules.value.find(address);
      assert.ok(rule === undefined || rules.value.all.includes(rule));
    }
  },
};

const accounts: Row = {
  name: "accounts to assignments",
  cases: 1_500,
  check(source) {
    const passwd = ["alias:x:9:9::/a:/bin/sh", "joe:x:1000:100:J:/home/joe:", "A-b:x:1:1::/:", "root:x:0:0::/:"];
    const lines = (seeds: readonly string[]) =>
      source.oneIn(2) ? undefined : source.list(3, () => mutated(source, seeds));
    const files = {
      include: lines(["joe", "alias"]),
      exclude: lines(["joe"]),
      mailnames: lines(["joe:j:k", "alias"]),
      subusers: lines(["s:joe:p:"]),
      append: "",
    };
    const text = source.list(6, () => mutated(source, passwd)).join("\n");
    const made = assignFromAccounts(text, files, () => ({ kind: "done", value: 1000 }), {
      ...defaultAssignOptions,
      homes: source.pick(["ignore", "skip", "fail"]),
      capitals: source.oneIn(2),
      alias: source.oneIn(2) ? "alias" : undefined,
    });
    if (made.kind === "done") assert.ok(made.value.endsWith(".\n") && parseAssign(made.value).kind !== "permanent");
  },
};

export const usersRows: readonly Row[] = [cdb, clientRules, accounts];
