import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readCdb } from "../../protocol/cdb/read.ts";
import { accountsCdbPath } from "../layout/layout.ts";
import { compileAccounts, openAccounts } from "./open-accounts.ts";

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "postern-accounts-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}
function open(t: TestContext, folder = folderOf(t)) {
  const opened = openAccounts(folder, 1_000);
  assert.ok(opened.kind === "done");
  t.after(() => opened.value.close());
  return { store: opened.value, folder };
}
const user = {
  ...{ hash: "", scram: "", secret: "", quotaOctets: 0, quotaMessages: 0, enabled: 1, lastLoginMs: 0 },
};

test("compileAccounts() writes what local is to know, and no passwords", (t) => {
  const { store, folder } = open(t);
  store.putDomain({ name: "a.test", mail: 1 });
  store.putDomain({ name: "logins.test", mail: 0 });
  store.setCatchAll("a.test", ["joe@a.test"]);
  store.putUser({ ...user, address: "joe@a.test", hash: "HASH", secret: "SECRET", quotaOctets: 5_000 });
  store.putUser({ ...user, address: "ann@a.test", enabled: 0 });
  store.putUser({ ...user, address: "joe@logins.test" });
  store.setAlias("info@a.test", ["joe@a.test", "x@far.test"]);
  assert.equal(compileAccounts(store, folder).kind, "done");
  const file = readFileSync(accountsCdbPath(folder));
  const records = readCdb(file);
  assert.ok(records.kind === "done");
  assert.deepEqual(Object.fromEntries(records.value), {
    "@a.test": "Djoe@a.test",
    "joe@a.test": "M5000S",
    "ann@a.test": "M",
    "info@a.test": "Ajoe@a.test\0x@far.test",
  });
  assert.ok(!file.includes("HASH") && !file.includes("SECRET"));
});

test("removing a user removes all that is the user's, and a domain all that is in it", (t) => {
  const { store } = open(t);
  store.putDomain({ name: "a.test", mail: 1 });
  store.putUser({ ...user, address: "joe@a.test" });
  store.setSendAs("joe@a.test", "@b.test", true);
  store.putAppPassword({
    ...{ address: "joe@a.test", name: "phone", digest: "00", scopes: "smtp", expiresMs: 0, lastUsedMs: 0 },
  });
  store.setAlias("info@a.test", ["joe@a.test"]);
  store.removeUser("joe@a.test");
  assert.deepEqual([store.sendAs("joe@a.test"), store.appPasswords("joe@a.test")], [[], []]);
  store.putUser({ ...user, address: "joe@a.test" });
  store.removeDomain("a.test");
  assert.deepEqual([store.users(), store.aliases(), store.domains()], [[], [], []]);
});

test("two have the store open, and see what the other writes", (t) => {
  const { store, folder } = open(t);
  const { store: other } = open(t, folder);
  store.putDomain({ name: "a.test", mail: 1 });
  assert.deepEqual(other.domain("a.test")?.mail, 1);
  assert.equal(other.nobodyKey(), store.nobodyKey());
  assert.match(store.nobodyKey(), /^[0-9a-f]{64}$/);
});

test("openAccounts() fails, for now, on what is no store", (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, "accounts.sqlite"), "this is no database, and long enough to be seen as none".repeat(40));
  assert.equal(openAccounts(folder, 0).kind, "temporary");
  assert.equal(openAccounts(join(folder, "missing"), 0).kind, "temporary");
});

test("transaction() undoes all when a part fails", (t) => {
  const { store } = open(t);
  assert.throws(() =>
    store.transaction(() => {
      store.putDomain({ name: "a.test", mail: 1 });
      throw new Error("no");
    }),
  );
  assert.deepEqual(store.domains(), []);
});
