import assert from "node:assert/strict";
import { test } from "node:test";
import { asciiDomain } from "./domain.ts";
import { isUtf8Text } from "./utf8.ts";

const octets = (text: string): string => Buffer.from(text).toString("latin1");

const domains: readonly (readonly [domain: string, ascii: string | undefined])[] = [
  ["Example.ORG", "Example.ORG"],
  ["müller.example", "xn--mller-kva.example"],
  ["MÜLLER.Example", "xn--mller-kva.example"],
  ["straße.example", "xn--strae-oqa.example"],
  ["例え。テスト", "xn--r8jz45g.xn--zckzah"],
  ["ｌocalhost", "localhost"],
  ["a_ä.example", "xn--a_-wia.example"],
  ["１２７．０．０．１", undefined],
  ["ä.１", undefined],
  ["ä..example", undefined],
  ["ä.", undefined],
  [".ä", undefined],
  ["a／b.ä", undefined],
  ["a＠b.ä", undefined],
  ["ä:25", undefined],
  ["\u200dä.example", undefined],
  ["xn--a.ä", undefined],
  [`${"ä".repeat(63)}.example`, undefined],
  [`${"ä.".repeat(60)}example`, undefined],
];
for (const [domain, ascii] of domains) {
  test(`asciiDomain() makes ${ascii} of ${domain.slice(0, 30)}`, () =>
    assert.equal(asciiDomain(octets(domain)), ascii));
}

const texts = [
  { name: "ASCII", text: "a b~", is: true },
  { name: "two, three and four octets", text: octets("ä€😀"), is: true },
  { name: "the last code point", text: "\xf4\x8f\xbf\xbf", is: true },
  { name: "one beyond it", text: "\xf4\x90\x80\x80", is: false },
  { name: "latin1", text: "\xe4", is: false },
  { name: "a lone continuation", text: "\x80", is: false },
  { name: "one too few", text: "\xe2\x82", is: false },
  { name: "overlong NUL", text: "\xc0\x80", is: false },
  { name: "overlong slash, two octets", text: "\xc0\xaf", is: false },
  { name: "overlong slash, three octets", text: "\xe0\x80\xaf", is: false },
  { name: "overlong slash, four octets", text: "\xf0\x80\x80\xaf", is: false },
  { name: "a surrogate", text: "\xed\xa0\x80", is: false },
  { name: "five octets", text: "\xf8\x88\x80\x80\x80", is: false },
  { name: "NEL, a control", text: octets("\x85"), is: false },
  { name: "a line feed", text: "a\nb", is: false },
  { name: "NUL", text: "\0", is: false },
  { name: "DEL", text: "\x7f", is: false },
];
for (const { name, text, is } of texts) {
  test(`isUtf8Text() ${is ? "takes" : "refuses"} ${name}`, () => assert.equal(isUtf8Text(text), is));
}

test("isUtf8Text() agrees with the decoder on every pair of octets that holds no control", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for (let pair = 0; pair < 65_536; pair++) {
    const text = String.fromCharCode(pair >> 8, pair & 255);
    let decoded: string | undefined;
    try {
      decoded = decoder.decode(Buffer.from(text, "latin1"));
    } catch {}
    const expected = decoded !== undefined && !/\p{Cc}/u.test(decoded);
    assert.equal(isUtf8Text(text), expected, JSON.stringify(text));
  }
});
