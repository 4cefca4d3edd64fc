import assert from "node:assert/strict";
import { test } from "node:test";
import { readAuthors, readSender } from "./authors.ts";
import { createSubmittedHeader, maxFromOctets, type SubmittedHeader } from "./submitted.ts";

const wanted = { date: "Date: d\n", from: "From: f\n", "message-id": "Message-ID: m\n" };
const all = "Date: d\nFrom: f\nMessage-ID: m\n";

const cases = [
  { name: "all to an empty message", text: "", out: all },
  { name: "all to a header alone", text: "To: x\n", out: `To: x\n${all}` },
  { name: "all before the empty line", text: "To: x\n\nbody\n\nmore", out: `To: x\n${all}\nbody\n\nmore` },
  { name: "nothing that is there", text: "DATE: 1\nfrom : 2\nMessage-Id:\n 3\n\nb", out: undefined },
  { name: "what only begins alike", text: "Dates: x\nFro: y\n\n", out: `Dates: x\nFro: y\n${all}\n` },
  { name: "what stands in the body", text: "a: b\n\nFrom: x\n", out: `a: b\n${all}\nFrom: x\n` },
  { name: "what stands in a folded line", text: "a: b\n From: x\n\n", out: `a: b\n From: x\n${all}\n` },
  { name: "to a message that begins empty", text: "\nbody", out: `${all}\nbody` },
  { name: "a header to text alone", text: "hello, world\nFrom: x\n", out: `${all}\nhello, world\nFrom: x\n` },
  { name: "an empty line where text begins", text: "a: b\nno field\n", out: `a: b\n${all}\nno field\n` },
  { name: "nothing into a name that never ends", text: "a: b\nname", out: `a: b\n${all}\nname` },
  { name: "behind a last line without its end", text: "a: b", out: `a: b\n${all}` },
  { name: "behind a mailbox's line", text: "From me Mon\nTo: x\n\n", out: `From me Mon\nTo: x\n${all}\n` },
  { name: "before a mailbox's line further down", text: "a: b\nFrom me\n", out: `a: b\n${all}\nFrom me\n` },
  { name: "before a first line that is folded", text: " a: b\n", out: `${all}\n a: b\n` },
  {
    name: "before a name that is too long",
    text: `${"x".repeat(998)}: y\n`,
    out: `${all}\n${"x".repeat(998)}: y\n`,
    sizes: [1, 997, 998, 2_000],
  },
] as const;

function pass(header: SubmittedHeader, text: string, size: number): string {
  const parts: Buffer[] = [];
  for (let at = 0; at < text.length; at += size) {
    parts.push(header.take(Buffer.from(text.slice(at, at + size), "latin1")));
  }
  return Buffer.concat([...parts, header.end()]).toString("latin1");
}

for (const { name, text, out = text, ...more } of cases) {
  test(`createSubmittedHeader() adds ${name}, in pieces of any size`, () => {
    const sizes = "sizes" in more ? more.sizes : Array.from({ length: text.length + 1 }, (_, n) => n + 1);
    for (const size of sizes) {
      const header = createSubmittedHeader(wanted);
      assert.equal(pass(header, text, size), out, `pieces of ${size}`);
      assert.ok(header.authorship);
    }
  });
  test(`createSubmittedHeader() adds ${name}, to a binary message`, () => {
    const crlf = (lines: string): string => lines.replaceAll("\n", "\r\n");
    const fields = Object.fromEntries(Object.entries(wanted).map(([field, line]) => [field, crlf(line)]));
    for (const size of [1, 2, 3, 5, 8, 4_000]) {
      const header = createSubmittedHeader(fields, "\r\n");
      assert.equal(pass(header, crlf(text), size), crlf(out), `pieces of ${size}`);
      assert.equal(header.hasBareCr, false);
    }
  });
}

test("createSubmittedHeader() adds nothing that is not wanted, and hands the body on as it is", () => {
  const header = createSubmittedHeader({});
  assert.equal(header.take(Buffer.from("a: b\n\n")).toString(), "a: b\n\n");
  const body = Buffer.from("From: x\n");
  assert.equal(header.take(body), body);
  assert.equal(header.end().length, 0);
});

for (const [text, isBare] of [
  ["a: b\rc\r\n\r\n", true],
  ["a: b\r\r\n\r\n", true],
  ["a: b\r", false],
  ["a: b\n\nc\rd\n", false],
  ["a: b\nc: d\r\n\r\n", false],
] as const) {
  test(`createSubmittedHeader() sees ${isBare ? "the" : "no"} lone CR in ${JSON.stringify(text)}`, () => {
    for (let size = 1; size <= text.length; size++) {
      const header = createSubmittedHeader({}, "\r\n");
      pass(header, text, size);
      assert.equal(header.hasBareCr, isBare, `pieces of ${size}`);
    }
  });
}

