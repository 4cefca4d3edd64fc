import assert from "node:assert/strict";
import { test } from "node:test";
import { createMultiLineEncoder } from "./multi-line.ts";

const letter = "A: b\nC: d\n\none\n.two\nthree\n";
const cases: readonly (readonly [name: string, stored: string, wire: string, bodyLines?: number])[] = [
  ["takes an empty message", "", ".\r\n"],
  ["ends lines in CR LF", "a\nb\n", "a\r\nb\r\n.\r\n"],
  ["stuffs dots", ".\n..a\nb.\n", "..\r\n...a\r\nb.\r\n.\r\n"],
  ["gives a last line its end", "a\n.b", "a\r\n..b\r\n.\r\n"],
  ["leaves CR LF as it is stored", "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"],
  ["leaves other CR as octets", "a\rb\r\r\n\rc\n", "a\rb\r\r\n\rc\r\n.\r\n"],
  ["passes on any octet", "\0\xff\n", "\0\xff\r\n.\r\n"],
  ["§17.190 sends header and empty line for TOP n 0", letter, "A: b\r\nC: d\r\n\r\n.\r\n", 0],
  ["sends so many lines of the body", letter, "A: b\r\nC: d\r\n\r\none\r\n..two\r\n.\r\n", 2],
  ["sends all when fewer are there", "A: b\n\none\n", "A: b\r\n\r\none\r\n.\r\n", 7],
  ["finds the empty line stored as CR LF", "A: b\r\n\r\none\r\n", "A: b\r\n\r\n.\r\n", 0],
  ["takes a header without end", "A: b\n", "A: b\r\n.\r\n", 0],
  ["§17.189 adds no empty line of its own", "A: b\n\none\n\n", "A: b\r\n\r\none\r\n\r\n.\r\n"],
];
for (const [name, stored, wire, bodyLines] of cases) {
  for (const size of [1, 2, 3, stored.length + 1]) {
    test(`createMultiLineEncoder() ${name}, ${size} octets at a time`, () => {
      const encoder = createMultiLineEncoder(bodyLines);
      let sent = "";
      for (let at = 0; at < stored.length; at += size) {
        sent += encoder.encode(Buffer.from(stored.slice(at, at + size), "latin1"));
      }
      assert.equal(sent + encoder.end(), wire);
    });
  }
}

test("createMultiLineEncoder() tells when the rest need not be read", () => {
  const encoder = createMultiLineEncoder(1);
  encoder.encode(Buffer.from("A: b\n\n"));
  assert.equal(encoder.isFull, false);
  encoder.encode(Buffer.from("one\n"));
  assert.equal(encoder.isFull, true);
});
