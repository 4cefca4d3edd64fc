import assert from "node:assert/strict";
import { test } from "node:test";
import { title } from "../../../test/support/title.ts";
import { createCompleter } from "./address-list.ts";
import { completeMessage, type Injection } from "./complete.ts";
import { splitMessage } from "./fields.ts";
import { tokenize, writeField } from "./token.ts";

const completion = { defaulthost: "heaven", defaultdomain: "af.mil", plusdomain: "mil" };

const lists: readonly { row?: string; list: string; out: string; addresses: readonly string[] }[] = [
  { row: "204", list: "fred@mac", out: "fred@mac.af.mil", addresses: ["fred@mac.af.mil"] },
  { row: "204", list: "god@cs+", out: "god@cs.mil", addresses: ["god@cs.mil"] },
  { row: "204", list: "x+", out: "x+@heaven.af.mil", addresses: ["x+@heaven.af.mil"] },
  { list: "x@y+.z", out: "x@y+.z", addresses: ["x@y+.z"] },
  { row: "205", list: "u@[1.2.3.4]", out: "u@[1.2.3.4]", addresses: ["u@[1.2.3.4]"] },
  {
    list: "a b c",
    out: "a@heaven.af.mil, b@heaven.af.mil, c@heaven.af.mil",
    addresses: ["a@heaven.af.mil", "b@heaven.af.mil", "c@heaven.af.mil"],
  },
  { list: "A. B. Cee <a@b>", out: "A.B.Cee <a@b.af.mil>", addresses: ["a@b.af.mil"] },
  { row: "206", list: '"A B" <x@y.z> (c)', out: '"A B" <x@y.z>(c)', addresses: ["x@y.z"] },
  { list: "a,,b", out: "a@heaven.af.mil, , b@heaven.af.mil", addresses: ["a@heaven.af.mil", "b@heaven.af.mil"] },
  { row: "206", list: "x:;", out: "x: ;", addresses: [] },
  { list: "<@a,@b:x@y.z>", out: "<x@y.z>", addresses: ["x@y.z"] },
  { row: "205", list: "<>", out: "<>", addresses: [""] },
  { list: "a@", out: "a@heaven.af.mil", addresses: ["a@heaven.af.mil"] },
  { list: "@b", out: "", addresses: [""] },
  { row: "205", list: "x@[]", out: "x@[]", addresses: ["x@[]"] },
  { list: "#@[]", out: "#@[]", addresses: ["#@[]"] },
  {
    row: "206",
    list: "friends: a@x.y, b@x.y;, c@x.y",
    out: "friends: a@x.y, b@x.y;, c@x.y",
    addresses: ["a@x.y", "b@x.y", "c@x.y"],
  },
  { row: "206", list: "a@x.y (Joe (the) User)", out: "a@x.y (Joe (the) User)", addresses: ["a@x.y"] },
  { row: "206", list: '"a b"@x.y', out: '"a b"@x.y', addresses: ["a b@x.y"] },
  { list: '"a\\"b"@x.y', out: '"a\\"b"@x.y', addresses: ['a"b@x.y'] },
  { list: "a\\ b@x.y", out: '"a b"@x.y', addresses: ["a b@x.y"] },
  { list: "J\xfcrgen <j@x.y>", out: '"J\xfcrgen" <j@x.y>', addresses: ["j@x.y"] },
  {
    list: "j\xc3\xb6rg@b\xc3\xbccher.example, J\xc3\xbcrgen <j@x.y>",
    out: "j\xc3\xb6rg@b\xc3\xbccher.example, J\xc3\xbcrgen <j@x.y>",
    addresses: ["j\xc3\xb6rg@b\xc3\xbccher.example", "j@x.y"],
  },
  { list: "=?utf-8?Q?J=C3=BCrgen?= <j@x.y>", out: "=?utf-8?Q?J=C3=BCrgen?= <j@x.y>", addresses: ["j@x.y"] },
  { list: "joe@x.y <joe@x.y>", out: "joe@x.y <joe@x.y>", addresses: ["joe@x.y"] },
  { list: "<a@x.y> Bee <b@x.y>", out: "<a@x.y>, Bee <b@x.y>", addresses: ["a@x.y", "b@x.y"] },
  { list: "a @ b . c", out: "a@b.c", addresses: ["a@b.c"] },
  { list: "a@x.y,\n\tb@x.y", out: "a@x.y, b@x.y", addresses: ["a@x.y", "b@x.y"] },
  { list: "", out: "", addresses: [] },
];

