import assert from "node:assert/strict";
import { test } from "node:test";
import { Piece } from "./piece.ts";

const whole = Buffer.from("0123456789");
for (let size = 1; size <= whole.length; size++) {
  test(`Piece collects octets up to its bound, ${size} at a time`, () => {
    const piece = new Piece(4);
    const pieces: string[] = [];
    for (let at = 0; at < whole.length; at += size) {
      for (let rest = piece.fill(whole.subarray(at, at + size)); rest.length > 0; rest = piece.fill(rest)) {
        pieces.push(piece.take().toString());
      }
    }
    pieces.push(piece.take().toString());
    assert.deepEqual(pieces, ["0123", "4567", "89"]);
    assert.equal(piece.take().length, 0);
  });
}
