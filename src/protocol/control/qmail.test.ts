import assert from "node:assert/strict";
import { test } from "node:test";
import { writeCdb } from "../cdb/write.ts";
import { findFaults } from "./describe.ts";
import { foreignControl } from "./foreign.ts";
import { notesOn } from "./notes.ts";
import { parseControl, readSettings } from "./parse.ts";
import { controls } from "./table.ts";

const cases = [
  ["§17.58 an empty line file is an empty value, not the default", "smtpgreeting", "", ""],
  ["§17.58 an empty list file is an empty list, not the default", "locals", "", []],
  ["§17.59 only the first line of a line file counts", "helohost", "a.example\nb.example\n", "a.example"],
  ["§17.59 trailing blanks are cut, leading ones stay", "helohost", " a.example \t\n", " a.example"],
  ["§17.60 comments and empty lines of a list do not count", "locals", "#a\n\nb\n \n#c", ["b"]],
  ["§17.60 a # after a blank is no comment", "locals", " #a\n", [" #a"]],
  [
    "§17.63 the last line of a key counts, in any case",
    "virtualdomains",
    "a.example:one\nA.example:two\n",
    [["a.example", "two"]],
  ],
] as const;
for (const [name, file, text, expected] of cases) {
  test(name, () => {
    assert.deepEqual(parseControl(file, text), { kind: "done", value: expected });
  });
}

test("§17.61 a number that is none is an error, not the default", () => {
  for (const text of ["many", "-5", " 5", "5 minutes", ""]) {
    assert.equal(parseControl("concurrencylocal", text).kind, "permanent", text);
  }
});

test("§17.62 without locals, control/me is local", () => {
  const settings = readSettings(new Map([["me", "mx.example\n"]]));
  assert.deepEqual(settings.kind === "done" && settings.value.locals, ["mx.example"]);
});

/** As a site of many years has it: qmail's own files, and what run scripts and patches have left. */
const qmailFolder = new Map([
  ["me", "mail.example.org\n"],
  ["defaultdomain", "example.org\n"],
  ["plusdomain", "example.org\n"],
  ["locals", "localhost\nmail.example.org\n"],
  ["rcpthosts", "localhost\nmail.example.org\n"],
  ["morercpthosts", "one.example\n"],
  ["virtualdomains", "lists.example.org:lists\n.dyn.example.org:dyn\nout.dyn.example.org:\n"],
  ["percenthack", ""],
  ["smtproutes", ":relay.example.net:26\n.internal:[192.0.2.1]\n"],
  ["smtpgreeting", "mail.example.org no UCE"],
  ["badmailfrom", "@spam.example\n"],
  ["badrcptto", "old@example.org\n"],
  ["databytes", "20971520\n"],
  ["queuelifetime", "432000\n"],
  ["concurrencyremote", "120\n"],
  ["concurrencylocal", "40\n"],
  ["timeoutsmtpd", "600\n"],
  ["timeoutconnect", "60\n"],
  ["timeoutremote", "1200\n"],
  ["doublebounceto", "\n"],
  ["doublebouncehost", "example.org\n"],
  ["bouncefrom", "MAILER-DAEMON\n"],
  ["bouncehost", "example.org\n"],
  ["envnoathost", "example.org\n"],
  ["helohost", "mail.example.org\n"],
  ["idhost", "example.org\n"],
  ["localiphost", "mail.example.org\n"],
  ["defaulthost", "example.org\n"],
  ["defaultdelivery", "./Maildir/\n"],
  ["qmqpservers", "192.0.2.9\n"],
  ["concurrencyincoming", "40\n"],
  ["spfbehavior", "3\n"],
  ["tarpitcount", "5\n"],
  ["servercert.pem", ""],
  ["rsa512.pem", ""],
  ["dkimsign", "x\n"],
  ["virtualdomains.lock", ""],
  ["validrcptto.cdb", ""],
]);

test("readSettings() takes a qmail's folder as it is, and notesOn() names what has no effect", () => {
  assert.deepEqual(findFaults(qmailFolder), []);
  assert.equal(readSettings(qmailFolder).kind, "done");
  const notes = notesOn(qmailFolder);
  assert.equal(notes.length, 8);
  assert.equal(
    notes[0],
    "control/concurrencyincoming: qmail's; has no effect in Postern: see maxconnections and maxconnectionsperaddress",
  );
});

test("no control file of ours is among those that have no effect", () => {
  for (const name of Object.keys(controls)) assert.equal(foreignControl(name), undefined, name);
});

const cdb = (records: readonly (readonly [string, string])[]): string => {
  const made = writeCdb(records);
  return made.kind === "done" ? made.value.toString("latin1") : "";
};

test("readSettings() reads morercpthosts.cdb beside morercpthosts", () => {
  const settings = readSettings(
    new Map([
      ["morercpthosts", "text.example\n"],
      ["morercpthosts.cdb", cdb([["cdb.example", ""]])],
    ]),
  );
  assert.ok(settings.kind === "done");
  assert.deepEqual(settings.value.morercpthosts, ["text.example", "cdb.example"]);
  assert.deepEqual(settings.value.present, ["morercpthosts"]);
});

test("readSettings() reads tcp.smtp.cdb unless there is smtprules", () => {
  const compiled = cdb([["127.", "+RELAYCLIENT=\0"]]);
  const alone = readSettings(new Map([["tcp.smtp.cdb", compiled]]));
  assert.deepEqual(alone.kind === "done" && alone.value.smtprules, ['127.:allow,RELAYCLIENT=""']);
  const both = readSettings(
    new Map([
      ["smtprules", ":deny\n"],
      ["tcp.smtp.cdb", compiled],
    ]),
  );
  assert.deepEqual(both.kind === "done" && both.value.smtprules, [":deny"]);
});

test("readSettings() refuses a damaged cdb, and one with too much in it", () => {
  const damaged = new Map([["morercpthosts.cdb", "x"]]);
  assert.deepEqual(findFaults(damaged), ["control/morercpthosts.cdb: not a cdb, or damaged"]);
  assert.equal(readSettings(damaged).kind, "permanent");
  const many = new Map([["morercpthosts.cdb", cdb(Array.from({ length: 250_001 }, (_, n) => [`d${n}.example`, ""]))]]);
  assert.match(findFaults(many)[0] ?? "", /250001 records are more than 250000/);
});

test("notesOn() names variables and patterns that mean nothing here", () => {
  const files = new Map([
    ["smtprules", '10.:allow,RELAYCLIENT="",RBLSMTPD=""\n'],
    ["badrcptto", "x@y.example\nz\\.com$\n"],
  ]);
  assert.deepEqual(notesOn(files), [
    'control/badrcptto: "z\\.com$" names nobody: patterns are not known here',
    "control/smtprules: RBLSMTPD has no effect in Postern",
  ]);
});

test("notesOn() names domains of mailboxes that rcpthosts shuts out", () => {
  const domains = ["mailboxdomains", "a.example\nb.example\nx.c.example\n"] as const;
  assert.deepEqual(notesOn(new Map([domains])), []);
  assert.deepEqual(notesOn(new Map([domains, ["rcpthosts", "B.example\n.c.example\n"]])), [
    "control/rcpthosts: a.example of mailboxdomains is not in it: mail for it from outside is refused",
  ]);
});
