import assert from "node:assert/strict";
import { test } from "node:test";
import { createFrameReader, encodeFrame, maxPayloadOctets } from "./frame.ts";
import { defineFrame } from "./layout.ts";

const frames = [
  { type: 1, stream: 0, payload: "" },
  { type: 2, stream: 7, payload: "a" },
  { type: 255, stream: 0xffff_ffff, payload: "x".repeat(300) },
];
const wire = Buffer.concat(frames.map((frame) => encodeFrame(frame.type, frame.stream, Buffer.from(frame.payload))));

for (const size of [1, 2, 3, 8, 9, 10, wire.length]) {
  test(`createFrameReader() gives the frames back, ${size} octets at a time`, () => {
    const read = createFrameReader();
    const seen = [];
    for (let at = 0; at < wire.length; at += size) {
      const got = read(wire.subarray(at, at + size));
      assert.notEqual(got, "broken");
      if (got !== "broken") seen.push(...got.map((f) => ({ ...f, payload: f.payload.toString() })));
    }
    assert.deepEqual(seen, frames);
  });
}

test("createFrameReader() breaks on a length over the bound before it keeps a thing", () => {
  const header = Buffer.alloc(9);
  header.writeUInt32BE(maxPayloadOctets + 1, 0);
  assert.equal(createFrameReader()(header), "broken");
});

test("encodeFrame() refuses a payload over the bound", () => {
  assert.throws(() => encodeFrame(1, 1, Buffer.alloc(maxPayloadOctets + 1)), RangeError);
});

const all = defineFrame(9, {
  small: "u8",
  middle: "u32",
  large: "u53",
  text: "text",
  octets: "octets",
  texts: "texts",
  numbers: "numbers",
});
const values = {
  small: 255,
  middle: 0xffff_ffff,
  large: Number.MAX_SAFE_INTEGER,
  text: "a\u00ff\0",
  octets: Buffer.from([0, 255]),
  texts: ["", "x@y"],
  numbers: [1, 2, 3],
};
const payload = all.encode(5, values).subarray(9);

test("defineFrame() decodes what it encoded", () => {
  assert.deepEqual(all.decode(Buffer.from(payload)), values);
});

test("defineFrame() refuses every shortened payload and a longer one", () => {
  for (let length = 0; length < payload.length; length++) {
    assert.equal(all.decode(Buffer.from(payload.subarray(0, length))), undefined, `${length} octets`);
  }
  assert.equal(all.decode(Buffer.concat([payload, Buffer.alloc(1)])), undefined);
});

test("defineFrame() never throws and never believes a count, whatever the octets", () => {
  let seed = 1;
  const random = () => (seed = (seed * 48_271) % 0x7fff_ffff);
  for (let n = 0; n < 20_000; n++) {
    const mutated = Buffer.from(payload);
    for (let change = 0; change < 3; change++) mutated[random() % mutated.length] = random() & 0xff;
    all.decode(mutated);
  }
  const liar = defineFrame(1, { texts: "texts" });
  assert.equal(liar.decode(Buffer.from([0xff, 0xff, 0xff, 0xff])), undefined);
});

test("defineFrame() refuses integers that are not safe", () => {
  const large = defineFrame(1, { large: "u53" });
  assert.equal(large.decode(Buffer.from([0x00, 0x20, 0, 0, 0, 0, 0, 0])), undefined);
});
