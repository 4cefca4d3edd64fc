import assert from "node:assert/strict";
import { test } from "node:test";
import { receivedLine } from "./trace.ts";

const trace = {
  helo: "mail.example",
  protocol: "ESMTP",
  address: "192.0.2.1",
  by: "mx.example",
  nowMs: 810362814_000,
} as const;
const end = "  by mx.example with ESMTP; 6 Sep 1995 04:46:54 -0000\n";

test("§17.148 receivedLine() has qmail's layout", () => {
  assert.equal(receivedLine(trace), `Received: from unknown (HELO mail.example) (192.0.2.1)\n${end}`);
});

test("§17.148 receivedLine() leaves out a name that says nothing", () => {
  assert.equal(receivedLine({ ...trace, helo: "" }), `Received: from unknown (192.0.2.1)\n${end}`);
  assert.equal(receivedLine({ ...trace, helo: "Unknown" }), `Received: from unknown (192.0.2.1)\n${end}`);
});

test("receivedLine() does not tell what is to be kept secret", () => {
  assert.equal(receivedLine({ ...trace, helo: "", address: "" }), `Received: from unknown\n${end}`);
});

test("§17.148 receivedLine() makes every other character a question mark, and is not long", () => {
  const line = receivedLine({ ...trace, helo: `a_b (c)\n\xe4\0${"x".repeat(3_000)}`, address: "2001:db8::1" });
  assert.ok(line.startsWith("Received: from unknown (HELO a?b??c????xxx"));
  assert.ok(line.split("\n").every((part) => part.length <= 998));
});
