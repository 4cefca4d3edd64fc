import assert from "node:assert/strict";
import { test } from "node:test";
import { fromLine } from "./from-line.ts";
import { createMboxQuoter } from "./quote.ts";

const cases = [
  { name: "leaves a plain message alone and adds an empty line", message: "A: b\n\ntext\n", mbox: "A: b\n\ntext\n\n" },
  { name: "ends a last line", message: "text", mbox: "text\n\n" },
  { name: "takes an empty message", message: "", mbox: "\n" },
  { name: "quotes From at a line's start", message: "\nFrom me\n", mbox: "\n>From me\n\n" },
  { name: "quotes the first line", message: "From me\n", mbox: ">From me\n\n" },
  { name: "quotes quotes", message: "\n>From\n>From x\n>>From x\n", mbox: "\n>From\n>>From x\n>>>From x\n\n" },
  {
    name: "leaves From inside a line",
    message: "a From b\n> From c\nFromage\n",
    mbox: "a From b\n> From c\nFromage\n\n",
  },
  { name: "ends after a half From", message: "\n>Fro", mbox: "\n>Fro\n\n" },
  {
    name: "takes From over and over",
    message: "FFrom x\nFromFrom x\nFrom From x\n",
    mbox: "FFrom x\nFromFrom x\n>From From x\n\n",
  },
  { name: "keeps empty lines", message: "\n\n\n", mbox: "\n\n\n\n" },
];
for (const { name, message, mbox } of cases) {
  for (const size of [1, 2, 3, 4, 5, 6, Math.max(1, message.length)]) {
    test(`createMboxQuoter() ${name}, ${size} octets at a time`, () => {
      const quoter = createMboxQuoter();
      const pieces: Buffer[] = [];
      for (let at = 0; at < message.length; at += size)
        pieces.push(...quoter.write(Buffer.from(message.slice(at, at + size))));
      pieces.push(...quoter.end());
      assert.equal(Buffer.concat(pieces).toString(), mbox);
    });
  }
}

test("createMboxQuoter() can be undone, whatever the message and its pieces", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 48_271) % 0x7fff_ffff;
    return seed % below;
  };
  const words = ["From ", ">", "\n", "F", "rom ", "x", ">>From "];
  for (let round = 0; round < 2_000; round++) {
    const message = `${Array.from({ length: random(12) }, () => words[random(words.length)]).join("")}\n`;
    const quoter = createMboxQuoter();
    const pieces: Buffer[] = [];
    for (let at = 0; at < message.length; ) {
      const size = 1 + random(6);
      pieces.push(...quoter.write(Buffer.from(message.slice(at, at + size))));
      at += size;
    }
    const mbox = Buffer.concat([...pieces, ...quoter.end()]).toString();
    assert.equal(/^From /m.test(mbox), false);
    assert.equal(mbox.replace(/^>(>*From )/gm, "$1"), `${message}\n`);
  }
});

test("fromLine() is asctime's, in UTC, with the sender's blanks as dashes", () => {
  assert.equal(fromLine("", Date.UTC(2026, 10, 1, 1, 2, 3)), "From MAILER-DAEMON Sun Nov 01 01:02:03 2026\n");
  assert.equal(fromLine("a b\tc@d", 0), "From a-b-c@d Thu Jan 01 00:00:00 1970\n");
});
