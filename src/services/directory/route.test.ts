import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findInCdb } from "../../protocol/cdb/read.ts";
import { done, temporary } from "../../protocol/outcome.ts";
import { accountsCdb } from "../../protocol/users/accounts-cdb.ts";
import { parseAssign } from "../../protocol/users/assign.ts";
import { mailboxDomains } from "../../protocol/users/mailbox-domains.ts";
import { parsePasswd } from "../../protocol/users/passwd.ts";
import { createAccountBook } from "./account-book.ts";
import { createAccounts } from "./accounts.ts";
import { type Directory, routeAddress } from "./route.ts";

const accounts = parsePasswd(
  "root:x:0:0::/root:\njoe:x:1000:100::/home/joe:\na:x:1001:100::/home/a:\na-b:x:1002:100::/home/a-b:\nUpper:x:1003:100::/home/u:\nsvc:x:1004:100::/foreign:\nslow:x:1005:100::/nfs/slow:\n",
);
const assignText =
  "=boss:joe:1000:100:/home/joe:-:boss:\n+list-:lists:1010:110:/home/lists:-::\n=zero:root:0:0:/root:::\n.\n";
const assignments = (text: string): Directory["assign"] => {
  const table = parseAssign(text);
  return table.kind === "done" ? done({ source: "users/assign", table: table.value }) : table;
};
const book = accountsCdb([
  ["@acc.example", { kind: "domain", catchAll: [] }],
  ["joe@acc.example", { kind: "mailbox", quota: "5S" }],
  ["..@acc.example", { kind: "mailbox", quota: "" }],
  ["info@acc.example", { kind: "alias", targets: ["joe@acc.example", "x@far.example"] }],
]);
assert.ok(book.kind === "done");
const directory: Directory = {
  facts: {
    embedded: false,
    mailFolder: "/mail",
    mailUser: { uid: 200, gid: 200 },
    aliasUser: { uid: 300, gid: 300, name: "alias", home: "/alias" },
  },
  assign: assignments(assignText),
  delimiters: "-",
  mailboxDomains: mailboxDomains([
    "box.example",
    "new.example:create",
    "acc.example:accounts",
    "lost.example:accounts",
  ]),
  book: (key) => findInCdb(book.value, key),
  accounts: {
    find: (name) => accounts.get(name),
    async ownsHome({ home }) {
      return home.startsWith("/nfs") ? temporary("3.0", "NFS failure") : done(home.startsWith("/home"));
    },
  },
};
const everybody: Directory = {
  ...directory,
  assign: assignments(assignText.replace(".\n", "+:all:400:400:/all:-::\n.\n")),
};
const embedded: Directory = { ...directory, facts: { ...directory.facts, embedded: true }, accounts: undefined };

const cases: readonly (readonly [address: string, where: Directory, expected: string, row?: string])[] = [
  ["boss@x", directory, "1000:100 joe /home/joe .qmail-boss"],
  ["List-A@box.example", directory, "1010:110 lists /home/lists .qmail-A"],
  ["joe@box.example", directory, "mail joe /mail/box.example kind 1"],
  ["joe@NEW.example", directory, "mail joe /mail/new.example kind 2"],
  ["Joe@ACC.example", directory, "mail joe /mail/acc.example/joe kind 3 quota 5S lines ./Maildir/"],
  ["joe-A@acc.example", directory, "mail joe /mail/acc.example/joe kind 3 quota 5S lines ./Maildir/"],
  ["info@acc.example", directory, "mail info /mail kind 4 lines &joe@acc.example &x@far.example"],
  ["joe+Shop@acc.example", directory, "mail joe /mail/acc.example/joe kind 3 quota 5S lines ./Maildir/"],
  ["info+x@acc.example", directory, "mail info+x /mail kind 4 lines &joe@acc.example &x@far.example"],
  ["joe+x@x", directory, "300:300 alias /alias .qmail-joe+x"],
  ["joe+x@x", { ...directory, delimiters: "-+" }, "1000:100 joe /home/joe .qmail-x"],
  ["a-b+c@x", { ...directory, delimiters: "+" }, "1002:100 a-b /home/a-b .qmail-c"],
  ["a-c@x", { ...directory, delimiters: "+" }, "300:300 alias /alias .qmail-a-c"],
  ["..@acc.example", directory, "permanent Sorry, no mailbox here by that name. (#5.1.1)"],
  ["jim@acc.example", directory, "permanent Sorry, no mailbox here by that name. (#5.1.1)"],
  ["joe@lost.example", directory, "temporary Trouble reading accounts in local. (#4.3.5)"],
  ["boss@acc.example", directory, "1000:100 joe /home/joe .qmail-boss"],
  ["joe@x", directory, "1000:100 joe /home/joe .qmail"],
  ["Joe-Ext@x", directory, "1000:100 joe /home/joe .qmail-Ext"],
  ["a-b-c@x", directory, "1002:100 a-b /home/a-b .qmail-c"],
  ["a-c@x", directory, "1001:100 a /home/a .qmail-c"],
  ["root@x", directory, "300:300 alias /alias .qmail-root"],
  ["upper@x", directory, "300:300 alias /alias .qmail-upper"],
  ["svc@x", directory, "300:300 alias /alias .qmail-svc"],
  ["Nobody-X@x", directory, "300:300 alias /alias .qmail-Nobody-X"],
  ["slow@x", directory, "temporary NFS failure"],
  ["zero@x", directory, "temporary Not allowed to perform deliveries as root. (#4.7.0)", "53"],
  ["zero@x", embedded, "0:0 root /root .qmail"],
  ["joe@x", embedded, "300:300 alias /alias .qmail-joe"],
  ["@x", directory, "nobody", "49"],
  ["joe", directory, "permanent Sorry, address must include host name. (#5.1.3)"],
  ["joe@x", everybody, "400:400 all /all .qmail-joe"],
  ["joe@box.example", everybody, "mail joe /mail/box.example kind 1"],
  ["boss@x", everybody, "1000:100 joe /home/joe .qmail-boss"],
  [
    "joe@x",
    { ...directory, assign: temporary("3.5", "broken") },
    "temporary Trouble reading users/cdb or users/assign in local. (#4.3.5)",
  ],
];
for (const [address, where, expected, row] of cases) {
  test(`${row ? `§17.${row} ` : ""}routeAddress() of ${address}: ${expected}`, async () => {
    const routed = await routeAddress(address, where);
    if (routed.kind !== "done") return assert.equal(`${routed.kind} ${routed.text}`, expected);
    if (!routed.value) return assert.equal("nobody", expected);
    const { confinement, user, home, homeKind, dash, extension, lines, quota } = routed.value;
    const file = homeKind === 0 ? `.qmail${dash}${extension}` : `kind ${homeKind}`;
    const more = `${quota ? ` quota ${quota}` : ""}${lines ? ` lines ${lines.trim().replaceAll("\n", " ")}` : ""}`;
    assert.equal(`${confinement.key} ${user} ${home} ${file}${more}`, expected);
  });
}

