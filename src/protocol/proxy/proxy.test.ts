import assert from "node:assert/strict";
import { test } from "node:test";
import { readProxyHeader } from "./proxy.ts";

const v2 = (command: number, family: number, body: readonly number[], length = body.length): string =>
  Buffer.concat([
    Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"),
    Buffer.of(command, family, length >> 8, length & 255, ...body),
  ]).toString("latin1");
const four = [192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0, 25];
const six = [0x20, 1, 0xd, 0xb8, ...new Array<number>(11).fill(0), 1, ...new Array<number>(15).fill(0), 1, 0, 1, 0, 25];
const client = { address: "192.0.2.1", port: 12_345, localAddress: "198.51.100.2", localPort: 25 };

for (const [name, header, expected] of [
  ["TCP4", "PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\n", client],
  [
    "TCP6",
    "PROXY TCP6 2001:db8::1 ::1 1 25\r\n",
    { address: "2001:db8::1", port: 1, localAddress: "::1", localPort: 25 },
  ],
  ["UNKNOWN", "PROXY UNKNOWN\r\n", undefined],
  ["UNKNOWN and more", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", undefined],
  ["version 2, IPv4", v2(0x21, 0x11, four), client],
  ["version 2, IPv4, with more", v2(0x21, 0x11, [...four, 3, 0, 1, 7]), client],
  [
    "version 2, IPv6",
    v2(0x21, 0x21, six),
    { address: "2001:db8:0:0:0:0:0:1", port: 1, localAddress: "0:0:0:0:0:0:0:1", localPort: 25 },
  ],
  ["version 2, its own check", v2(0x20, 0, []), undefined],
] as const) {
  test(`readProxyHeader() reads ${name}, however it comes, and leaves what follows`, () => {
    const input = Buffer.from(`${header}EHLO x\r\n`, "latin1");
    for (let octets = 0; octets < header.length; octets++) {
      assert.deepEqual(readProxyHeader(input.subarray(0, octets)), { kind: "more" });
    }
    assert.deepEqual(readProxyHeader(input), { kind: "done", octets: header.length, client: expected });
  });
}

for (const [name, header] of [
  ["SMTP", "EHLO x\r\n"],
  ["a blank line", "\r\nEHLO"],
  ["lower case", "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n"],
  ["UDP", "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"],
  ["an address of the other family", "PROXY TCP4 ::1 ::1 1 2\r\n"],
  ["a name", "PROXY TCP4 localhost 192.0.2.2 1 2\r\n"],
  ["a zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n"],
  ["no port", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"],
  ["a port too large", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n"],
  ["a port in octal", "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n"],
  ["two blanks", "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n"],
  ["a word too many", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"],
  ["a line end in it", "PROXY TCP4 192.0.2.1\n192.0.2.2 1 2\r\n"],
  ["no end", `PROXY UNKNOWN ${"x".repeat(100)}`],
  ["version 3", v2(0x31, 0x11, four)],
  ["another command", v2(0x22, 0x11, four)],
  ["a socket of the file system", v2(0x21, 0x31, new Array<number>(216).fill(65))],
  ["UDP in version 2", v2(0x21, 0x12, four)],
  ["addresses cut short", v2(0x21, 0x11, four.slice(1))],
  ["a length that is too long", v2(0x21, 0x11, [], 65_535)],
] as const) {
  test(`readProxyHeader() refuses ${name}`, () => {
    assert.deepEqual(readProxyHeader(Buffer.from(header, "latin1")), { kind: "broken" });
  });
}
