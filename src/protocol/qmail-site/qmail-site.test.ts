import assert from "node:assert/strict";
import { test } from "node:test";
import { writeCdb } from "../cdb/write.ts";
import { controlFate, missingControlNotes } from "./control-fate.ts";
import { parseRc } from "./rc.ts";
import { assignLines, parseVpasswd, parseVpasswdCdb, withAssignLines } from "./vpasswd.ts";

const lines = (...texts: readonly string[]) => ({ kind: "lines", lines: texts });
const scripts = [
  { name: "a bare word", text: "qmail-start ./Mailbox splogger qmail\n", style: lines("./Mailbox") },
  {
    name: "a path and a line that goes on",
    text: "exec env - PATH=x \\\n/var/qmail/bin/qmail-start \\\n ./Maildir/ x",
    style: lines("./Maildir/"),
  },
  { name: "quotes", text: "qmail-start '|preline procmail' splogger", style: lines("|preline procmail") },
  {
    name: "two lines in quotes",
    text: "qmail-start '|dot-forward .forward\n./Mailbox' splogger",
    style: lines("|dot-forward .forward", "./Mailbox"),
  },
  { name: "double quotes", text: 'qmail-start "./Maildir/" &', style: lines("./Maildir/") },
  {
    name: "nothing from a comment",
    text: "# qmail-start ./Mailbox\nqmail-start ./Maildir/\n",
    style: lines("./Maildir/"),
  },
  { name: "a variable", text: 'qmail-start "$DEFAULTDELIVERY" x', style: { kind: "computed" } },
  { name: "a command", text: "qmail-start `cat defaultdelivery` x", style: { kind: "computed" } },
  { name: "no argument", text: "qmail-start\n", style: lines() },
  { name: "a quote that does not end", text: "qmail-start './Mailbox\n", style: { kind: "unknown" } },
  { name: "no qmail-start", text: "exit 0\n", style: { kind: "unknown" } },
];
for (const { name, text, style } of scripts)
  test(`parseRc() takes ${name}`, () => assert.deepEqual(parseRc(text), style));

const fates = [
  { name: "me", text: "mx.example\n", fate: "taken" },
  { name: "locals", text: "", fate: "taken" },
  { name: "queuelifetime", text: "long\n", fate: "wrong" },
  { name: "morercpthosts.cdb", text: "no cdb", fate: "wrong" },
  { name: "badhelo", text: "x", fate: "no effect" },
  { name: "servercert.pem", text: "x", fate: "no effect" },
  { name: "mystery", text: "x", fate: "unknown" },
];
for (const { name, text, fate } of fates) {
  test(`controlFate() of ${name} is ${fate}`, () => {
    const judged = controlFate(name, text);
    assert.equal(judged.fate, fate);
    assert.equal(judged.why === "", fate === "taken");
  });
}

test("missingControlNotes() warns of the open relay that a missing rcpthosts was", () => {
  assert.match(missingControlNotes((name) => name !== "rcpthosts").join(), /^no control\/rcpthosts.*open relay/);
  assert.deepEqual(
    missingControlNotes(() => true),
    [],
  );
});

const ann = { name: "ann", home: "/d/ann", hash: "$1$x", quota: "NOQUOTA", clear: "secret", forbids: [] };
const bob = { name: "bob", home: "/d/bob", hash: "$6$x", quota: "1000S", clear: "", forbids: [] };
test("parseVpasswd() takes accounts with and without a clear password", () => {
  const text = "ann:$1$x:1:0:Ann:/d/ann:NOQUOTA:secret\nbob:$6$x:1:0:Bob:/d/bob:1000S\n";
  assert.deepEqual(parseVpasswd(text), { kind: "done", value: [ann, bob] });
});
for (const [bits, forbids] of [
  ["0", []],
  ["1", []],
  ["2", ["POP3"]],
  ["2058", ["POP3", "IMAP", "SMTP"]],
  ["4294967295", ["POP3", "IMAP", "SMTP"]],
  ["x", []],
] as const) {
  test(`parseVpasswd() reads what the flags ${bits} keep an account from`, () => {
    const read = parseVpasswd(`ann:$1$x:1:${bits}:Ann:/d/ann:NOQUOTA:secret\n`);
    assert.deepEqual(read, { kind: "done", value: [{ ...ann, forbids }] });
  });
}
for (const line of ["ann", "ann:x:1:0:Ann:relative:q", ":x:1:0:Ann:/d:q", "a/b:x:1:0:Ann:/d:q", "a b:x:1:0::/d:q"]) {
  test(`parseVpasswd() refuses ${line}`, () => assert.equal(parseVpasswd(`${line}\n`).kind, "temporary"));
}
test("parseVpasswdCdb() takes the same from a cdb", () => {
  const file = writeCdb([["ann", "$1$x:1:0:Ann:/d/ann:NOQUOTA"]]);
  assert.ok(file.kind === "done");
  assert.deepEqual(parseVpasswdCdb(file.value), { kind: "done", value: [{ ...ann, clear: "" }] });
  assert.equal(parseVpasswdCdb(Buffer.from("x")).kind, "temporary");
});
test("assignLines() and withAssignLines() add lines before the last", () => {
  const added = assignLines([ann, bob], { prefix: "d.example", uid: 89, gid: 88 }, (key) => key.endsWith("-bob"));
  assert.deepEqual(added, ["=d.example-ann:vpopmail:89:88:/d/ann:::"]);
  assert.equal(withAssignLines("+x:\n.\nignored\n", added), `+x:\n${added[0]}\n.\n`);
  assert.equal(withAssignLines("", []), ".\n");
  assert.equal(withAssignLines("", added), `${added[0]}\n.\n`);
});
