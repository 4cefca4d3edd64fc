import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommand } from "./command.ts";
import { createTransaction, type Maildrop } from "./transaction.ts";

const octets = [120, 200, 30];
const drop: Maildrop = {
  count: octets.length,
  totalOctets: 350,
  message: (number) => ({ uid: `u${number}`, octets: octets[number - 1] ?? 0 }),
};

/** The answers to all of `lines`, the listings with a bar between lines. */
function play(lines: readonly string[]): readonly string[] {
  const transaction = createTransaction(drop, ["USER"]);
  return lines.map((line) => {
    const step = transaction.step(parseCommand(line));
    switch (step.kind) {
      case "reply":
        return step.reply;
      case "lines":
        return [step.reply, ...step.lines].join("|");
      case "message":
        return `message ${step.number} ${step.bodyLines ?? "whole"}`;
      case "quit":
        return `quit ${[...transaction.deletedNumbers]}`;
      default:
        return step satisfies never;
    }
  });
}

const cases: readonly (readonly [name: string, ...(readonly (readonly [line: string, answer: string])[])])[] = [
  ["STAT counts", ["STAT", "+OK 3 350"]],
  [
    "LIST shows sizes",
    ["LIST", "+OK |1 120|2 200|3 30"],
    ["list 2", "+OK 2 200"],
    ["LIST 4", "-ERR not that many messages"],
  ],
  ["§17.188 UIDL shows names", ["UIDL", "+OK |1 u1|2 u2|3 u3"], ["UIDL 3", "+OK 3 u3"]],
  [
    "a message number is one",
    ["RETR", "-ERR syntax error"],
    ["RETR x", "-ERR syntax error"],
    ["DELE -1", "-ERR syntax error"],
  ],
  ["messages are counted from 1", ["RETR 0", "-ERR messages are counted from 1"]],
  ["no number is too large to be refused", [`DELE ${"9".repeat(200)}`, "-ERR not that many messages"]],
  ["only the digits count, as with qmail", ["LIST 1x", "+OK 1 120"], ["RETR 2 ", "message 2 whole"]],
  ["RETR and TOP are one", ["RETR 1", "message 1 whole"], ["TOP 1 0", "message 1 0"], ["RETR 1 5", "message 1 5"]],
  ["§17.190 TOP n without count gives all", ["TOP 2", "message 2 whole"]],
  [
    "a deleted message is gone from everything",
    ["DELE 2", "+OK "],
    ["DELE 2", "-ERR already deleted"],
    ["RETR 2", "-ERR already deleted"],
    ["LIST", "+OK |1 120|3 30"],
    ["UIDL", "+OK |1 u1|3 u3"],
    ["QUIT", "quit 2"],
  ],
  ["§17.191 STAT counts neither deleted messages nor their size", ["DELE 2", "+OK "], ["STAT", "+OK 2 150"]],
  [
    "§17.192 RSET undeletes",
    ["DELE 1", "+OK "],
    ["DELE 3", "+OK "],
    ["RSET", "+OK "],
    ["STAT", "+OK 3 350"],
    ["QUIT", "quit "],
  ],
  [
    "§17.194 LAST follows DELE, not RETR",
    ["LAST", "+OK 0"],
    ["RETR 3", "message 3 whole"],
    ["LAST", "+OK 0"],
    ["DELE 2", "+OK "],
    ["DELE 1", "+OK "],
    ["LAST", "+OK 2"],
    ["RSET", "+OK "],
    ["LAST", "+OK 0"],
  ],
  [
    "§17.195 unknown commands are unimplemented",
    ["XTND", "-ERR unimplemented"],
    ["", "-ERR unimplemented"],
    ["STLS", "-ERR unimplemented"],
    ["AUTH PLAIN", "-ERR unimplemented"],
    ["UTF8", "-ERR unimplemented"],
  ],
];
for (const [name, ...talk] of cases) {
  test(`createTransaction() ${name}`, () => {
    assert.deepEqual(
      play(talk.map(([line]) => line)),
      talk.map(([, answer]) => answer),
    );
  });
}

test("createTransaction() says the same of logins as before the login", () => {
  assert.match(play(["CAPA"]).join(), /\r\nTOP\r\nUIDL\r\n.*\r\nUSER\r\n\.$/s);
});
