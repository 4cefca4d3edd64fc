import assert from "node:assert/strict";
import { test } from "node:test";
import { createLines, type Line, strayEnd, tooLong } from "./lines.ts";

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

const strict: readonly (readonly [name: string, wire: string, lines: readonly string[]])[] = [
  ["takes lines", "a\r\nb c\r\n", ["a", "b c"]],
  ["tells LF alone", "a\nb\r\n", ["(stray)", "b"]],
  ["tells an empty line that ends in LF alone", "\nb\r\n", ["(stray)", "b"]],
  ["tells a CR within", "a\rb\r\n", ["(stray)"]],
  ["tells two CR", "a\r\r\n", ["(stray)"]],
  ["takes an empty line", "\r\n", [""]],
  ["passes over a long one, however it ends", `${"x\r".repeat(10)}\nQUIT\r\n`, ["(too long)", "QUIT"]],
];
const named = (line: Line): string => (line === tooLong ? "(too long)" : line === strayEnd ? "(stray)" : line);
for (const [name, wire, expected] of strict) {
  for (const size of [1, 2, 3, wire.length]) {
    test(`createLines() for CR LF ${name}, ${size} octets at a time`, () => {
      const lines = createLines(10, "CR LF");
      const taken: string[] = [];
      for (let at = 0; at < wire.length; at += size) {
        lines.put(Buffer.from(wire.slice(at, at + size), "latin1"));
        for (let line = lines.take(); line !== undefined; line = lines.take()) taken.push(named(line));
      }
      assert.deepEqual(taken, expected);
    });
  }
}

test("createLines() gives octets instead of lines, and goes on behind them", () => {
  const lines = createLines(10);
  lines.put(Buffer.from("BDAT 4\r\nab\r\nQUIT\r\nx"));
  assert.equal(lines.peek(4), "BDAT");
  assert.equal(lines.take(), "BDAT 4");
  assert.equal(lines.takeOctets(4).toString(), "ab\r\n");
  assert.equal(lines.take(), "QUIT");
  assert.equal(lines.octets, 1);
  assert.equal(lines.takeOctets(9).toString(), "x");
  assert.equal(lines.octets, 0);
});

test("createLines() takes one line of another length", () => {
  const lines = createLines(4);
  lines.put(Buffer.from(`${"x".repeat(8)}\n${"y".repeat(8)}\n`));
  assert.equal(lines.take(10), "x".repeat(8));
  assert.equal(lines.take(), tooLong);
});

test("createLines() shows whole lines ahead, and takes none of them", () => {
  const lines = createLines(10, "CR LF");
  assert.deepEqual(lines.ahead(2), []);
  lines.put(Buffer.from("a\r\n\nbc\rd\r\ne\r\nf"));
  assert.deepEqual(lines.ahead(0), []);
  assert.deepEqual(lines.ahead(2), ["a", ""]);
  assert.deepEqual(lines.ahead(9), ["a", "", "bc\rd", "e"]);
  assert.equal(lines.take(), "a");
  assert.deepEqual(lines.ahead(9), ["", "bc\rd", "e"]);
});
