import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { findInCdb } from "../../protocol/cdb/read.ts";
import { done } from "../../protocol/outcome.ts";
import { accountsCdbPath } from "../layout/layout.ts";
import { carryOut } from "./carry-out.ts";
import type { AccountsRequest } from "./request.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-requests-"));
after(() => rmSync(folder, { recursive: true }));

const password = { password: "secret", keep: false };
const hash = "{SSHA}MDEyMzQ1Njc4OTAxMjM0NTY3ODlzYWx0";
const add = (address: string, credential: Extract<AccountsRequest, { action: "user add" }>["credential"] = password) =>
  ({ action: "user add", address, credential, options: {} }) as const;
const book = (key: string) => findInCdb(readFileSync(accountsCdbPath(folder)), key);

/** In this order; `says` is a part of the answer, or of what is wrong. */
const rows: readonly (readonly [request: AccountsRequest, says: RegExp])[] = [
  [add("joe@a.test"), /wrong: there is no domain a\.test; see: postern domain add a\.test/],
  [{ action: "domain add", domain: "A.Test", mail: true }, /a\.test: added/],
  [{ action: "domain add", domain: "a.test", mail: true }, /wrong: the domain a\.test is there already/],
  [{ action: "domain add", domain: "../etc", mail: true }, /wrong: "\.\.\/etc" is no domain/],
  [{ action: "domain add", domain: "", mail: true }, /wrong: "" is no domain/],
  [add("Joe@A.test"), /joe@a\.test: added/],
  [add("joe@a.test"), /wrong: the user joe@a\.test is there already/],
  [add("../x@a.test"), /wrong: .* is no address that can be used here/],
  [add(".joe@a.test"), /wrong: .* is no address/],
  [add("joe"), /wrong: "joe" is no address/],
  [add("joe@x@a.test"), /wrong: .* is no address/],
  [add("j\xe4@a.test"), /wrong: .* is no address/],
  [add("jim@a.test", { password: "a\0b", keep: false }), /wrong: a password is UTF-8/],
  [add("jim@a.test", { hash: "$1$abc$def" }), /wrong: no hash that is known here/],
  [add("ann@a.test", { hash }), /ann@a\.test: added/],
  [{ action: "user show", address: "ann@a.test" }, /"password":"salted-sha"/],
  [
    {
      action: "user set",
      address: "ann@a.test",
      credential: password,
      options: { quotaOctets: 5_000, enabled: false, sendAs: ["@B.test", "boss@a.test"] },
    },
    /changed/,
  ],
  [
    { action: "user show", address: "ANN@a.test" },
    /"enabled":false,"quotaOctets":5000,.*"sendAs":\["@b\.test","boss@a\.test"\],.*"password":"argon2id"/,
  ],
  [{ action: "user set", address: "jim@a.test", credential: undefined, options: {} }, /wrong: there is no user jim/],
  [{ action: "alias add", address: "info@a.test", targets: ["joe@a.test"] }, /goes to joe@a\.test/],
  [{ action: "alias add", address: "info@a.test", targets: ["X@far.test"] }, /goes to X@far\.test, joe@a\.test/],
  [{ action: "alias add", address: "joe@a.test", targets: ["x@far.test"] }, /wrong: there is a user joe@a\.test/],
  [{ action: "alias add", address: "all@a.test", targets: [] }, /wrong: where does mail for all@a\.test go/],
  [{ action: "alias add", address: "all@a.test", targets: ["a\nb@c"] }, /wrong: "a\nb@c" is no address/],
  [{ action: "alias add", address: "x@b.test", targets: ["a@b.test"] }, /wrong: there is no domain b\.test/],
  [{ action: "alias set", address: "all@a.test", targets: ["a@b.test"] }, /wrong: there is no alias all@a\.test/],
  [add("info@a.test"), /wrong: there is an alias info@a\.test/],
  [{ action: "alias list", address: "a.test" }, /{"alias":"info@a\.test","targets":\["X@far\.test","joe@a\.test"\]}/],
  [{ action: "domain set", domain: "a.test", catchAll: ["joe@a.test"] }, /what nobody has goes to joe@a\.test/],
  [
    { action: "app-password add", address: "joe@a.test", name: "phone", options: { scopes: ["smtp"] } },
    /^([a-z2-9]{5}-){4}[a-z2-9]{5}$/,
  ],
  [
    { action: "app-password add", address: "joe@a.test", name: "phone", options: {} },
    /wrong: joe@a\.test has an app password phone already/,
  ],
  [
    { action: "app-password add", address: "joe@a.test", name: "x", options: { scopes: ["http"] } },
    /wrong: "http" is none of smtp, pop3, imap/,
  ],
  [{ action: "app-password add", address: "joe@a.test", name: "a b", options: {} }, /wrong: "a b": names are/],
  [
    { action: "app-password set", address: "joe@a.test", name: "phone", options: { expiresMs: 1_000 } },
    /phone of joe@a\.test: changed/,
  ],
  [
    { action: "app-password list", address: "joe@a.test" },
    /{"name":"phone","scopes":\["smtp"\],"expires":"1970-01-01T00:00:01Z","lastUsed":""}/,
  ],
  [{ action: "app-password remove", address: "joe@a.test", name: "tablet" }, /wrong: there is no app password tablet/],
  [{ action: "app-password remove", address: "joe@a.test", name: "phone" }, /removed/],
  [
    {
      action: "user import",
      users: [
        { address: "a@old.test", credential: { hash }, quota: "5000S" },
        { address: "b@old.test", credential: { hash: "$1$x$y" }, quota: "" },
        { address: "c@a.test", credential: { password: "clear", keep: false }, quota: "NOQUOTA" },
      ],
    },
    /b@old\.test: not taken: no hash.*\n2 of 3 users taken/s,
  ],
  [{ action: "domain show", domain: "old.test" }, /"mail":false,"users":1/],
  [{ action: "user list", address: "old.test" }, /"user":"a@old\.test","enabled":true,"quotaOctets":5000/],
];
for (const [request, says] of rows) {
  test(`${request.action} ${JSON.stringify(request).slice(0, 90)}: ${says.source}`, async () => {
    const answer = await carryOut(folder, request);
    if (answer.kind !== "done") return assert.match(`wrong: ${answer.text}`, says);
    const { lines, rows: all } = answer.value;
    assert.match([...lines, ...all.map((row) => JSON.stringify(row))].join("\n"), says);
  });
}

test("accounts.cdb says what the commands made of it", () => {
  assert.deepEqual(book("joe@a.test"), done("M"));
  assert.deepEqual(book("ann@a.test"), done("M5000S"));
  assert.deepEqual(book("info@a.test"), done("AX@far.test\0joe@a.test"));
  assert.deepEqual(book("@a.test"), done("Djoe@a.test"));
  assert.deepEqual(book("a@old.test"), done(undefined), "its mail goes where it went before");
});

test("what is removed is gone from accounts.cdb, too", async () => {
  await carryOut(folder, { action: "user remove", address: "joe@a.test" });
  assert.deepEqual(book("joe@a.test"), done(undefined));
  await carryOut(folder, { action: "domain remove", domain: "a.test" });
  assert.deepEqual(book("@a.test"), done(undefined));
});

test("commands at the same time leave the last word to all of them", async () => {
  await carryOut(folder, { action: "domain add", domain: "b.test", mail: true });
  const names = Array.from({ length: 8 }, (_, n) => `u${n}@b.test`);
  await Promise.all(names.map((address) => carryOut(folder, add(address))));
  for (const name of names) assert.deepEqual(book(name), done("M"));
});
