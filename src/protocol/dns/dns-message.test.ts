import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeQuery, parseAnswer, typeNumbers } from "./message.ts";
import { findRecords, readAddress, readExchange, readText, readTlsa } from "./records.ts";

const u16 = (value: number): number[] => [value >> 8, value & 255];
const name = (text: string): number[] => [
  ...(text === "" ? [] : text.split(".")).flatMap((label) => [label.length, ...Buffer.from(label, "latin1")]),
  0,
];
const record = (owner: readonly number[], type: number, data: readonly number[], ttl = 300, kind = 1): number[] => [
  ...owner,
  ...u16(type),
  ...u16(kind),
  ...[0, 0, ...u16(ttl)],
  ...u16(data.length),
  ...data,
];
const pointer = (at: number): number[] => [0xc0 | (at >> 8), at & 255];
/** The question "a.b MX", then records; 12 points to its name. */
const answer = (records: readonly number[][], flags = 0x81a0): Buffer =>
  Buffer.from([
    ...u16(7),
    ...u16(flags),
    ...u16(1),
    ...u16(records.length),
    0,
    0,
    0,
    0,
    ...name("a.b"),
    0,
    15,
    0,
    1,
    ...records.flat(),
  ]);

test("encodeQuery() asks with recursion and for DNSSEC's verdict", () => {
  const query = encodeQuery(0x1234, "_25._tcp.mx.example.", "TLSA");
  assert.equal(query?.subarray(0, 12).toString("hex"), "123401200001000000000001");
  assert.equal(
    query?.toString("hex", 12),
    "035f3235045f746370026d78076578616d706c6500003400010000290" + "4d0000000000000",
  );
});

for (const bad of [
  "a..b",
  "é.example",
  "a b",
  `${"x".repeat(64)}.example`,
  new Array(50).fill("abcdef").join("."),
  "a.b..",
]) {
  test(`encodeQuery() finds no form for ${bad.slice(0, 20)}`, () => assert.equal(encodeQuery(1, bad, "A"), undefined));
}

test("parseAnswer() reads exchanges, compressed or not", () => {
  const read = parseAnswer(
    answer([
      record(pointer(12), 15, [0, 10, ...name("Mx1.Example")]),
      record(name("a.b"), 15, [0, 20, 2, 0x6d, 0x78, ...pointer(12)]),
      record(pointer(12), 15, [0, 30, 0]),
      record(name("a.b"), 15, [1], 300, 3),
    ]),
  );
  assert.ok(read);
  assert.deepEqual(
    [read.id, read.name, read.type, read.code, read.isAuthentic, read.isTruncated],
    [7, "a.b", 15, 0, true, false],
  );
  const found = findRecords(read, "MX");
  assert.deepEqual(found?.records.map(readExchange), [
    { name: "mx1.example", preference: 10 },
    { name: "mx.a.b", preference: 20 },
    { name: "", preference: 30 },
  ]);
});

test("parseAnswer() knows flags", () => {
  const read = parseAnswer(answer([], 0x8382));
  assert.deepEqual([read?.code, read?.isAuthentic, read?.isTruncated], [2, false, true]);
});

const mx = record(pointer(12), 15, [0, 10, ...name("m.x")]);
const broken: Readonly<Record<string, Buffer>> = {
  "no octets": Buffer.alloc(0),
  "a question": answer([mx], 0x0100),
  "another opcode": answer([mx], 0xa980),
  "half of it": answer([mx]).subarray(0, 30),
  "fewer records than it says": Buffer.from(answer([mx]).fill(9, 7, 8)),
  "a name that points to itself": answer([record(pointer(21), 15, [0, 10, 0])]),
  "a name that points ahead": answer([record(pointer(60), 15, [0, 10, 0])]),
  "a label of 64": answer([record([64, ...new Array(64).fill(97), 0], 15, [0, 10, 0])]),
  "a name of 300": answer([record([...new Array(5).fill([59, ...new Array(59).fill(97)]).flat(), 0], 15, [0, 10, 0])]),
  "an exchange that ends early": answer([record(pointer(12), 15, [0])]),
  "an exchange that is longer than its data": answer([record(pointer(12), 15, [0, 10, 1, 97])]),
  "octets within the record after the name": answer([record(pointer(12), 15, [0, 10, 0, 0])]),
};
for (const [what, octets] of Object.entries(broken)) {
  test(`parseAnswer() refuses ${what}`, () => assert.equal(parseAnswer(octets), undefined));
}

test("parseAnswer() lets no dot within a label pass for one between labels", () => {
  const read = parseAnswer(answer([record([3, 97, 46, 98, 0], 15, [0, 10, 0])]));
  assert.equal(read?.records[0]?.name, "a?b");
});

test("findRecords() follows aliases, and gives up in a circle", () => {
  const alias = (from: string, to: string) => record(name(from), 5, name(to), 60);
  const read = parseAnswer(answer([alias("a.b", "c.d"), alias("c.d", "e.f"), record(name("e.f"), 15, [0, 1, 0])]));
  const found = read && findRecords(read, "MX");
  assert.deepEqual([found?.canonical, found?.records.length, found?.ttlSeconds], ["e.f", 1, 60]);
  const circle = parseAnswer(answer([alias("a.b", "c.d"), alias("c.d", "a.b")]));
  assert.equal(circle && findRecords(circle, "MX"), undefined);
});

const about = { name: "", type: 0, ttlSeconds: 0 };
test("readAddress(), readText() and readTlsa() read what fits", () => {
  const data = (...octets: number[]) => ({ ...about, data: Buffer.from(octets) });
  assert.equal(readAddress(data(192, 0, 2, 1)), "192.0.2.1");
  assert.equal(readAddress(data(0x20, 1, 0xd, 0xb8, ...new Array(11).fill(0), 1)), "2001:db8::1");
  assert.equal(readAddress(data(1, 2, 3)), undefined);
  assert.equal(readText(data(2, 97, 98, 0, 1, 99)), "abc");
  assert.equal(readText(data(2, 97)), undefined);
  assert.equal(readTlsa(data(3, 1, 1)), undefined);
  assert.deepEqual(readTlsa(data(3, 1, 0, 9))?.data, Buffer.of(9));
  assert.equal(typeNumbers.TLSA, 52);
});
