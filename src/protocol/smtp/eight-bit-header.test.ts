import assert from "node:assert/strict";
import { test } from "node:test";
import { createEightBitWatch } from "./eight-bit-header.ts";

const cases = [
  { name: "nothing in an empty message", text: "", found: false },
  { name: "an octet of a header field", text: "a: b\nSubject: \xc3\xa4\n\nc\n", found: true },
  { name: "nothing after the header", text: "a: b\n\n\xc3\xa4\n", found: false },
  { name: "nothing after a header whose lines end in CR LF", text: "a: b\r\n\r\n\xc3\xa4\r\n", found: false },
  { name: "nothing where there is no header", text: "\n\xe4", found: false },
] as const;

for (const { name, text, found } of cases) {
  test(`createEightBitWatch() finds ${name}, in pieces of any size`, () => {
    for (let size = 1; size <= text.length + 1; size++) {
      const watch = createEightBitWatch();
      let last = false;
      for (let at = 0; at < text.length; at += size) last = watch(Buffer.from(text.slice(at, at + size), "latin1"));
      assert.equal(last, found, `pieces of ${size}`);
    }
  });
}
