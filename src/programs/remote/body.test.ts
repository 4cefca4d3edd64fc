import assert from "node:assert/strict";
import { test } from "node:test";
import { Body } from "./body.ts";

const octets = (length: number) => Buffer.alloc(length, "x");

test("Body gives what came, and credit for what was taken while more is to come", () => {
  const credits: number[] = [];
  const body = new Body(7, 4, (taken) => credits.push(taken));
  assert.equal(body.take(), undefined);
  body.push(octets(4));
  assert.deepEqual(body.take(), { octets: octets(4), last: false });
  body.push(octets(1));
  body.push(octets(2));
  assert.deepEqual(body.take(), { octets: octets(1), last: false });
  body.end();
  assert.deepEqual(body.take(), { octets: octets(2), last: true });
  assert.deepEqual(credits, [4]);
});

test("Body ends on its own when all was taken before", () => {
  const body = new Body(1, 4, () => {});
  body.push(octets(1));
  assert.equal(body.take()?.last, false);
  body.end();
  assert.deepEqual(body.take(), { octets: octets(0), last: true });
});

test("Body copies what it keeps", () => {
  const body = new Body(1, 4, () => {});
  const given = octets(1);
  body.push(given);
  given[0] = 0;
  assert.deepEqual(body.take()?.octets, octets(1));
});

const sequences: { name: string; total: number; steps: (number | "end")[]; breaks: boolean }[] = [
  { name: "takes an empty body", total: 0, steps: ["end"], breaks: false },
  { name: "takes just its credit", total: 4, steps: [4, "end"], breaks: false },
  { name: "breaks over its credit", total: 9, steps: [4, 1], breaks: true },
  { name: "breaks over its length", total: 2, steps: [3], breaks: true },
  { name: "breaks when octets are missing", total: 2, steps: [1, "end"], breaks: true },
  { name: "breaks when something follows the end", total: 0, steps: ["end", 0], breaks: true },
  { name: "breaks at a second end", total: 0, steps: ["end", "end"], breaks: true },
];

for (const { name, total, steps, breaks } of sequences) {
  test(`Body ${name}`, () => {
    const body = new Body(total, 4, () => {});
    const results = steps.map((step) => (step === "end" ? body.end() : body.push(octets(step))));
    assert.equal(results.at(-1), breaks ? "broken" : undefined);
  });
}
