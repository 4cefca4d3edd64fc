import assert from "node:assert/strict";
import { test } from "node:test";
import { createHeaderGauge, createHopCounter, createTlsRequiredWatch } from "./hops.ts";

const cases = [
  { name: "nothing in an empty message", text: "", hops: 0 },
  { name: "both kinds of line", text: "Received: a\nDelivered-To: b\nSubject: c\n\n", hops: 2 },
  { name: "any case and no colon", text: "RECEIVED\nreceivedx\ndELIVERED\n\n", hops: 3 },
  { name: "no folded lines and no other names", text: "Subject: a\n received\nReceive: b\nDeliver: c\n\n", hops: 0 },
  { name: "nothing after the header", text: "Received: a\n\nReceived: b\n\nReceived: c\n", hops: 1 },
  { name: "nothing when the first line is empty", text: "\nReceived: a\n", hops: 0 },
  {
    name: "as much where lines end in CR LF",
    text: "Received: a\r\nb: c\r\nDelivered\r\n\r\nReceived: d\r\n",
    hops: 2,
  },
  { name: "on after a line that is CR and more", text: "a: b\n\rc\nReceived: d\n", hops: 1 },
  { name: "a line without its end not yet", text: "Received: a\nReceived: b", hops: 1 },
];

for (const { name, text, hops } of cases) {
  test(`§17.145 createHopCounter() counts ${name}, in pieces of any size`, () => {
    for (let size = 1; size <= text.length + 1; size++) {
      const count = createHopCounter();
      let last = 0;
      for (let at = 0; at < text.length; at += size) last = count(Buffer.from(text.slice(at, at + size), "latin1"));
      assert.equal(last, hops, `pieces of ${size}`);
    }
  });
}

for (const [text, octets] of [
  ["a: b\nc: d\n\nbody\n\nmore", 10],
  ["\nbody", 0],
  ["\n\n", 0],
  ["", 0],
  ["a: b", 4],
  ["a: b\n", 5],
] as const) {
  test(`createHeaderGauge() measures ${JSON.stringify(text)}, wherever it is cut`, () => {
    for (let first = 0; first <= text.length; first++) {
      for (let second = first; second <= text.length; second++) {
        const measure = createHeaderGauge();
        measure(Buffer.from(text.slice(0, first)));
        measure(Buffer.from(text.slice(first, second)));
        assert.equal(measure(Buffer.from(text.slice(second))), octets, `${first} ${second}`);
      }
    }
  });
}

for (const [text, isNo] of [
  ["TLS-Required: No\n\nbody", true],
  ["a: b\ntls-required:\tNO  \nc: d\n\n", true],
  ["a: b\r\nTLS-Required: no\r\n\r\n", true],
  ["TLS-Required : No\n", true],
  ["TLS-Required: No", false],
  ["TLS-Required: Yes\n", false],
  ["TLS-Required: No way\n", false],
  ["TLS-Required: No\nTLS-Required: No\n\n", false],
  ["TLS-Required: No\nTLS-Required: Yes\n\n", false],
  ["X-TLS-Required: No\n\n", false],
  [" TLS-Required: No\n\n", false],
  ["a: b\n\nTLS-Required: No\n", false],
  [`TLS-Required:${" ".repeat(60)}No\n`, false],
  ["", false],
] as const) {
  test(`createTlsRequiredWatch() ${isNo ? "sees" : "does not see"} it in ${JSON.stringify(text)}`, () => {
    for (let size = 1; size <= text.length + 1; size++) {
      const watch = createTlsRequiredWatch();
      let last = false;
      for (let at = 0; at < text.length; at += size) last = watch(Buffer.from(text.slice(at, at + size), "latin1"));
      assert.equal(last, isNo, `pieces of ${size}`);
    }
  });
}
