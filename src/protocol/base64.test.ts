import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeBase64 } from "./base64.ts";

const cases: readonly (readonly [text: string, octets: string | undefined])[] = [
  ["", ""],
  ["AGEAYg==", "\0a\0b"],
  ["AGFiAGI=", "\0ab\0b"],
  ["YWJj", "abc"],
  ["YWJ", undefined],
  ["YWJj=", undefined],
  ["YW=j", undefined],
  ["YR==", undefined],
  ["YW Jj", undefined],
  ["YWJj\n", undefined],
  ["YWJj====", undefined],
  ["-_-_", undefined],
  ["=", undefined],
  ["*", undefined],
];
for (const [text, octets] of cases) {
  test(`decodeBase64() ${octets === undefined ? "refuses" : "decodes"} ${JSON.stringify(text)}`, () => {
    assert.equal(decodeBase64(text)?.toString("latin1"), octets);
  });
}
