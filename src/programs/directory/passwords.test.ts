import assert from "node:assert/strict";
import crypto, { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, mock, test } from "node:test";
import { formatArgon2, hashArgon2 } from "../../protocol/password/argon2.ts";
import { openAccounts } from "../../services/accounts/open-accounts.ts";
import { createPasswords } from "./passwords.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-passwords-"));
const opened = openAccounts(folder, 1_000);
assert.ok(opened.kind === "done");
const store = opened.value;
const argon2 = mock.method(crypto, "argon2");
syncBuiltinESMExports();
after(() => {
  mock.restoreAll();
  syncBuiltinESMExports();
  store.close();
  rmSync(folder, { recursive: true });
});

const ssha = `{SSHA}${Buffer.concat([Buffer.alloc(20), Buffer.from("salt")]).toString("base64")}`;
const user = {
  ...{ hash: formatArgon2(await hashArgon2(Buffer.from("secret"), randomBytes(16))), scram: "", secret: "" },
  ...{ quotaOctets: 0, quotaMessages: 0, enabled: 1, lastLoginMs: 0 },
};
store.putDomain({ name: "a.test", mail: 1 });
store.putUser({ ...user, address: "joe@a.test" });
store.putUser({ ...user, address: "off@a.test", enabled: 0 });
store.putUser({ ...user, address: "old@a.test", hash: ssha });
const passwords = await createPasswords(store, Date.now, () => undefined);

/** Whoever it is: with time one could tell who is there. */
const rows = [
  ["a wrong password", "joe@a.test", "wrong password"],
  ["nobody in a domain of ours", "nobody@a.test", "no such account"],
  ["a domain that is not ours", "joe@else.test", "no such account"],
  ["a disabled account", "off@a.test", "wrong password"],
  ["a hash that was imported", "old@a.test", "wrong password"],
  ["an empty name", "", "no such account"],
] as const;
for (const [name, account, why] of rows) {
  test(`Passwords.check() computes one argon2id for ${name}`, async () => {
    const before = argon2.mock.callCount();
    assert.deepEqual(await passwords.check(account, Buffer.from("guess"), "smtp"), { kind: "wrong", why });
    assert.equal(argon2.mock.callCount() - before, 1);
  });
}