for (const { row, list, out, addresses } of lists) {
  test(`${row ? `§17.${row} ` : ""}createCompleter() makes ${JSON.stringify(list)} ${JSON.stringify(out)}`, () => {
    const completed = createCompleter(completion)(tokenize(list) ?? []);
    assert.equal(writeField(completed?.tokens ?? [], 80), `${out}\n`);
    assert.deepEqual(
      completed?.addresses.map(({ text }) => text),
      addresses,
    );
  });
}

test("createCompleter() leaves hosts without a dot alone when there is no default domain", () => {
  const completed = createCompleter({ ...completion, defaultdomain: "" })(tokenize("a, b@localhost") ?? []);
  assert.deepEqual(
    completed?.addresses.map(({ text }) => text),
    ["a@heaven", "b@localhost"],
  );
});

const unreadable = [
  '"a',
  "(a",
  "[a",
  "a)",
  "a]",
  "a\\",
  "a\0b",
  '"a\\\nb"',
  "<a@b",
  "a@b>",
  "<a b@c>",
  "<a, b>",
  "<<a>>",
];

for (const list of unreadable) {
  test(`createCompleter() refuses ${JSON.stringify(list)}`, () => {
    const tokens = tokenize(list);
    assert.equal(tokens && createCompleter(completion)(tokens), undefined);
  });
}

test("tokenize() takes a comment nested a hundred thousand deep", () => {
  assert.equal(tokenize("(".repeat(100_000) + ")".repeat(100_000))?.length, 1);
});

test("writeField() goes on in the next line before the line passes its columns", () => {
  const tokens =
    tokenize(`To: ${Array.from({ length: 5 }, (_, n) => `person${n}@somewhere.example`).join(", ")}`) ?? [];
  assert.equal(
    writeField(tokens, 80),
    [
      "To: person0@somewhere.example, person1@somewhere.example,",
      "  person2@somewhere.example, person3@somewhere.example,",
      "  person4@somewhere.example\n",
    ].join("\n"),
  );
});

const messages: readonly { row?: string; message: string; fields: readonly string[]; body: string | undefined }[] = [
  { message: "a: b\n\nbody\n", fields: ["a: b\n"], body: "body\n" },
  { message: "a: b\n c\n\td: e\nf:\n\n", fields: ["a: b\n c\n\td: e\n", "f:\n"], body: "" },
  { message: "a: b", fields: ["a: b\n"], body: undefined },
  { message: "", fields: [], body: undefined },
  { message: "\nbody", fields: [], body: "body" },
  { row: "208", message: "a: b\nno field\nc: d\n", fields: ["a: b\n"], body: "no field\nc: d\n" },
  { message: " a: b\n", fields: [], body: " a: b\n" },
  { row: "207", message: "From a@b Mon\nx: y\n", fields: ["MBOX-Line: From a@b Mon\n", "x: y\n"], body: undefined },
  { message: "From : a@b\n", fields: ["From : a@b\n"], body: undefined },
  { message: "a b: c\n", fields: [], body: "a b: c\n" },
];

for (const { row, message, fields, body } of messages) {
  test(`${row ? `§17.${row} ` : ""}splitMessage() takes apart ${JSON.stringify(message)}`, () => {
    const parts = splitMessage(Buffer.from(message, "latin1"));
    assert.deepEqual(
      parts.fields.map(({ text }) => text),
      fields,
    );
    assert.equal(parts.body?.toString("latin1"), body);
  });
}

const usual: Injection = {
  author: { user: "joe", host: "heaven", name: "Joe User", senderUser: undefined, senderHost: undefined },
  completion,
  idhost: "id.example",
  letters: new Set(),
  recipientsFrom: "header",
  arguments: [],
  reversePath: undefined,
  mailingLists: undefined,
  nowMs: Date.UTC(1995, 8, 6, 4, 46, 54),
  pid: 42,
};
const date = "Date: 6 Sep 1995 04:46:54 -0000\n";
const id = "Message-ID: <19950906044654.42.postern@id.example>\n";
const from = "From: Joe User <joe@heaven.af.mil>\n";

interface Case {
  name: string;
  message: string;
  change?: Partial<Injection>;
  header: string;
  reversePath?: string;
  forwardPaths?: readonly string[];
}

