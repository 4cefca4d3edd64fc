import assert from "node:assert/strict";
import { test } from "node:test";
import { maxInjectedOctets, readMessage, toLineFeeds } from "./read-message.ts";

const cases = [
  { message: "", converted: "" },
  { message: "a: b\n\nc\n", converted: "a: b\n\nc\n" },
  { message: "a: b\r\n\r\nc\r\n", converted: "a: b\n\nc\n" },
  { message: "a\r\nb\nc\r\n", converted: "a\nb\nc\n" },
  { message: "\r\n\r\n", converted: "\n\n" },
  { message: "no end", converted: "no end" },
] as const;

for (const { message, converted } of cases) {
  test(`toLineFeeds() makes ${JSON.stringify(message)} ${JSON.stringify(converted)}`, () => {
    const outcome = toLineFeeds(Buffer.from(message));
    assert.equal(outcome.kind === "done" && outcome.value.toString(), converted);
  });
}

const refused = [
  { message: "a\rb\n", text: "the message holds a bare carriage return at octet 1" },
  { message: "a\r", text: "the message holds a bare carriage return at octet 1" },
  { message: "a\r\r\n", text: "the message holds a bare carriage return at octet 1" },
  { message: "a\n\0", text: "the message holds a NUL at octet 2" },
] as const;

for (const { message, text } of refused) {
  test(`toLineFeeds() refuses ${JSON.stringify(message)}`, () => {
    const outcome = toLineFeeds(Buffer.from(message));
    assert.equal(outcome.kind === "permanent" && outcome.text, text);
  });
}

test("readMessage() stops at its bound", async () => {
  const piece = Buffer.alloc(maxInjectedOctets / 4, 0x61);
  let given = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) {
      given++;
      yield piece;
    }
  }
  assert.equal((await readMessage(endless())).kind, "permanent");
  assert.equal(given, 5);
});