test("createAccounts() reads the accounts, and knows who owns a home", async () => {
  const folder = mkdtempSync(join(tmpdir(), "postern-users-"));
  try {
    const passwd = join(folder, "passwd");
    writeFileSync(
      passwd,
      `me:x:${process.getuid?.()}:1::${folder}:\nother:x:12345:1::${folder}:\ngone:x:1:1::/nonexistent:\n`,
    );
    utimesSync(passwd, 1, 1);
    const real = createAccounts(passwd);
    for (const [name, owns] of [
      ["me", true],
      ["other", false],
      ["gone", false],
    ] as const) {
      const account = real.find(name);
      assert.ok(account);
      assert.deepEqual(await real.ownsHome(account), done(owns), name);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const longest = "x".repeat(31);
const withNames: Directory = {
  ...directory,
  assign: assignments(".\n"),
  accounts: {
    find: (name) =>
      [longest, `${longest}y`].includes(name) ? { name, uid: 7, gid: 7, home: "/home/x" } : accounts.get(name),
    ownsHome: async ({ home }) => done(home.startsWith("/home")),
  },
};
const checklist = [
  ["§17.81 without assignments, user is an account", "joe", "joe /home/joe .qmail"],
  ["§17.81 without assignments, user-ext is an account's", "joe-Ext-a", "joe /home/joe .qmail-Ext-a"],
  ["§17.82 a-b before a for a-b-c", "a-b-c", "a-b /home/a-b .qmail-c"],
  ["§17.83 uid 0 is no user", "root-x", "alias /alias .qmail-root-x"],
  ["§17.83 who does not own the home is no user", "svc", "alias /alias .qmail-svc"],
  ["§17.84 a name with capitals never matches", "Upper", "alias /alias .qmail-Upper"],
  ["§17.85 a name of 31 octets matches", `${longest}-e`, `${longest} /home/x .qmail-e`],
  ["§17.85 a name of 32 octets never matches", `${longest}y-e`, `alias /alias .qmail-${longest}y-e`],
  ["§17.86 what nobody takes is the alias user's", "No-Body.x", "alias /alias .qmail-No-Body.x"],
  ["§17.87 root is .qmail-root of the alias user", "root", "alias /alias .qmail-root"],
] as const;
for (const [name, localPart, expected] of checklist) {
  test(name, async () => {
    const routed = await routeAddress(`${localPart}@x`, withNames);
    assert.ok(routed.kind === "done" && routed.value);
    const { user, home, dash, extension } = routed.value;
    assert.equal(`${user} ${home} .qmail${dash}${extension}`, expected);
  });
}

test("routeAddress() tells each rule that it tried", async () => {
  const told: string[] = [];
  await routeAddress("a-b-c-d@x", directory, ({ source, entry }) => told.push(`${source} ${entry}`));
  assert.deepEqual(told, ["users/assign undefined", "accounts undefined", "accounts undefined", "accounts a-b"]);
});

test("createAccountBook() finds what is in the file, fails without one, and follows no link", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "postern-book-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "accounts.cdb");
  assert.equal(createAccountBook(path)("joe@acc.example").kind, "temporary");
  writeFileSync(path, book.value);
  assert.deepEqual(createAccountBook(path)("joe@acc.example"), done("M5S"));
  assert.deepEqual(createAccountBook(path)("jim@acc.example"), done(undefined));
  symlinkSync(path, join(folder, "link"));
  assert.equal(createAccountBook(join(folder, "link"))("joe@acc.example").kind, "temporary");
  assert.equal(createAccountBook(folder)("joe@acc.example").kind, "temporary");
  writeFileSync(path, "short");
  assert.equal(createAccountBook(path)("joe@acc.example").kind, "temporary");
});
