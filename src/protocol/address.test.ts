import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  addressOf,
  isPrintable,
  keptAddress,
  maxPathOctets,
  parsePath,
  quoteAddress,
  scanPath,
  splitAddress,
} from "./address.ts";

const corpus = (name: string): string[] =>
  readFileSync(new URL(`address-corpus/${name}`, import.meta.url), "latin1")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("# "));

for (const line of corpus("valid.txt")) {
  const [text = "", address = ""] = line.split("\t");
  test(`parsePath() reads ${text}`, () => {
    const parsed = parsePath(text);
    assert.ok(parsed.kind === "done", parsed.kind);
    assert.equal(addressOf(parsed.value), address);
  });
}

for (const text of corpus("invalid.txt")) {
  test(`parsePath() refuses ${text}`, () => {
    const parsed = parsePath(text);
    assert.deepEqual([parsed.kind, parsed.kind !== "done" && parsed.status], ["permanent", "1.3"]);
  });
}

for (const code of [0, 9, 10, 13, 31, 127, 128, 255]) {
  for (const shape of ["<a_b@example.com>", '<"a_b"@example.com>', '<"a\\_b"@example.com>', "<a@exa_mple.com>"]) {
    test(`parsePath() refuses octet ${code} in ${shape}`, () => {
      assert.equal(parsePath(shape.replace("_", String.fromCharCode(code))).kind, "permanent");
    });
  }
}

const domain = (octets: number): string => {
  const labels = `${"d".repeat(63)}.`.repeat(5).slice(0, octets);
  return labels.endsWith(".") ? `${labels.slice(0, -1)}d` : labels;
};
const lengths = [
  { name: "a local part of 64 octets", text: `<${"l".repeat(64)}@example.com>`, kind: "done" },
  { name: "a local part that carries a long address", text: `<l-${"l".repeat(200)}=h@example.com>`, kind: "done" },
  { name: "a label of 63 octets", text: `<a@${"d".repeat(63)}.com>`, kind: "done" },
  { name: "a path of 256 octets", text: `<a@${domain(maxPathOctets - 4)}>`, kind: "done" },
  { name: "a path of 257 octets", text: `<a@${domain(maxPathOctets - 3)}>`, kind: "permanent" },
  { name: "a path of 255 octets without brackets", text: `a@${domain(maxPathOctets - 3)}`, kind: "permanent" },
  { name: "a long source route", text: `<${"@a.b,".repeat(60)}@a.b:a@b>`, kind: "permanent" },
  { name: "a literal without end", text: `<a@[${"1".repeat(2_000)}>`, kind: "permanent" },
];
for (const { name, text, kind } of lengths) {
  test(`§17.143 parsePath() answers ${kind} to ${name}`, () => assert.equal(parsePath(text).kind, kind));
}

test("scanPath() stops at a space", () => {
  const scanned = scanPath("FROM:<a@b> SIZE=1", 5);
  assert.deepEqual(scanned, { kind: "done", value: { path: { localPart: "a", domain: "b" }, end: 10, isAscii: true } });
});

const quotes = [
  ["", ""],
  ["a@b", "a@b"],
  ["a.b@c", "a.b@c"],
  ["@b", '""@b'],
  ["a b@c", '"a b"@c'],
  ["a@b@c", '"a@b"@c'],
  ['a"\\b@c', '"a\\"\\\\b"@c'],
  [".a@c", '".a"@c'],
  ["a.@c", '"a."@c'],
  ["a..b@c", '"a..b"@c'],
  ["\xe4@c", '"\xe4"@c'],
  ["postmaster", "postmaster"],
  ["a b", '"a b"'],
  ["#@[]", "#@[]"],
] as const;
for (const [address, written] of quotes) {
  test(`§17.171 quoteAddress() writes ${address || "nothing"} as ${written || "nothing"}`, () => {
    assert.equal(quoteAddress(address), written);
  });
}

test("quoteAddress() writes what parsePath() reads back", () => {
  for (const line of corpus("valid.txt")) {
    const address = line.split("\t")[1] ?? "";
    const parsed = parsePath(`<${quoteAddress(address)}>`);
    assert.ok(parsed.kind === "done", address);
    assert.equal(addressOf(parsed.value), address);
  }
});

test("splitAddress() splits at the last @", () => {
  assert.deepEqual(splitAddress("@a@@h"), { localPart: "@a@", domain: "h" });
  assert.deepEqual(splitAddress("a"), { localPart: "a", domain: "" });
});

test("isPrintable() refuses control characters only", () => {
  assert.deepEqual(["a b\xff", "a\0", "a\x7f", "\n"].map(isPrintable), [true, false, false, false]);
});

const octets = (text: string): string => Buffer.from(text).toString("latin1");
const international: readonly (readonly [text: string, address: string | undefined])[] = [
  ["<jörg@müller.example>", "jörg@xn--mller-kva.example"],
  ['<"j ö"@müller.example>', "j ö@xn--mller-kva.example"],
  ["<用户@例え。テスト>", "用户@xn--r8jz45g.xn--zckzah"],
  ["<a＠b@ｈere.example>", "a＠b@here.example"],
  ["<ö.@b>", undefined],
  ["<a@ö..b>", undefined],
  ["<a@１２７．０．０．１>", undefined],
  ["<a@[ö]>", undefined],
  ["<@ö:a@b>", undefined],
];
for (const [text, address] of international) {
  test(`scanPath() reads ${text} as RFC 6531 extends it: ${address}`, () => {
    const scanned = scanPath(octets(text), 0, "utf8");
    assert.equal(scanned.kind === "done" ? addressOf(scanned.value.path) : undefined, address && octets(address));
    assert.equal(scanPath(octets(text), 0).kind, "permanent");
    if (scanned.kind !== "done") return;
    assert.equal(scanned.value.isAscii, false);
    const again = scanPath(`<${quoteAddress(addressOf(scanned.value.path))}>`, 0, "utf8");
    assert.deepEqual(again.kind === "done" && again.value.path, scanned.value.path);
  });
}

for (const local of ["\xe4", "\xc0\xaf", "\xed\xa0\x80", "\xc2\x85", "\xf5\x80\x80\x80", '"\xe4"', '"\xc2\x85"']) {
  test(`scanPath() refuses what is no UTF-8, or a control: ${JSON.stringify(local)}`, () => {
    assert.equal(scanPath(`<${local}@b>`, 0, "utf8").kind, "permanent");
    assert.equal(scanPath(`<a@${local.replaceAll('"', "")}.b>`, 0, "utf8").kind, "permanent");
  });
}

for (const [address, kept] of [
  ["", ""],
  ["Joe@Example.org", "Joe@Example.org"],
  ["joe", "joe"],
  ["joe@bücher.example", "joe@xn--bcher-kva.example"],
  ["jörg@Bücher.example", "jörg@xn--bcher-kva.example"],
  ["jörg", "jörg"],
  ["a@b@bücher.example", "a@b@xn--bcher-kva.example"],
  ["joe@bü cher.example", undefined],
  ["j\0@example.org", undefined],
  ["jö\n@example.org", undefined],
] as const) {
  test(`keptAddress() of ${JSON.stringify(address)} is ${JSON.stringify(kept)}`, () => {
    assert.equal(keptAddress(octets(address)), kept === undefined ? undefined : octets(kept));
  });
}

test("keptAddress() refuses what is no UTF-8", () => {
  for (const address of ["j\xf6rg@example.org", "joe@b\xfccher.example", "\xc0\xaf@x"]) {
    assert.equal(keptAddress(address), undefined);
  }
});
