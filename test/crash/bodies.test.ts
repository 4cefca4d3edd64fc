import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyOf, isLong, isWhole, largeFrom, numberIn, textOf } from "./bodies.ts";

const changes: readonly { name: string; change: (text: string) => string; whole: boolean }[] = [
  { name: "itself", change: (text) => text, whole: true },
  { name: "itself with a trace", change: (text) => `Received: by x\n${text}`, whole: true },
  { name: "one without its last octet", change: (text) => text.slice(0, -1), whole: false },
  { name: "one with an octet more", change: (text) => `${text}x`, whole: false },
  { name: "one with another line in it", change: (text) => text.replace("\n\n", "\n\nother\n"), whole: false },
  { name: "one that ends in zeros", change: (text) => `${text.slice(0, -5)}${"\0".repeat(5)}`, whole: false },
  { name: "a header alone", change: (text) => text.slice(0, text.indexOf("\n\n") + 1), whole: false },
];

for (const { name, change, whole } of changes) {
  test(`isWhole() ${whole ? "takes" : "refuses"} ${name}`, () => {
    for (let n = 6; n < 14; n++) assert.equal(isWhole(n, change(textOf(n))), whole, `of message ${n}`);
  });
}

test("isWhole() takes a message whose last line was ended on its way", () => {
  const n = 4;
  assert.ok(!bodyOf(n).endsWith("\n"));
  assert.ok(isWhole(n, `${textOf(n)}\n`));
  assert.ok(!isWhole(n, `${textOf(n)}\n\n`));
});

test("bodyOf() makes large messages, each its own", () => {
  assert.ok(bodyOf(largeFrom).length > 49_000_000);
  assert.ok(!isWhole(largeFrom, textOf(largeFrom + 1)));
  assert.equal(numberIn(textOf(largeFrom)), largeFrom);
});

test("isLong() tells the bodies of more than 256 KiB", () => {
  for (let n = 0; n < 100; n++) assert.equal(isLong(n), bodyOf(n).length > 262_144, `of message ${n}`);
});
