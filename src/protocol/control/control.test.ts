import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { controlRows, describeBounds, describeDefault, describedControl, findFaults, valueLines } from "./describe.ts";
import { controlDocument } from "./document.ts";
import { parseControl, readSettings } from "./parse.ts";

const values = [
  { name: "me", text: "mail.example.org \t\r\nsecond\n", value: "mail.example.org" },
  { name: "me", text: "  leading", value: "  leading" },
  { name: "doublebounceto", text: "", value: "" },
  { name: "queuelifetime", text: "100\n", value: 100 },
  { name: "locals", text: "# no\na\n\nb \n#c\n d\n", value: ["a", "b", " d"] },
  { name: "locals", text: "", value: [] },
  {
    name: "virtualdomains",
    text: "Dom.Example:joe\n:all\n.x:\ndom.example:jim:1\n",
    value: [
      ["dom.example", "jim:1"],
      ["", "all"],
      [".x", ""],
    ],
  },
] as const;

for (const { name, text, value } of values) {
  test(`parseControl() reads ${name} from ${JSON.stringify(text)}`, () => {
    assert.deepEqual(parseControl(name, text), { kind: "done", value });
  });
}

const wrong = [
  { name: "nosuch", text: "1", why: "control/nosuch: there is no such control file" },
  { name: "toString", text: "1", why: "control/toString: there is no such control file" },
  { name: "queuelifetime", text: "", why: 'control/queuelifetime: "" is not a number of seconds' },
  { name: "queuelifetime", text: "-5", why: 'control/queuelifetime: "-5" is not a number of seconds' },
  { name: "queuelifetime", text: "7d", why: 'control/queuelifetime: "7d" is not a number of seconds' },
  {
    name: "concurrencylocal",
    text: "10001",
    why: "control/concurrencylocal: 10001 is not between 0 and 10000 deliveries",
  },
  { name: "relayclients", text: "all", why: 'control/relayclients: "all" is no address and no network' },
  { name: "smtproutes", text: ":host:port", why: 'control/smtproutes: ":host:port" names no host and port' },
  { name: "extensiondelimiters", text: "-x", why: 'control/extensiondelimiters: "-x" would divide names anywhere' },
  { name: "bounceformat", text: "html", why: 'control/bounceformat: "html" is neither dsn nor qsbmf' },
  { name: "smtproutes", text: "no colon", why: 'control/smtproutes: "no colon" has no colon' },
] as const;

for (const { name, text, why } of wrong) {
  test(`parseControl() refuses ${name} with ${JSON.stringify(text)}`, () => {
    const parsed = parseControl(name, text);
    assert.equal(parsed.kind, "permanent");
    assert.equal(parsed.kind === "permanent" && parsed.text, why);
  });
}

test("readSettings() fills in defaults, those from control/me too, and tells what was there", () => {
  const settings = readSettings(
    new Map([
      ["me", "m.example\n"],
      ["rcpthosts", ""],
    ]),
  );
  if (settings.kind !== "done") return assert.fail(settings.text);
  const { locals, helohost, queuelifetime, present } = settings.value;
  assert.deepEqual(
    { locals, helohost, queuelifetime, present },
    {
      locals: ["m.example"],
      helohost: "m.example",
      queuelifetime: 604_800,
      present: ["me", "rcpthosts"],
    },
  );
});

test("readSettings() and findFaults() tell all that is wrong at once", () => {
  const files = new Map([
    ["me", "a"],
    ["nosuch", ""],
    ["databytes", "x"],
  ]);
  const settings = readSettings(files);
  assert.equal(settings.kind, "permanent");
  assert.deepEqual(findFaults(files), [
    "control/nosuch: there is no such control file",
    'control/databytes: "x" is not a number of octets',
  ]);
  assert.equal(settings.kind === "permanent" && settings.text, findFaults(files).join("\n"));
});

test("every control file has a meaning, a reader, and a default that is within its own bounds", () => {
  for (const [name, control] of controlRows()) {
    assert.ok(control.meaning !== "" && control.readBy.length > 0 && describeBounds(control) !== "", name);
    assert.ok(describeDefault(control) !== "", name);
    if (control.kind !== "integer") continue;
    assert.equal(parseControl(name, String(control.default)).kind, "done", name);
  }
});

test("valueLines() gives the lines that parse to the value again", () => {
  assert.deepEqual(
    valueLines([
      ["a", "b:c"],
      ["", "d"],
    ]),
    ["a:b:c", ":d"],
  );
  assert.deepEqual(valueLines(["a", "b"]), ["a", "b"]);
  assert.deepEqual(valueLines(5), ["5"]);
});

test("describedControl() knows no file that is not in the table", () => {
  assert.equal(describedControl("constructor"), undefined);
});

test("docs/control-files.md is what the table says", () => {
  const page = readFileSync(new URL("../../../docs/control-files.md", import.meta.url), "utf8");
  assert.equal(page, controlDocument(), "make it anew with src/programs/postern/document-controls.ts");
});

const octets = (text: string): string => Buffer.from(text).toString("latin1");
const international: readonly (readonly [name: string, text: string, value: unknown])[] = [
  ["me", "mail.müller.example", "mail.xn--mller-kva.example"],
  ["locals", "here.example\nmüller.example", ["here.example", "xn--mller-kva.example"]],
  ["rcpthosts", ".müller.example", [".xn--mller-kva.example"]],
  ["mailboxdomains", "MÜLLER.example:create", ["xn--mller-kva.example:create"]],
  [
    "badmailfrom",
    "jörg@müller.example\n@.müller.example",
    ["jörg@xn--mller-kva.example", "@.xn--mller-kva.example"].map(octets),
  ],
  ["badmailfrom", "jörg@", [octets("jörg@")]],
  ["virtualdomains", "müller.example:jörg", [["xn--mller-kva.example", octets("jörg")]]],
  ["smtproutes", ".müller.example:relay", [[".xn--mller-kva.example", "relay"]]],
  ["defaultdelivery", "./Häuser/", [octets("./Häuser/")]],
];
for (const [name, text, value] of international) {
  test(`parseControl() reads ${name} ${JSON.stringify(text)} with its domains in A-labels`, () =>
    assert.deepEqual(parseControl(name, octets(text)), { kind: "done", value }));
}

test("parseControl() refuses a domain in latin1, and one that cannot be", () => {
  for (const text of ["m\xfcller.example", octets("m／ller.ä")]) {
    assert.equal(parseControl("locals", text).kind, "permanent");
  }
});
