import assert from "node:assert/strict";
import { test } from "node:test";
import { environmentFor } from "./environment.ts";

const account = { name: "joe@x", uid: 7, gid: 8, home: "/mail/x/joe", maildir: "/mail/x/joe/Maildir", quota: "" };
const known = { USER: "joe@x", HOME: "/mail/x/joe", SHELL: "/bin/sh", userdb_uid: "7", userdb_gid: "8" };

const cases = [
  { name: "an account", of: account, before: {}, after: { ...known, EXTRA: "userdb_uid userdb_gid" } },
  {
    name: "a quota",
    of: { ...account, quota: "1000S,20C" },
    before: {},
    after: {
      ...known,
      userdb_quota_rule: "*:bytes=1000:messages=20",
      EXTRA: "userdb_uid userdb_gid userdb_quota_rule",
    },
  },
  {
    name: "a Maildir elsewhere",
    of: { ...account, maildir: "/mail/x/joe/Mail" },
    before: {},
    after: { ...known, userdb_mail: "maildir:/mail/x/joe/Mail", EXTRA: "userdb_uid userdb_gid userdb_mail" },
  },
  {
    name: "what was there before",
    of: account,
    before: { PATH: "/bin", USER: "dovecot", EXTRA: "userdb_a", ORIG_UID: "5" },
    after: { ...known, PATH: "/bin", ORIG_UID: "5", EXTRA: "userdb_a userdb_uid userdb_gid" },
  },
  {
    name: "Dovecot's question for an account",
    of: account,
    before: { AUTHORIZED: "1" },
    after: { ...known, AUTHORIZED: "2", EXTRA: "userdb_uid userdb_gid" },
  },
];
for (const { name, of, before, after } of cases) {
  test(`environmentFor() of ${name}`, () => assert.deepEqual(environmentFor(of, before), after));
}
