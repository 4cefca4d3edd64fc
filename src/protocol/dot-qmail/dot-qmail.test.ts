import assert from "node:assert/strict";
import { test } from "node:test";
import { environmentOf } from "./environment.ts";
import { errorWords, isTemporaryError } from "./error-words.ts";
import { programEnd } from "./exit-code.ts";
import { parseDotQmail } from "./lines.ts";
import { createHeaderSearch } from "./loop.ts";
import { forwardReversePath } from "./owner.ts";
import { localReport } from "./report.ts";
import { dotQmailNames, ownerNames } from "./search.ts";

const searches: readonly (readonly [string, string, readonly (readonly [string, string | undefined])[]])[] = [
  [
    "",
    "",
    [
      [".qmail", undefined],
      [".qmaildefault", ""],
    ],
  ],
  [
    "-",
    "a",
    [
      [".qmail-a", undefined],
      [".qmail-default", "a"],
    ],
  ],
  [
    "-",
    "a-",
    [
      [".qmail-a-", undefined],
      [".qmail-a-default", ""],
      [".qmail-default", "a-"],
    ],
  ],
  [
    "-",
    "a-b-c",
    [
      [".qmail-a-b-c", undefined],
      [".qmail-a-b-default", "c"],
      [".qmail-a-default", "b-c"],
      [".qmail-default", "a-b-c"],
    ],
  ],
  [
    "-",
    "Foo.Bar",
    [
      [".qmail-foo:bar", undefined],
      [".qmail-default", "Foo.Bar"],
    ],
  ],
  [
    "-",
    "x-Default",
    [
      [".qmail-x-default", "Default"],
      [".qmail-x-default", "Default"],
      [".qmail-default", "x-Default"],
    ],
  ],
  [
    "-/",
    "a",
    [
      [".qmail-/a", undefined],
      [".qmail-/default", "a"],
    ],
  ],
];
for (const [dash, extension, names] of searches) {
  test(`dotQmailNames() of "${dash}" "${extension}", in order`, () => {
    assert.deepEqual(
      dotQmailNames(dash, extension).map(({ name, matched }) => [name, matched]),
      names,
    );
  });
}

test("ownerNames() uses the whole extension", () => {
  assert.deepEqual(ownerNames("-", "List.A-x"), {
    owner: ".qmail-list:a-x-owner",
    verp: ".qmail-list:a-x-owner-default",
  });
});

const blank = "fail Uh-oh: first line of .qmail file is blank. (#4.2.1)";
const noFile = "fail Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)";
const noProgram = "fail Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)";
const files: readonly (readonly [string, boolean, readonly string[]])[] = [
  ["./Maildir/\n", false, ["maildir ./Maildir/"]],
  ["./Mailbox", false, ["mbox ./Mailbox"]],
  ["/var/mail/joe\n/m/joe/\n", false, ["mbox /var/mail/joe", "maildir /m/joe/"]],
  ["|exit 99 \t\n", false, ["program exit 99"]],
  ["&joe@example.org\n", false, ["forward joe@example.org"]],
  ["joe@example.org\n joe@x\n", false, ["forward joe@example.org", "forward  joe@x"]],
  ["&\n", false, ["forward "]],
  ["\n./Maildir/\n", false, [blank]],
  [" \t\n./Maildir/\n", false, [blank]],
  ["# only a comment\n", false, []],
  ["# comment\n\n./Maildir/\n", false, ["maildir ./Maildir/"]],
  ["+list\n./Maildir/\n", false, [noFile]],
  ["./a/\n+list\n|true\nx@y\n", false, ["maildir ./a/", noProgram, "forward x@y"]],
  ["+other\n./a/\n", false, ["maildir ./a/"]],
  ["./a\n|true\nx@y\n", true, [noFile, noProgram, "forward x@y"]],
  ["./a\0b/\n", false, ["mbox ./a"]],
  [".\n", false, ["mbox ."]],
];
for (const [text, forwardOnly, instructions] of files) {
  test(`parseDotQmail() reads ${JSON.stringify(text)}${forwardOnly ? ", for forwards only" : ""}`, () => {
    const shown = parseDotQmail(text, forwardOnly).map((it) => {
      if (it.kind === "fail") return `fail ${it.failure.text}`;
      return `${it.kind} ${it.kind === "program" ? it.command : it.kind === "forward" ? it.forwardPath : it.path}`;
    });
    assert.deepEqual(shown, instructions);
  });
}

