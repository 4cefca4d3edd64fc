import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { serveOperator } from "./operator-socket.ts";

const echo = async (line: string, uid: number, answer: (lines: readonly unknown[]) => Promise<void>) =>
  answer([{ line, uid }]);

const cases = [
  { name: "greets", sent: "", received: ['{"ok":"queue"}'] },
  {
    name: "answers line by line",
    sent: "one\ntwo\n",
    received: ['{"ok":"queue"}', '{"line":"one","uid":7}', '{"line":"two","uid":7}'],
  },
  { name: "passes over an unfinished line", sent: "one\ntw", received: ['{"ok":"queue"}', '{"line":"one","uid":7}'] },
  {
    name: "refuses an endless line",
    sent: "x".repeat(65_537),
    received: ['{"ok":"queue"}', '{"error":"a request line of more than 65536 octets"}'],
  },
];
for (const { name, sent, received } of cases) {
  for (const size of [1, 3, 65_536]) {
    if (sent.length / size > 1_000) continue;
    test(`serveOperator() ${name}, ${size} octets at a time`, async () => {
      const [ours, theirs] = duplexPair();
      const served = serveOperator(ours, 7, echo);
      for (let at = 0; at < sent.length; at += size) theirs.write(sent.slice(at, at + size));
      theirs.end();
      assert.deepEqual((await text(theirs)).trimEnd().split("\n"), received);
      await served;
    });
  }
}
