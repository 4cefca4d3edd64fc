import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeNetstring, encodeNetstring } from "../netstring.ts";
import { done, permanent, temporary } from "../outcome.ts";
import { encodeQmqpReply, maxReplyOctets, parseQmqpReply } from "./reply.ts";
import { createQmqpReader, frameQmqpRequest } from "./request.ts";

interface Read {
  body: string;
  addresses: string[];
  ends: string;
}

function readInPieces(wire: string, size: number): Read {
  const read = createQmqpReader();
  const seen: Read = { body: "", addresses: [], ends: "not" };
  const octets = Buffer.from(wire, "latin1");
  for (let at = 0; at < octets.length; at += size) {
    for (const part of read(octets.subarray(at, at + size))) {
      if (part.kind === "body") seen.body += part.octets.toString("latin1");
      else if (part.kind === "broken") seen.ends = part.why;
      else if (part.kind === "end") seen.ends = "end";
      else seen.addresses.push(part.kind === "overlong address" ? "overlong" : `${part.kind} ${part.text}`);
    }
  }
  return seen;
}

const request = (...elements: string[]): string =>
  encodeNetstring(elements.map((element) => encodeNetstring(element).toString("latin1")).join("")).toString("latin1");

const cases = [
  {
    name: "takes a message for two",
    wire: request("a: b\n\ntext\n", "s@x", "r@y", "t@z"),
    body: "a: b\n\ntext\n",
    addresses: ["reversePath s@x", "forwardPath r@y", "forwardPath t@z"],
    ends: "end",
  },
  {
    name: "takes an empty message from nobody to nobody",
    wire: request("", ""),
    body: "",
    addresses: ["reversePath "],
    ends: "end",
  },
  {
    name: "takes any octets",
    wire: request("\0\xff,:5", "\xfc@x", "1:a,@y"),
    body: "\0\xff,:5",
    addresses: ["reversePath \xfc@x", "forwardPath 1:a,@y"],
    ends: "end",
  },
  {
    name: "gives nothing after the end",
    wire: `${request("m", "s")}9:`,
    body: "m",
    addresses: ["reversePath s"],
    ends: "end",
  },
  {
    name: "passes over an overlong address, not over its neighbours",
    wire: request("m", "s", "x".repeat(1000), "x".repeat(999)),
    body: "m",
    addresses: ["reversePath s", "overlong", `forwardPath ${"x".repeat(999)}`],
    ends: "end",
  },
  { name: "refuses an empty request", wire: "0:,", body: "", addresses: [], ends: "empty request" },
  {
    name: "refuses a request without a sender",
    wire: "4:1:m,,",
    body: "m",
    addresses: [],
    ends: "reverse-path missing",
  },
  {
    name: "refuses a request that ends within an element",
    wire: "5:1:m,0,",
    body: "m",
    addresses: [],
    ends: "length without an end",
  },
  {
    name: "refuses an element longer than the request",
    wire: "5:9:abc,",
    body: "",
    addresses: [],
    ends: "length larger than the request",
  },
  { name: "refuses a missing comma", wire: "7:1:m;1:s,,", body: "m", addresses: [], ends: "comma missing" },
  {
    name: "refuses a missing last comma",
    wire: "7:1:m,0:,;",
    body: "m",
    addresses: ["reversePath "],
    ends: "comma missing",
  },
  {
    name: "refuses what is no netstring",
    wire: "EHLO x\r\n",
    body: "",
    addresses: [],
    ends: "not a netstring, or too large",
  },
  {
    name: "refuses a length out of bounds before any of it comes",
    wire: "9000000000:",
    body: "",
    addresses: [],
    ends: "not a netstring, or too large",
  },
] as const;

for (const { name, wire, body, addresses, ends } of cases) {
  for (const size of [1, 2, 3, 7, wire.length]) {
    test(`createQmqpReader() ${name}, ${size} octets at a time`, () => {
      assert.deepEqual(readInPieces(wire, size), { body, addresses, ends });
    });
  }
}

test("createQmqpReader() refuses the recipient after the last one allowed", () => {
  const elements = "0:,".repeat(100_003);
  assert.equal(readInPieces(`${elements.length}:${elements},`, 65_536).ends, "too many recipients");
});

test("createQmqpReader() never throws and never gives a part after the last, whatever the octets", () => {
  let seed = 7;
  const random = (): number => (seed = (seed * 48_271) % 0x7fff_ffff);
  const wire = Buffer.from(request("message", "s@x", "r@y", "t@z"));
  for (let n = 0; n < 5_000; n++) {
    const mutated = Buffer.from(wire);
    for (let change = 0; change < 2; change++) mutated[random() % mutated.length] = 0x30 + (random() % 16);
    const parts = createQmqpReader()(mutated);
    const last = parts.findIndex(({ kind }) => kind === "end" || kind === "broken");
    assert.ok(last === -1 || last === parts.length - 1);
  }
});

test("frameQmqpRequest() makes what createQmqpReader() reads", () => {
  const { before, after } = frameQmqpRequest(5, "s@x", ["r@y"]);
  assert.equal(`${before.toString()}hello${after.toString()}`, request("hello", "s@x", "r@y"));
});

const replies = [
  { outcome: done("ok 1 qp 2"), text: "Kok 1 qp 2" },
  { outcome: temporary("3.0", "queue is away"), text: "Zqueue is away (#4.3.0)" },
  { outcome: permanent("1.3", "sorry"), text: "Dsorry (#5.1.3)" },
] as const;

for (const { outcome, text } of replies) {
  test(`encodeQmqpReply() writes ${text}, and parseQmqpReply() reads it back`, () => {
    const wire = encodeQmqpReply(outcome);
    assert.deepEqual(decodeNetstring(wire, maxReplyOctets), { text, used: wire.length });
    assert.deepEqual(parseQmqpReply(text), outcome);
  });
}

test("parseQmqpReply() takes an unknown answer for a temporary failure", () => {
  assert.equal(parseQmqpReply("").kind, "temporary");
  assert.equal(parseQmqpReply("250 ok").kind, "temporary");
});

test("encodeQmqpReply() cuts a text that would not fit", () => {
  assert.notEqual(decodeNetstring(encodeQmqpReply(temporary("3.0", "x".repeat(20_000))), maxReplyOctets), "broken");
});