const completed: readonly Case[] = [
  {
    name: "§17.198 §17.201 adds what is missing in front",
    message: "Subject: x\nTo: a\n\nbody\n",
    header: `${date}${id}${from}Subject: x\nTo: a@heaven.af.mil\n\n`,
    forwardPaths: ["a@heaven.af.mil"],
  },
  {
    name: "adds nothing after a header without a body",
    message: "To: a@b.c",
    header: `${date}${id}${from}To: a@b.c\n`,
    forwardPaths: ["a@b.c"],
  },
  {
    name: "§17.199 hides that there are no recipients to show",
    message: "\n",
    header: `${date}${id}${from}Cc: recipient list not shown: ;\n\n`,
  },
  {
    name: "leaves what is there, and fields it does not know with their folding",
    message: "date: d\nMESSAGE-ID: i\nfrom: x@y.z\nX-Long:  a\n   b\nTo: u@v.w\n\n",
    header: "date: d\nMESSAGE-ID: i\nfrom: x@y.z\nX-Long:  a\n   b\nTo: u@v.w\n\n",
    forwardPaths: ["u@v.w"],
  },
  {
    name: "§17.197 §17.210 takes Bcc out, and the last address of a field first",
    message: "To: a@x.y, b@x.y\nBcc: c@x.y\nContent-Length: 5\nCc: d@x.y\n\n",
    header: `${date}${id}${from}To: a@x.y, b@x.y\nCc: d@x.y\n\n`,
    forwardPaths: ["b@x.y", "a@x.y", "c@x.y", "d@x.y"],
  },
  {
    name: "§17.196 §17.210 takes recipients of the arguments before those of the header",
    message: "To: a@x.y\n\n",
    change: { recipientsFrom: "both", arguments: ["p, q@r"] },
    header: `${date}${id}${from}To: a@x.y\n\n`,
    forwardPaths: ["p@heaven.af.mil", "q@r.af.mil", "a@x.y"],
  },
  {
    name: "§17.196 leaves the header alone when the arguments name the recipients",
    message: "To: a@x.y\n\n",
    change: { recipientsFrom: "arguments", arguments: ["p@q.r"] },
    header: `${date}${id}${from}To: a@x.y\n\n`,
    forwardPaths: ["p@q.r"],
  },
  {
    name: "§17.197 lets no Resent-Bcc out",
    message: "Resent-Bcc: n@x.y\nResent-From: o@x.y\nDate: d\n\n",
    header: `Resent-${date}Resent-${id}Resent-Cc: recipient list not shown: ;\nResent-From: o@x.y\nDate: d\n\n`,
    forwardPaths: ["n@x.y"],
  },
  {
    name: "§17.208 begins the body at the first line that is no field, below an empty line",
    message: "To: a@x.y\nno field\n",
    header: `${date}${id}${from}To: a@x.y\n\n`,
    forwardPaths: ["a@x.y"],
  },
  {
    name: "§17.207 makes a mailbox's line a field",
    message: "From a@b Mon Sep  4\nTo: a@x.y\n",
    header: `${date}${id}${from}MBOX-Line: From a@b Mon Sep  4\nTo: a@x.y\n`,
    forwardPaths: ["a@x.y"],
  },
  {
    name: "§17.210 names a recipient as often as it was named",
    message: "To: a@x.y, a@x.y\nCc: b@x.y\n\n",
    change: { recipientsFrom: "both", arguments: ["a@x.y"] },
    header: `${date}${id}${from}To: a@x.y, a@x.y\nCc: b@x.y\n\n`,
    forwardPaths: ["a@x.y", "a@x.y", "a@x.y", "b@x.y"],
  },
  {
    name: "sends to nobody by the name of nobody",
    message: "To: <>, a@x.y\n\n",
    header: `${date}${id}${from}To: <>, a@x.y\n\n`,
    forwardPaths: ["a@x.y"],
  },
  {
    name: "§17.200 resends to the Resent fields only",
    message: "Resent-To: n@x.y\nDate: d\nFrom: o@x.y\nTo: a@x.y\n\n",
    header: `Resent-${date}Resent-${id}Resent-${from}Resent-To: n@x.y\nDate: d\nFrom: o@x.y\nTo: a@x.y\n\n`,
    forwardPaths: ["n@x.y"],
  },
  {
    name: "§17.197 §17.202 takes the reverse-path from Return-Path",
    message: "Return-Path: <r@x.y>\nTo: a@x.y\n\n",
    header: `${date}${id}${from}To: a@x.y\n\n`,
    reversePath: "r@x.y",
    forwardPaths: ["a@x.y"],
  },
  {
    name: "§17.202 ignores Return-Path with letter s",
    message: "Return-Path: <r@x.y>\n\n",
    change: { letters: new Set("s") },
    header: `${date}${id}${from}Cc: recipient list not shown: ;\n\n`,
  },
  {
    name: "makes From and Message-ID anew with letters f and i, the name as a comment with c",
    message: "From: forged@x.y\nMessage-ID: <old>\nTo: a@x.y\n\n",
    change: { letters: new Set("fic") },
    header: `${date}${id}From: joe@heaven.af.mil (Joe User)\nTo: a@x.y\n\n`,
    forwardPaths: ["a@x.y"],
  },
  {
    name: "quotes a name that needs it",
    message: "To: a@x.y\n\n",
    change: { author: { ...usual.author, name: "Joe Q. User", user: "joe.q", senderUser: "s", senderHost: "t.u" } },
    header: `${date}${id}From: "Joe Q. User" <joe.q@heaven.af.mil>\nTo: a@x.y\n\n`,
    reversePath: "s@t.u",
    forwardPaths: ["a@x.y"],
  },
  {
    name: "quotes a name with octets of other alphabets as a whole",
    message: "To: a@x.y\n\n",
    change: { author: { ...usual.author, name: "J\xf6 User" } },
    header: `${date}${id}From: "J\xf6 User" <joe@heaven.af.mil>\nTo: a@x.y\n\n`,
    forwardPaths: ["a@x.y"],
  },
  {
    name: "quotes a user that needs it",
    message: "To: a@x.y\n\n",
    change: { author: { ...usual.author, name: undefined, user: "joe user" } },
    header: `${date}${id}From: "joe user"@heaven.af.mil\nTo: a@x.y\n\n`,
    reversePath: "joe user@heaven.af.mil",
    forwardPaths: ["a@x.y"],
  },
  {
    name: "§17.209 names the lists to answer to, the last field first",
    message: "To: List@l.org, x\nCc: c@x.y\n\n",
    change: { mailingLists: new Set(["list@l.org"]) },
    header: `${date}${id}${from}Mail-Followup-To: c@x.y,\n  List@l.org,\n  x@heaven.af.mil\nTo: List@l.org, x@heaven.af.mil\nCc: c@x.y\n\n`,
    forwardPaths: ["x@heaven.af.mil", "List@l.org", "c@x.y"],
  },
  {
    name: "§17.209 names no lists for a message to others",
    message: "To: b@x.y\n\n",
    change: { mailingLists: new Set(["list@l.org"]) },
    header: `${date}${id}${from}To: b@x.y\n\n`,
    forwardPaths: ["b@x.y"],
  },
];