const recipient = {
  user: "joe",
  home: "/home/joe",
  local: "joe-List-a-b",
  domain: "mail.example.org",
  extension: "List-a-b",
  reversePath: "a b@example.com",
};
const at = { matched: undefined, newReversePath: "joe-owner@x", atMs: Date.UTC(1995, 8, 6, 4, 46, 54) };
const environments: readonly (readonly [string, Partial<typeof recipient>, Record<string, string>])[] = [
  [
    "the common names",
    {},
    {
      USER: "joe",
      HOME: "/home/joe",
      LOCAL: "joe-List-a-b",
      HOST: "mail.example.org",
      RECIPIENT: "joe-List-a-b@mail.example.org",
      SENDER: "a b@example.com",
      NEWSENDER: "joe-owner@x",
      DTLINE: "Delivered-To: joe-List-a-b@mail.example.org\n",
      RPLINE: 'Return-Path: <"a b"@example.com>\n',
      UFLINE: "From a-b@example.com Wed Sep 06 04:46:54 1995\n",
    },
  ],
  ["extensions", {}, { EXT: "List-a-b", EXT2: "a-b", EXT3: "b", EXT4: "" }],
  ["no extension", { extension: "" }, { EXT: "", EXT2: "", EXT3: "", EXT4: "" }],
  ["hosts", {}, { HOST2: "mail.example", HOST3: "mail", HOST4: "mail" }],
  ["a host without a dot", { domain: "local" }, { HOST2: "local", HOST3: "local", HOST4: "local" }],
  [
    "the empty sender",
    { reversePath: "" },
    { RPLINE: "Return-Path: <>\n", UFLINE: "From MAILER-DAEMON Wed Sep 06 04:46:54 1995\n" },
  ],
  ["line ends in addresses", { local: "a\nb" }, { DTLINE: "Delivered-To: a_b@mail.example.org\n" }],
];
for (const [name, changed, expected] of environments) {
  test(`environmentOf() has ${name}`, () => {
    const environment = Object.fromEntries(environmentOf({ ...recipient, ...changed }, at));
    for (const [variable, value] of Object.entries(expected)) assert.equal(environment[variable], value, variable);
    assert.equal("DEFAULT" in environment, false);
  });
}
test("environmentOf() sets DEFAULT when a default file was found, even to nothing", () => {
  assert.equal(Object.fromEntries(environmentOf(recipient, { ...at, matched: "" })).DEFAULT, "");
  assert.equal(Object.fromEntries(environmentOf(recipient, { ...at, matched: "A.b" })).DEFAULT, "A.b");
});

const owners = [
  { reversePath: "a@b", owner: false, verp: false, becomes: "a@b" },
  { reversePath: "a@b", owner: true, verp: false, becomes: "l-owner@h" },
  { reversePath: "a@b", owner: true, verp: true, becomes: "l-owner-@h-@[]" },
  { reversePath: "a@b", owner: false, verp: true, becomes: "a@b" },
  { reversePath: "", owner: true, verp: true, becomes: "" },
  { reversePath: "#@[]", owner: true, verp: true, becomes: "#@[]" },
];
for (const { reversePath, becomes, ...has } of owners) {
  test(`forwardReversePath() of <${reversePath}> with ${JSON.stringify(has)} is <${becomes}>`, () => {
    assert.equal(forwardReversePath({ local: "l", domain: "h" }, reversePath, has), becomes);
  });
}

const line = "Delivered-To: a@b\n";
const loops: readonly (readonly [string, string, boolean])[] = [
  ["in the header", "Subject: x\nDelivered-To: a@b\n\nbody\n", true],
  ["as the first line", "Delivered-To: a@b\n", true],
  ["in the body only", "Subject: x\n\nDelivered-To: a@b\n", false],
  ["in another case", "Delivered-to: a@b\n\n", false],
  ["as a part of a line", "X-Delivered-To: a@b\nDelivered-To: a@bc\n Delivered-To: a@b\n\n", false],
  ["without a line end", "Delivered-To: a@b", false],
  ["nowhere", "", false],
  ["that ends in CR LF", "Subject: x\r\nDelivered-To: a@b\r\n\r\nbody\r\n", true],
  ["in a body behind CR LF CR LF", "Subject: x\r\n\r\nDelivered-To: a@b\r\n", false],
  ["with two CR", "Delivered-To: a@b\r\r\n", false],
  ["that begins with CR", "\rx\nDelivered-To: a@b\n", true],
  ["after a longer line", "Delivered-To: a@bDelivered-To: a@b\nDelivered-To: a@b\n", true],
];
for (const [name, message, found] of loops) {
  for (const size of [1, 2, 3, 7, Math.max(1, message.length)]) {
    test(`createHeaderSearch() for a line ${name}, ${size} octets at a time: ${found}`, () => {
      const search = createHeaderSearch(line);
      let seen = false;
      for (let from = 0; from < message.length; from += size)
        seen = search(Buffer.from(message.slice(from, from + size)));
      assert.equal(seen, found);
    });
  }
}

test("programEnd() knows qmail's codes, and takes all others for temporary", () => {
  const permanent = [100, 64, 65, 70, 76, 77, 78, 112];
  for (let code = 0; code < 256; code++) {
    const expected =
      code === 0 ? "success" : code === 99 ? "stop" : permanent.includes(code) ? "permanent" : "temporary";
    assert.equal(programEnd(code), expected, `exit code ${code}`);
  }
});

test("§17.52 localReport() cuts at 3000 octets to 2997, and at a NUL", () => {
  assert.equal(localReport("x".repeat(3000)).length, 3000);
  const cut = localReport("x".repeat(3001));
  assert.equal(cut.length, 2997);
  assert.ok(cut.endsWith("x\nError report too long, sorry.\n"));
  assert.equal(localReport("a\0b"), "a");
});

test("errorWords() and isTemporaryError() follow qmail's lists", () => {
  assert.equal(errorWords("ENOSPC"), "out of disk space");
  assert.equal(errorWords("EWHATEVER"), "unknown error");
  assert.deepEqual(["ENOENT", "EACCES", "EPERM", "ENOSPC", "EIO"].map(isTemporaryError), [
    false,
    false,
    false,
    true,
    true,
  ]);
});
