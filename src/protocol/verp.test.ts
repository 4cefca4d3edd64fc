import assert from "node:assert/strict";
import { test } from "node:test";
import { expandVerp, stripVerp } from "./verp.ts";

const cases = [
  { name: "expands", reversePath: "list-@h-@[]", to: "u@d", expanded: "list-u=d@h", stripped: "list-@h" },
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
    name: "takes a sender without another @ literally",
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

for (const { name, reversePath, to, expanded, stripped } of cases) {
  test(`expandVerp() and stripVerp() ${name}`, () => {
    assert.equal(expandVerp(reversePath, to), expanded);
    assert.equal(stripVerp(reversePath), stripped);
  });
}