for (const { name, message, change, header, reversePath = "joe@heaven.af.mil", forwardPaths = [] } of completed) {
  test(title("completeMessage()", name), () => {
    const outcome = completeMessage(Buffer.from(message), { ...usual, ...change });
    if (outcome.kind !== "done") return assert.fail(outcome.text);
    const { body: _, ...rest } = outcome.value;
    assert.deepEqual(rest, { header, reversePath, forwardPaths });
  });
}

const reversePaths: readonly { change: Partial<Injection>; reversePath: string; returnPath?: string }[] = [
  { change: { letters: new Set("m") }, reversePath: "joe-810362814.42@heaven.af.mil" },
  { change: { letters: new Set("r") }, reversePath: "joe-@heaven.af.mil-@[]" },
  { change: { letters: new Set("rm") }, reversePath: "joe-810362814.42-@heaven.af.mil-@[]" },
  { change: { letters: new Set("r") }, returnPath: "list-@x.y", reversePath: "list-@x.y-@[]" },
  { change: { letters: new Set("rm"), reversePath: "f@g" }, returnPath: "q@x.y", reversePath: "f@g.af.mil" },
  { change: { reversePath: "" }, reversePath: "" },
  { change: { reversePath: "<>" }, reversePath: "" },
  { change: { reversePath: "#@[]" }, reversePath: "#@[]" },
];

for (const { change, reversePath, returnPath } of reversePaths) {
  test(`§17.202 §17.203 completeMessage() sends from <${reversePath}>`, () => {
    const message = Buffer.from(returnPath ? `Return-Path: <${returnPath}>\n\n` : "\n");
    const outcome = completeMessage(message, { ...usual, ...change });
    assert.equal(outcome.kind === "done" && outcome.value.reversePath, reversePath);
  });
}

const refused = [
  { name: "a sender field", message: 'From: "a\n\n', text: /unable to parse this line:\nFrom: "a$/ },
  { name: "a recipient field", message: "To: (a\n\n", text: /unable to parse this line/ },
  {
    name: "an argument",
    message: "\n",
    change: { arguments: ["a@b>"], recipientsFrom: "both" },
    text: /unable to parse address: a@b>/,
  },
] as const;

for (const { name, message, text, ...rest } of refused) {
  test(`completeMessage() refuses ${name} it cannot read`, () => {
    const outcome = completeMessage(Buffer.from(message), { ...usual, ...("change" in rest ? rest.change : {}) });
    assert.equal(outcome.kind, "permanent");
    assert.match(outcome.kind === "permanent" ? outcome.text : "", text);
  });
}
