import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFromLine } from "./parse-from-line.ts";
import { createMboxQuoter } from "./quote.ts";
import { createMboxScanner } from "./split.ts";
import { takeStatus } from "./status.ts";
import { createMboxUnquoter } from "./unquote.ts";

const dated = "From a@b Thu Jan  1 00:00:01 1970";
const mboxes: readonly { name: string; mbox: string; starts: readonly number[] }[] = [
  { name: "nothing", mbox: "", starts: [] },
  { name: "one message", mbox: `${dated}\nA: b\n\ntext\n\n`, starts: [0] },
  { name: "two messages", mbox: `${dated}\n\na\n\n${dated}\n\nb\n\n`, starts: [0, 38] },
  { name: "no empty line between", mbox: `${dated}\na\n${dated}\nb\n`, starts: [0, 36] },
  { name: "a date it cannot read, after an empty line", mbox: "From x\n\na\n\nFrom y\nb\n", starts: [0, 11] },
  { name: "text that begins with From", mbox: `${dated}\n\nx\nFrom me to you\n>From z\n\n`, starts: [0] },
  { name: "a line that has no end", mbox: `${dated}\n\n\nFrom x`, starts: [0] },
  { name: "a long From_ line", mbox: `From ${"x".repeat(5_000)}\n\nFrom y\n`, starts: [0, 5_007] },
  { name: "a text that is none", mbox: "Fromage\nFro\n", starts: [] },
];
for (const { name, mbox, starts } of mboxes) {
  for (const size of [1, 3, 7, Math.max(1, mbox.length)]) {
    test(`createMboxScanner() finds the messages of ${name}, ${size} octets at a time`, () => {
      const scanner = createMboxScanner();
      const found: number[] = [];
      for (let at = 0; at < mbox.length; at += size)
        found.push(...scanner.write(Buffer.from(mbox.slice(at, at + size))).map((start) => start.at));
      assert.deepEqual(found, starts);
    });
  }
}

const lines: readonly { line: string; reversePath: string; at: string | undefined }[] = [
  { line: dated, reversePath: "a@b", at: "1970-01-01T00:00:01.000Z" },
  { line: "From MAILER-DAEMON Sun Nov 01 01:02:03 2026", reversePath: "", at: "2026-11-01T01:02:03.000Z" },
  { line: "From a Sun Nov  1 01:02:03 2026 +0200", reversePath: "a", at: "2026-10-31T23:02:03.000Z" },
  { line: "From a Sun Nov  1 01:02:03 -0130 2026", reversePath: "a", at: "2026-11-01T02:32:03.000Z" },
  { line: "From a Sun Nov  1 01:02 2026", reversePath: "a", at: "2026-11-01T01:02:00.000Z" },
  { line: "From a Sun Nov  1 01:02:03 MET 2026", reversePath: "a", at: "2026-11-01T01:02:03.000Z" },
  { line: "From Sun Sun Nov  1 01:02:03 2026", reversePath: "Sun", at: "2026-11-01T01:02:03.000Z" },
  { line: "From me to you", reversePath: "me", at: undefined },
  { line: "From a Sun Nov 1 noon 2026", reversePath: "a", at: undefined },
  { line: "From ", reversePath: "", at: undefined },
];
for (const { line, reversePath, at } of lines) {
  test(`parseFromLine() reads ${line}`, () => {
    const expected = { reversePath, atMs: at === undefined ? undefined : Date.parse(at) };
    assert.deepEqual(parseFromLine(line), expected);
  });
}

test("createMboxUnquoter() takes back what createMboxQuoter() does, however the octets come", () => {
  const messages = [
    "",
    "From x\n",
    ">From x\n>>From y\n>Fro\n>\n>>\n",
    "a\n>>>From \n>From",
    "> From\n>>x\n",
    ">".repeat(9),
  ];
  for (const message of messages) {
    for (const size of [1, 2, 3, 100]) {
      const quoter = createMboxQuoter();
      const quoted = Buffer.concat([...quoter.write(Buffer.from(message)), ...quoter.end()]).toString();
      const unquoter = createMboxUnquoter();
      const pieces: Buffer[] = [];
      for (let at = 0; at < quoted.length; at += size)
        pieces.push(...unquoter.write(Buffer.from(quoted.slice(at, at + size))));
      const back = Buffer.concat([...pieces, ...unquoter.end()]).toString();
      assert.equal(back, `${message}${message === "" || message.endsWith("\n") ? "" : "\n"}\n`);
    }
  }
});

const statuses = [
  { header: "A: b\n", isNew: true, flags: "", left: "A: b\n" },
  { header: "Status: O\nA: b\n", isNew: false, flags: "", left: "A: b\n" },
  { header: "A: b\nStatus: RO\n", isNew: false, flags: "S", left: "A: b\n" },
  { header: "status: RO\nX-Status: AFDT\nB: c\n", isNew: false, flags: "DFRST", left: "B: c\n" },
  { header: "X-Status: F\nStatus:\n", isNew: false, flags: "F", left: "" },
  { header: "Status: R\n O\nC: d\n e\n", isNew: false, flags: "S", left: "C: d\n e\n" },
  { header: "X-Status: \nStatus-Of: R\n", isNew: true, flags: "", left: "Status-Of: R\n" },
];
for (const { header, isNew, flags, left } of statuses) {
  test(`takeStatus() of ${JSON.stringify(header)}`, () => {
    assert.deepEqual(takeStatus(header), { isNew, flags, header: left });
  });
}
