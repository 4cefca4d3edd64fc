import assert from "node:assert/strict";
import { test } from "node:test";
import { expandVerp, isVerp, markVerp, stripVerp, type VerpDelimiters, xverpOf } from "./verp.ts";

const cases = [
  { name: "§17.223 expands", reversePath: "list-@h-@[]", to: "u@d", expanded: "list-u=d@h", stripped: "list-@h" },
  {
    name: "splits both at the last @",
    reversePath: "joe-list-owner-@heaven.af.mil-@[]",
    to: "joe-99b@heaven.af.mil",
    expanded: "joe-list-owner-joe-99b=heaven.af.mil@heaven.af.mil",
    stripped: "joe-list-owner-@heaven.af.mil",
  },
  {
    name: "keeps an @ in local parts",
    reversePath: "a@b-@h-@[]",
    to: "x@y@d",
    expanded: "a@b-x@y=d@h",
    stripped: "a@b-@h",
  },
  {
    name: "§17.224 takes a sender without another @ literally",
    reversePath: "list-@[]",
    to: "u@d",
    expanded: "list-@[]",
    stripped: "list-@[]",
  },
  {
    name: "leaves a recipient without @ alone",
    reversePath: "l-@h-@[]",
    to: "u",
    expanded: "l-@h-@[]",
    stripped: "l-@h",
  },
  { name: "leaves the double bounce sender", reversePath: "#@[]", to: "u@d", expanded: "#@[]", stripped: "#@[]" },
  { name: "leaves the empty sender", reversePath: "", to: "u@d", expanded: "", stripped: "" },
  { name: "leaves an ordinary sender", reversePath: "a-@h", to: "u@d", expanded: "a-@h", stripped: "a-@h" },
] as const;

/** The number of the statement, if there is one, goes first. */
const title = (subject: string, name: string): string => name.replace(/^(§17\.\d+ )?/, `$1${subject} `);

for (const { name, reversePath, to, expanded, stripped } of cases) {
  test(title("expandVerp() and stripVerp()", name), () => {
    assert.equal(expandVerp(reversePath, to), expanded);
    assert.equal(stripVerp(reversePath), stripped);
  });
}

const asked: readonly (readonly [delimiters: VerpDelimiters, marked: string, expanded: string])[] = [
  [["+", "="], "list+@h-@[]", "list+u=d@h"],
  [["-", "="], "list-@h-@[]", "list-u=d@h"],
  [["=", "-"], "list=@h-@[-]", "list=u-d@h"],
  [["-", "+"], "list-@h-@[+]", "list-u+d@h"],
];

for (const [delimiters, marked, expanded] of asked) {
  test(`§17.226 markVerp() marks a sender for XVERP=${delimiters.join("")}`, () => {
    assert.equal(markVerp("list@h", delimiters), marked);
    assert.ok(isVerp(marked));
    assert.equal(expandVerp(marked, "u@d"), expanded);
    assert.equal(stripVerp(marked), `list${delimiters[0]}@h`);
    assert.deepEqual(xverpOf(marked), { reversePath: "list@h", delimiters: delimiters.join("") });
  });
}

for (const reversePath of ["list@h", "list@h-@[]", "-@h-@[]", "list-@[]", "#@[]", ""]) {
  test(`xverpOf() cannot say <${reversePath}> to another server`, () => {
    assert.equal(xverpOf(reversePath), undefined);
  });
}
