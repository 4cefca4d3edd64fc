import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { readSettings } from "../../protocol/control/parse.ts";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { createRules } from "../../protocol/routing/rules.ts";
import type { Rules } from "../../protocol/smtp/session.ts";
import { serveSmtp } from "./serve.ts";

function rules(): Rules {
  const settings = readSettings(new Map([["me", "mx.example"]]));
  assert.ok(settings.kind === "done");
  const rulesFor = createRules(settings.value, []);
  assert.ok(rulesFor.kind === "done");
  const found = rulesFor.value("127.0.0.1");
  assert.ok(found !== "denied");
  return { ...found, mayRelay: true, maxMessageOctets: 100 };
}

async function play(wire: string, size: number, answer: Outcome<string>) {
  const pieces: Buffer[] = [];
  for (let at = 0; at < wire.length; at += size) pieces.push(Buffer.from(wire.slice(at, at + size), "latin1"));
  let said = "";
  const taken: string[] = [];
  await serveSmtp({
    input: Readable.from(pieces),
    say: async (text) => {
      said += text;
    },
    rules: rules(),
    handIn: async (message, reversePath, forwardPaths) => {
      taken.push(`${reversePath}>${forwardPaths.join()}:${message.toString("latin1")}`);
      return answer;
    },
  });
  return {
    codes: said
      .split("\r\n")
      .map((line) => line.slice(0, 3))
      .join(" ")
      .trim(),
    taken,
  };
}

const begin = "HELO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n";
const taken = done("ok 1 qp 2");
const cases: readonly { name: string; wire: string; answer?: Outcome<string>; codes: string; taken?: string[] }[] = [
  {
    name: "takes messages to anywhere, one after the other",
    wire: `${begin}DATA\r\n..x\r\n\xff\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<d@e.f>\r\nRCPT TO:<g@h.i>\r\nDATA\r\n.\r\nQUIT\r\n`,
    codes: "220 250 250 250 354 250 250 250 250 354 250 221",
    taken: ["a@b.c>d@e.f:.x\n\xff\n", ">d@e.f,g@h.i:"],
  },
  {
    name: "says what the server says",
    wire: `${begin}DATA\r\n.\r\nNOOP\r\n`,
    answer: temporary("3.0", "not now"),
    codes: "220 250 250 250 354 451 250",
    taken: ["a@b.c>d@e.f:"],
  },
  {
    name: "says that it is refused",
    wire: `${begin}DATA\r\n.\r\n`,
    answer: permanent("7.1", "never"),
    codes: "220 250 250 250 354 554",
    taken: ["a@b.c>d@e.f:"],
  },
  {
    name: "reads a message that is too large to its end",
    wire: `${begin}DATA\r\n${"QUIT\r\n".repeat(50)}.\r\nRSET\r\n`,
    codes: "220 250 250 250 354 552 250",
  },
  { name: "hands nothing in before the dot", wire: `${begin}DATA\r\nx\r\n`, codes: "220 250 250 250 354" },
  { name: "takes nothing with a bare LF", wire: `${begin}DATA\r\nx\n.\r\nRSET\r\n`, codes: "220 250 250 250 354 550" },
  { name: "takes no command with a bare LF", wire: "HELO x\nQUIT\r\n", codes: "220 550" },
  { name: "takes no endless command", wire: "x".repeat(3_000), codes: "220 550" },
];

for (const { name, wire, answer = taken, codes, taken: messages = [] } of cases) {
  for (const size of [1, 7, wire.length]) {
    test(`§17.213 serveSmtp() ${name}, ${size} octets at a time`, async () => {
      assert.deepEqual(await play(wire, size, answer), { codes, taken: messages });
    });
  }
}

test("serveSmtp() offers no extension that QMQP has no room for, and ends at BDAT, whose octets are no commands", async () => {
  const { codes, taken } = await play(
    "EHLO x\r\nMAIL FROM:<> RET=FULL\r\nMAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\n",
    7,
    done("x"),
  );
  assert.match(codes, /^220(?: 250){6,8} 555 250 502 ?$/);
  assert.deepEqual(taken, []);
});
