import assert from "node:assert/strict";
import { test } from "node:test";
import { createLines, tooLong } from "./lines.ts";

const cases: readonly (readonly [name: string, wire: string, lines: readonly string[], rest?: string])[] = [
  ["takes lines", "a\r\nb c\r\n", ["a", "b c"]],
  ["takes LF alone, as qmail does", "a\nb\n", ["a", "b"]],
  ["keeps other CR", "a\rb\r\r\n", ["a\rb\r"]],
  ["takes empty lines", "\r\n\n", ["", ""]],
  ["takes the longest line", `${"x".repeat(8)}\r\n`, ["x".repeat(8)]],
  ["passes over a longer one", `${"x".repeat(10)}\r\nQUIT\r\n`, ["(too long)", "QUIT"]],
  ["passes over a much longer one, once", `${"x".repeat(1_000)}\r\nQUIT\r\n`, ["(too long)", "QUIT"]],
  ["takes a line that says so for what it is", "too long\r\n", ["too long"]],
  ["keeps what is no line yet", "a\r\nbc", ["a"], "bc"],
];
for (const [name, wire, expected, rest = ""] of cases) {
  for (const size of [1, 2, 3, wire.length]) {
    test(`createLines() ${name}, ${size} octets at a time`, () => {
      const lines = createLines(10);
      const taken: string[] = [];
      for (let at = 0; at < wire.length; at += size) {
        lines.put(Buffer.from(wire.slice(at, at + size), "latin1"));
        for (let line = lines.take(); line !== undefined; line = lines.take())
          taken.push(line === tooLong ? "(too long)" : line);
      }
      assert.deepEqual(taken, expected);
      assert.equal(lines.rest().toString("latin1"), rest);
    });
  }
}
