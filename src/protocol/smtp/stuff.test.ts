import assert from "node:assert/strict";
import { test } from "node:test";
import { title } from "../../../test/support/title.ts";
import { createDotStuffer } from "./stuff.ts";

const cases = [
  { name: "sends an empty message", stored: "", wire: ".\r\n" },
  { name: "makes line ends CRLF", stored: "a\n\nb\n", wire: "a\r\n\r\nb\r\n.\r\n" },
  { name: "§17.170 stuffs dots at line starts only", stored: ".\n..a\nb.\n", wire: "..\r\n...a\r\nb.\r\n.\r\n" },
  { name: "§17.169 ends a partial last line", stored: "a\nb", wire: "a\r\nb\r\n.\r\n" },
  { name: "ends a last line that is a dot", stored: ".", wire: "..\r\n.\r\n" },
  { name: "§17.170 joins CR with the LF after it", stored: "a\r\n.\r\n", wire: "a\r\n..\r\n.\r\n" },
  { name: "§17.170 disarms a CR before a dot", stored: "a\r.\nb\n", wire: "a .\r\nb\r\n.\r\n" },
  { name: "§17.170 disarms CR, dot, CR", stored: "\r.\r\n", wire: " .\r\n.\r\n" },
  { name: "disarms all but the last of several CRs", stored: "a\r\r\n", wire: "a \r\n.\r\n" },
  { name: "ends a line with the final CR", stored: "a\r", wire: "a\r\n.\r\n" },
  { name: "ends a message that is one CR", stored: "\r", wire: "\r\n.\r\n" },
  { name: "keeps eight bits and NUL", stored: "\xe9\x00\xff\n", wire: "\xe9\x00\xff\r\n.\r\n" },
];

for (const { name, stored, wire } of cases) {
  for (const size of [1, 2, 3, 100]) {
    for (const lastIsEmpty of [false, true]) {
      test(`${title("createDotStuffer()", name)}, ${size} at a time${lastIsEmpty ? ", end on its own" : ""}`, () => {
        const stuff = createDotStuffer();
        const octets = Buffer.from(stored, "latin1");
        let sent = "";
        for (let at = 0; at < octets.length; at += size) {
          const last = !lastIsEmpty && at + size >= octets.length;
          sent += stuff(octets.subarray(at, at + size), last).toString("latin1");
        }
        if (lastIsEmpty || octets.length === 0) sent += stuff(Buffer.alloc(0), true).toString("latin1");
        assert.equal(sent, wire);
      });
    }
  }
}
