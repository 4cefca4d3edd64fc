import assert from "node:assert/strict";
import { test } from "node:test";
import { permanent } from "../outcome.ts";
import { parseAliases } from "./aliases.ts";
import { type Command, decodeCommands, decodeTable, encodeCommands, encodeTable, expand } from "./forward-table.ts";
import { parseForwardText, writeForwardText } from "./forward-text.ts";
import { parseRecipients } from "./recipients.ts";

const lists: readonly { list: string; recipients: readonly string[] }[] = [
  { list: "", recipients: [] },
  { list: " a@b , c\n\n# none, at@all\nd@e", recipients: ["address a@b", "address c", "address d@e"] },
  { list: "Joe, User <a@b>", recipients: ["address Joe", "address a@b"] },
  { list: '"User, Joe" <a@b> (a, b), c', recipients: ["address a@b", "address c"] },
  { list: "\\joe, |vacation joe", recipients: ["mailbox joe", "program vacation joe"] },
  { list: '"|/bin/x -a \\"b, c\\"", \'d\'', recipients: ['program /bin/x -a "b, c"', "address 'd'"] },
  { list: "/var/mail/joe, :include:/etc/list", recipients: ["file /var/mail/joe", "include /etc/list"] },
  { list: " \\voil\xc3\xa0, b", recipients: ["mailbox voil\xc3\xa0", "address b"] },
  { list: '"a b"@c', recipients: ["address a b@c"] },
  { list: "<>", recipients: [] },
];
for (const { list, recipients } of lists) {
  test(`parseRecipients() reads ${JSON.stringify(list)}`, () => {
    const read = parseRecipients(list);
    assert.ok(read.kind === "done");
    assert.deepEqual(
      read.value.map(({ kind, text }) => `${kind} ${text}`),
      recipients,
    );
  });
}
for (const list of ["\\", "|", ":include: ", "a\0", "<a@b", '"a', "a@b>", "(a"]) {
  test(`parseRecipients() refuses ${list}`, () => assert.equal(parseRecipients(list).kind, "permanent"));
}

const etcAliases = `# who gets what
postmaster: root
root:	joe@here, "Ann B" <ann@there>
Team: joe,
	bob@far
owner-team: ann
circle: round
round: circle, x@y
self: self, other@z
list: :include:/etc/list
@virtual.example: all@here
joe@virtual.example: only@joe
nobody:
loop: pool
pool: loop
`;
const compiled = (text: string): Buffer => {
  const table = parseAliases(text);
  assert.ok(table.kind === "done", JSON.stringify(table));
  const file = encodeTable(table.value);
  assert.ok(file.kind === "done");
  return file.value;
};
const included = (path: string) =>
  path === "/etc/list"
    ? decodeCommands(encodeCommands([{ kind: "forward", text: "postmaster" }]))
    : permanent("3.5", `no ${path}`);

const expansions: readonly { address: string; to: string; owner?: string }[] = [
  { address: "postmaster@any.example", to: "joe@here ann@there" },
  { address: "ROOT", to: "joe@here ann@there" },
  { address: "team@x", to: "joe bob@far", owner: "owner-team" },
  { address: "circle", to: "x@y" },
  { address: "self", to: "self other@z" },
  { address: "list@x", to: "joe@here ann@there" },
  { address: "joe@virtual.example", to: "only@joe" },
  { address: "ann@virtual.example", to: "all@here" },
  { address: "nobody", to: "" },
  { address: "unknown@x", to: "none" },
];
for (const { address, to, owner } of expansions) {
  test(`expand() makes ${address} ${to || "nothing"}`, () => {
    const expanded = expand(compiled(etcAliases), address, included);
    assert.ok(expanded.kind === "done");
    if (to === "none") return assert.equal(expanded.value, undefined);
    assert.deepEqual([...(expanded.value?.forwardPaths ?? [])].sort().join(" "), to.split(" ").sort().join(" "));
    assert.equal(expanded.value?.owner, owner);
  });
}

test("expand() fails for an alias that leads only to itself", () => {
  assert.equal(expand(compiled(etcAliases), "loop", included).kind, "permanent");
});

const wrong = [
  { text: "no colon\n", says: "line 1: no name and colon" },
  { text: "a: b\n\n: c\n", says: "line 3: no name and colon" },
  { text: "a: b\nc: |prog\n", says: "line 2: program prog: put it into ~alias/.qmail-NAME instead" },
  { text: "a: /file\n", says: "line 1: file /file: put it into ~alias/.qmail-NAME instead" },
  { text: "a: <b\n", says: "line 1: cannot read the recipient <b" },
];
for (const { text, says } of wrong) {
  test(`parseAliases() refuses ${JSON.stringify(text)}`, () => {
    const table = parseAliases(text);
    assert.equal(table.kind === "permanent" && table.text, says);
  });
}

test("parseForwardText() reads what writeForwardText() writes, and the cdb gives it back", () => {
  const text = "# two\njoe: &a@b, c@d;\nANN@x :|cat\\, and dog , ?owner-x,\n <\\ /list\\;;\nnone:;\n";
  const table = parseForwardText(text);
  assert.ok(table.kind === "done");
  const commands = (name: string): readonly Command[] => table.value.get(name) ?? [];
  assert.deepEqual([...table.value.keys()], ["joe", "ann@x", "none"]);
  assert.deepEqual(commands("ann@x"), [
    { kind: "program", text: "cat, and dog" },
    { kind: "owner", text: "owner-x" },
    { kind: "include", text: " /list;" },
  ]);
  assert.deepEqual(parseForwardText(writeForwardText(table.value)), table);
  const file = encodeTable(table.value);
  assert.ok(file.kind === "done");
  assert.deepEqual(decodeTable(file.value), table);
});
for (const text of ["joe", "joe: a", "joe: a,", ": a;", "joe: a; x"]) {
  test(`parseForwardText() refuses ${text}`, () => assert.equal(parseForwardText(text).kind, "permanent"));
}