const from = (value: string): string => `To: x@y\nFrom:${value}\nSubject: s\n\nFrom: body@x\n`;
const unreadable = "cannot read its From field";
const authors: readonly (readonly [text: string, authors: readonly string[] | string])[] = [
  ["Subject: x\n\n", []],
  [from(" a@b"), ["a@b"]],
  [from("a@b.c (ceo@bank)"), ["a@b.c"]],
  [from(' "ceo@bank" <a@b>'), ["a@b"]],
  [from(" John Q. Public <a@b>,\n\tc@d"), ["a@b", "c@d"]],
  [from(" a@b, A <a@b>"), ["a@b"]],
  [from(" a@b <a@b>"), ["a@b"]],
  [from(" ceo@bank <a@b>"), ["ceo@bank", "a@b"]],
  [from(' "a b"@c'), ["a b@c"]],
  [from(" J\xfcrgen <a@b>"), ["a@b"]],
  [from(" us: a@b, c@d;"), ["a@b", "c@d"]],
  [from(" Team <ceo@bank> a@b"), ["ceo@bank", "a@b"]],
  [from(" ceo@bank:a@b;"), unreadable],
  [from(" <@ceo:a@b>"), unreadable],
  [from(" <@a.b,@ceo:a@b>"), unreadable],
  [from(" ceo\\@bank"), unreadable],
  [from(" joe"), unreadable],
  [from(" joe@"), unreadable],
  [from(" @b"), unreadable],
  [from(" <>"), "its From field names nobody"],
  [from(" Doe, Joe <a@b>"), unreadable],
  [from(" a@b ("), unreadable],
  [from(' "a@b'), unreadable],
  [from(" a@b\0"), unreadable],
  [from(""), "its From field names nobody"],
  [from(" nobody:;"), "its From field names nobody"],
  [`From: a@b\n${from(" a@b")}`, "more than one From field"],
  [`FROM : a@b\n${from(" a@b")}`, "more than one From field"],
  [from(Array.from({ length: 20 }, (_, n) => `${n}@b`).join()), Array.from({ length: 20 }, (_, n) => `${n}@b`)],
  [from(Array.from({ length: 21 }, (_, n) => `${n}@b`).join()), "its From field has more than 20 addresses"],
  [from(`${" ".repeat(maxFromOctets - 4)}a@b`), ["a@b"]],
  [from(`${" ".repeat(maxFromOctets - 3)}a@b`), unreadable],
];
for (const [text, expected] of authors) {
  test(`readAuthors() of ${JSON.stringify(text.slice(0, 60))} are ${JSON.stringify(expected).slice(0, 60)}`, () => {
    for (const size of text.length > 1_000 ? [1, 1_000] : [1, 2, 3, 7, text.length]) {
      const header = createSubmittedHeader({});
      pass(header, text, size);
      assert.ok(header.authorship);
      const read = readAuthors(header.authorship);
      assert.deepEqual(read.kind === "done" ? read.value : read.text, expected);
    }
  });
}

for (const [text, expected] of [
  ["Subject: x\n\n", []],
  ["From: a@b, c@d\nSender: J <a@b>\n\nSender: body@x\n", ["a@b"]],
  ["SENDER :\n a@b\n\n", ["a@b"]],
  ["Sender: a@b\nSender: a@b\n\n", "more than one Sender field"],
  ["Sender: a@b, c@d\n\n", "its Sender field has more than 1 address"],
  ["Sender: ceo@bank <a@b>\n\n", "its Sender field has more than 1 address"],
  ["Sender: joe\n\n", "cannot read its Sender field"],
  ["Sender: <>\n\n", "its Sender field names nobody"],
  ["X-Sender: joe\n\n", []],
] as const) {
  test(`readSender() of ${JSON.stringify(text)} is ${JSON.stringify(expected)}`, () => {
    for (const size of [1, 2, 3, 7, text.length]) {
      const header = createSubmittedHeader({});
      pass(header, text, size);
      assert.ok(header.sender);
      const read = readSender(header.sender);
      assert.deepEqual(read.kind === "done" ? read.value : read.text, expected);
    }
  });
}

test("createSubmittedHeader() adds what the fields From and Sender call for", () => {
  for (let size = 1; size < 40; size++) {
    const header = createSubmittedHeader(wanted, "\n", (by, sender) => `X: ${by.text.trim()} ${sender.fields}\n`);
    const text = "Date: x\nFrom: a@b\nMessage-ID: y\nSender: c\n\nbody\n";
    assert.equal(pass(header, text, size), text.replace("\n\n", "\nX: a@b 1\n\n"));
  }
});
