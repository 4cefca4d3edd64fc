import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeNetstring, encodeNetstring, netstringOctets, netstringParts } from "./netstring.ts";

const valid = [
  { text: "", wire: "0:," },
  { text: "hello world!", wire: "12:hello world!," },
  { text: "a,b:c", wire: "5:a,b:c," },
  { text: "\0\xff\n", wire: "3:\0\xff\n," },
  { text: "x".repeat(100), wire: `100:${"x".repeat(100)},` },
] as const;

for (const { text, wire } of valid) {
  test(`encodeNetstring() writes ${JSON.stringify(wire.slice(0, 20))}`, () => {
    assert.equal(encodeNetstring(text).toString("latin1"), wire);
    assert.equal(Buffer.concat(netstringParts(Buffer.from(text, "latin1"))).toString("latin1"), wire);
    assert.equal(netstringOctets(text.length), wire.length);
  });
  test(`decodeNetstring() reads ${JSON.stringify(wire.slice(0, 20))}, and nothing before it is whole`, () => {
    const octets = Buffer.from(`${wire}next`, "latin1");
    for (let end = 0; end < wire.length; end++) assert.equal(decodeNetstring(octets.subarray(0, end), 1000), "more");
    assert.deepEqual(decodeNetstring(octets, 1000), { text, used: wire.length });
  });
}

const broken = [":,", "00:,", "01:a,", "-1:a,", " 1:a,", "1 :a,", "1:ab", "1:a;", "a", "1001:", "99999999999999999999"];

for (const wire of broken) {
  test(`decodeNetstring() refuses ${JSON.stringify(wire)}`, () => {
    assert.equal(decodeNetstring(Buffer.from(wire), 1000), "broken");
  });
}
