import assert from "node:assert/strict";
import { test } from "node:test";
import { parseParagraphs, parseTodo } from "./records.ts";

const octets = (text: string): Buffer => Buffer.from(text, "latin1");

test("§17.10 parseTodo() takes u, p, F, a T of QUEUE_EXTRA, and the other T", () => {
  assert.deepEqual(parseTodo(octets("u1000\0p77\0Fs\xff@d\0Tlog\0Ta@b\0")), {
    kind: "done",
    value: { uid: 1000, reversePath: "s\xff@d", forwardPaths: ["log", "a@b"] },
  });
});

const paragraphs = [
  { name: "one", text: "<u@d>:\nno\n\n", found: [["u@d", "no"]] },
  {
    name: "two",
    text: "<u@d>:\nno\n\n<v@d>:\na\n/b\n\n",
    found: [
      ["u@d", "no"],
      ["v@d", "a\n/b"],
    ],
  },
  {
    name: "an empty report",
    text: "<u@d>:\n\n<v@d>:\nb\n\n",
    found: [
      ["u@d", ""],
      ["v@d", "b"],
    ],
  },
  {
    name: "reports that end in empty lines",
    text: "<u@d>:\nno\n\n\n<v@d>:\nno\n\n\n\n",
    found: [
      ["u@d", "no"],
      ["v@d", "no"],
    ],
  },
  { name: "a report cut short", text: "<u@d>:\nn", found: [["u@d", "n"]] },
  { name: "a paragraph cut short", text: "<u@d>:\nno\n\n<v@", found: [["u@d", "no\n<v@"]] },
  {
    name: "something else first",
    text: "x\n\n<v@d>:\nno\n\n",
    found: [
      ["", "x"],
      ["v@d", "no"],
    ],
  },
  { name: "nothing", text: "", found: [] },
];
for (const { name, text, found } of paragraphs) {
  test(`parseParagraphs() takes ${name}`, () => {
    const read = parseParagraphs(octets(text)).map(({ forwardPath, text }) => [forwardPath, text]);
    assert.deepEqual(read, found);
  });
}
