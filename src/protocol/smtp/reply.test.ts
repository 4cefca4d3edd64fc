import assert from "node:assert/strict";
import { test } from "node:test";
import { createReplyReader, maxReplyLineOctets, maxReplyLines, quoteReply, type Reply, replyStatus } from "./reply.ts";

const reply = (code: number, ...lines: string[]): Reply => ({ code, lines });
const long = "x".repeat(maxReplyLineOctets - 4);

const cases: { name: string; wire: string; replies: (Reply | "broken")[] }[] = [
  { name: "reads one line", wire: "220 mx.example\r\n", replies: [reply(220, "mx.example")] },
  { name: "reads a code without text", wire: "250\r\n250 \r\n", replies: [reply(250, ""), reply(250, "")] },
  { name: "reads several lines", wire: "250-a\r\n250-\r\n250 b\r\n", replies: [reply(250, "a", "", "b")] },
  {
    name: "reads pipelined replies",
    wire: "250 1\r\n550-2\r\n550 3\r\n354 4\r\n",
    replies: [reply(250, "1"), reply(550, "2", "3"), reply(354, "4")],
  },
  { name: "takes bare LF", wire: "250-a\n250 b\n", replies: [reply(250, "a", "b")] },
  { name: "waits for the end of a line", wire: "250 a\r\n250 b", replies: [reply(250, "a")] },
  { name: "makes octets harmless", wire: "550 a\x00b\rc\x1b\xe9\td\r\n", replies: [reply(550, "a?b?c??\td")] },
  { name: "takes the longest line", wire: `250 ${long}\r\n`, replies: [reply(250, long)] },
  { name: "refuses a longer line", wire: `250 ${long}x\r\n`, replies: ["broken"] },
  { name: "refuses an endless line", wire: `250 ${long}${long}`, replies: ["broken"] },
  {
    name: "takes the most lines",
    wire: `${"250-a\r\n".repeat(maxReplyLines - 1)}250 a\r\n`,
    replies: [reply(250, ..."a".repeat(maxReplyLines))],
  },
  { name: "refuses more lines", wire: `${"250-a\r\n".repeat(maxReplyLines)}250 a\r\n`, replies: ["broken"] },
  { name: "refuses mixed codes", wire: "220 a\r\n250-a\r\n550 b\r\n", replies: [reply(220, "a"), "broken"] },
  { name: "refuses a code out of range", wire: "999 a\r\n", replies: ["broken"] },
  { name: "refuses a code of a letter", wire: "2x0 a\r\n", replies: ["broken"] },
  { name: "refuses a longer code", wire: "2500 a\r\n", replies: ["broken"] },
  { name: "refuses an empty line", wire: "\r\n", replies: ["broken"] },
  { name: "refuses what is not SMTP", wire: "SSH-2.0-x\r\n220 a\r\n", replies: ["broken"] },
];

for (const { name, wire, replies } of cases) {
  for (const size of [1, 2, 7, wire.length]) {
    test(`createReplyReader() ${name}, ${size} octets at a time`, () => {
      const read = createReplyReader();
      const octets = Buffer.from(wire, "latin1");
      const got: (Reply | "broken")[] = [];
      for (let at = 0; at < octets.length && got.at(-1) !== "broken"; at += size) {
        got.push(...read(octets.subarray(at, at + size)));
      }
      assert.deepEqual(got, replies);
    });
  }
}

test("§17.167 quoteReply() gives all lines, and no more than a report holds", () => {
  assert.equal(quoteReply(reply(550, "a", "b")), "550-a\n550 b\n");
  assert.equal(quoteReply(reply(550, ...Array.from({ length: 100 }, () => long))).length, 5_001);
});

test("replyStatus() gives the enhanced code of the last line if it agrees", () => {
  assert.equal(replyStatus(reply(550, "5.1.1 no")), "1.1");
  assert.equal(replyStatus(reply(550, "5.1.1 no", "5.7.1")), "7.1");
  assert.equal(replyStatus(reply(550, "4.1.1 no")), undefined);
  assert.equal(replyStatus(reply(450, "4.1.1x no")), undefined);
  assert.equal(replyStatus(reply(450, "no")), undefined);
});

test("createReplyReader() neither throws nor grows on noise", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed % below;
  };
  for (let round = 0; round < 300; round++) {
    const read = createReplyReader();
    const alphabet = "25054 -\r\n\x00é";
    for (let n = 0; n < 50; n++) {
      const noise = Array.from({ length: random(40) }, () => alphabet[random(alphabet.length)]).join("");
      if (read(Buffer.from(noise, "latin1")).at(-1) === "broken") break;
    }
  }
});
