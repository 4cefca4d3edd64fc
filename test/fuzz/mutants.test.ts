/** Deliberate faults that the short form must find, by the promise they break. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { temporaryFolder, tree } from "../support/server.ts";
import type * as Explore from "./explore.ts";
import type * as Table from "./table.ts";

/** In `file`, below src/protocol/, the text `from` becomes `to`; the row of table.ts that must notice. */
const mutants: readonly {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly row: string;
}[] = [
  {
    name: "P6: a frame longer than any may be is waited for",
    file: "wire/frame.ts",
    from: 'const length = chunk.readUInt32BE(at);\n      if (length > maxPayloadOctets) return "broken";',
    to: "const length = chunk.readUInt32BE(at);",
    row: "frames",
  },
  {
    name: "P6: a length has no bound",
    file: "netstring.ts",
    from: 'return length > mostOctets ? "broken" : "more";',
    to: 'return "more";',
    row: "netstring length",
  },
  {
    name: "P7: a length may begin with zeros",
    file: "netstring.ts",
    from: "|| length === 0) return",
    to: ") return",
    row: "netstring length",
  },
  {
    name: "P7: a dot that begins a piece of a message is not doubled",
    file: "smtp/stuff.ts",
    from: "if (atLineStart && chunk[from] === DOT)",
    to: "if (from > 0 && atLineStart && chunk[from] === DOT)",
    row: "dot stuffing",
  },
  {
    name: "P8: the log shows text as it came",
    file: "event/classic.ts",
    from: "octet < 33 || octet > 126 || octet === 0x25",
    to: "octet < 0",
    row: "events",
  },
  {
    name: "P12: a hop that is cut in two is not counted",
    file: "smtp/hops.ts",
    from: "if (lineFeed < 0) break;",
    to: 'if (lineFeed < 0) {\n        begin = "-";\n        break;\n      }',
    row: "hop counter",
  },
];

for (const { name, file, from, to, row: rowName } of mutants) {
  test(`a mutant is caught: ${name}`, async (t) => {
    const copy = temporaryFolder();
    t.after(() => rmSync(copy, { recursive: true, force: true }));
    for (const part of ["src", "test/fuzz", "package.json"]) {
      cpSync(join(tree, part), join(copy, part), { recursive: true });
    }
    symlinkSync(join(tree, "node_modules"), join(copy, "node_modules"));
    symlinkSync(join(tree, "test/support"), join(copy, "test/support"));
    const path = join(copy, "src/protocol", file);
    const code = readFileSync(path, "utf8");
    assert.equal(code.split(from).length, 2, `${file} has exactly one "${from}"`);
    writeFileSync(
      path,
      code.replace(from, () => to),
    );
    const load = async (module: string) => await import(pathToFileURL(join(copy, "test/fuzz", module)).href);
    const { rows } = (await load("table.ts")) as typeof Table;
    const { checkSeed } = (await load("explore.ts")) as typeof Explore;
    const row = rows.find(({ name }) => name === rowName);
    assert.ok(row);
    let seed = 1;
    while (seed <= row.cases && !checkSeed(row, seed)) seed++;
    t.diagnostic(`found by case ${seed}`);
    assert.ok(seed <= row.cases);
  });
}
