import assert from "node:assert/strict";
import { test } from "node:test";
import { type ChunkDecoder, createTextDecoder, takeBinary } from "./chunk.ts";

/** Decodes a message cut into pieces; of a broken one only the reason counts. */
function decode(decoder: ChunkDecoder, pieces: readonly string[]): string {
  let body = "";
  for (const [at, piece] of pieces.entries()) {
    const decoded = decoder(Buffer.from(piece, "latin1"), at === pieces.length - 1);
    if (typeof decoded === "string") return decoded;
    body += decoded.toString("latin1");
  }
  return body;
}

const texts = [
  { name: "takes an empty message", wire: "", body: "" },
  { name: "ends lines in LF", wire: "a\r\n\r\nb\r\n", body: "a\n\nb\n" },
  { name: "ends the last line", wire: "a\r\nb", body: "a\nb\n" },
  { name: "knows no dots", wire: ".\r\n..a\r\n.\r\n", body: ".\n..a\n.\n" },
  { name: "refuses a bare LF", wire: "a\nb\r\n", body: "bare LF" },
  { name: "refuses a bare LF at the start", wire: "\n", body: "bare LF" },
  { name: "refuses the other dot", wire: "a\r\n.\n", body: "bare LF" },
  { name: "refuses a bare CR", wire: "a\rb\r\n", body: "bare CR" },
  { name: "refuses two CR", wire: "a\r\r\n", body: "bare CR" },
  { name: "refuses a CR at the end", wire: "a\r", body: "bare CR" },
  { name: "refuses NUL", wire: "a\0b\r\n", body: "NUL" },
] as const;

for (const { name, wire, body } of texts) {
  test(`createTextDecoder() ${name}, wherever it is cut`, () => {
    assert.equal(decode(createTextDecoder(), [wire]), body);
    assert.equal(decode(createTextDecoder(), [...wire, ""]), body);
    for (let cut = 0; cut <= wire.length; cut++) {
      assert.equal(decode(createTextDecoder(), [wire.slice(0, cut), wire.slice(cut)]), body, `cut at ${cut}`);
      assert.equal(decode(createTextDecoder(), [wire.slice(0, cut), "", wire.slice(cut)]), body, `cut at ${cut}`);
    }
  });
}

test("takeBinary() changes no octet", () => {
  const all = String.fromCharCode(...Array.from({ length: 256 }, (_, octet) => octet));
  assert.equal(decode(takeBinary, [all, "\r\n.\n\r", ""]), `${all}\r\n.\n\r`);
});
