import assert from "node:assert/strict";
import { sortRecipients } from "../../../src/programs/tools/dot-forward.ts";
import { parseAliases } from "../../../src/protocol/alias-file/aliases.ts";
import {
  decodeCommands,
  decodeTable,
  encodeTable,
  expand,
  type ForwardTable,
} from "../../../src/protocol/alias-file/forward-table.ts";
import { parseForwardText, writeForwardText } from "../../../src/protocol/alias-file/forward-text.ts";
import { parseRecipients } from "../../../src/protocol/alias-file/recipients.ts";
import { fromLine } from "../../../src/protocol/mbox/from-line.ts";
import { parseFromLine } from "../../../src/protocol/mbox/parse-from-line.ts";
import { createMboxQuoter } from "../../../src/protocol/mbox/quote.ts";
import { createMboxScanner } from "../../../src/protocol/mbox/split.ts";
import { takeStatus } from "../../../src/protocol/mbox/status.ts";
import { createMboxUnquoter } from "../../../src/protocol/mbox/unquote.ts";
import { done } from "../../../src/protocol/outcome.ts";
import type { Row } from "../explore.ts";
import { mutated } from "../mutate.ts";

const aliasSeeds = [
  '# all\npostmaster: root\nroot: joe@here, "Ann B" <ann@there>\nteam: joe,\n\tbob@far\nowner-team: ann\n',
  'a: b\nb: a, :include:/l\n@d: x@y (c, d)\nu@d: \\u\n"q n": z\n',
];
const forwardSeeds = [
  "# mine\na@b, c\n\\me\n",
  '"|/bin/x -a \\"b, c\\"", d\n/file\n:include:/l\n',
  "Joe <a@b>, (x) c\n",
];
const textSeeds = ["joe: &a@b, c@d;\nann@x :|cat\\, x , ?owner-x,\n <\\ /l;\nnone:;\n"];
const statusSeeds = ["Status: RO\nX-Status: AF\nSubject: x\n\ty\n", "A: b\nstatus:\n O\nX-STATUS : DT\n"];
const fromSeeds = ["From a@b Thu Jan  1 00:00:01 1970", "From x Sun Nov 01 01:02 -0130 2026", "From me to you"];
const messageWords = ["From ", ">", "\n", "\n\n", "F", "rom ", "a", ": b", ">>From ", "Status: R"];

const include = (path: string) => decodeCommands(path.length % 2 === 0 ? "&a\0<b\0" : "");

function survivesCdb(table: ForwardTable): Buffer {
  const file = encodeTable(table);
  assert.ok(file.kind === "done");
  assert.deepEqual(decodeTable(file.value), done(table));
  return file.value;
}

const aliases: Row = {
  name: "alias file",
  cases: 1_500,
  check(source) {
    const table = parseAliases(mutated(source, aliasSeeds));
    if (table.kind !== "done") return assert.match(table.text, /^line [0-9]+: /);
    const file = survivesCdb(table.value);
    for (const name of [...table.value.keys()].slice(0, 5)) {
      const expanded = expand(file, name, include);
      if (expanded.kind !== "done" || expanded.value === undefined) continue;
      assert.ok(expanded.value.forwardPaths.every((address) => address !== "" && !address.includes("\0")));
      assert.deepEqual(expanded.value.programs, [], "an alias file starts nothing");
    }
  },
};

const forwardText: Row = {
  name: "setforward's text",
  cases: 1_500,
  check(source) {
    const table = parseForwardText(mutated(source, textSeeds));
    if (table.kind !== "done") return;
    survivesCdb(table.value);
    assert.deepEqual(parseForwardText(writeForwardText(table.value)), table);
  },
};

const dotForward: Row = {
  name: ".forward",
  cases: 1_500,
  check(source) {
    const recipients = parseRecipients(mutated(source, forwardSeeds));
    if (recipients.kind !== "done") return;
    const own = new Set(["me", "me@here"]);
    const sorted = sortRecipients(recipients.value, own, (path) => parseRecipients(`:include:${path}x, me`));
    if (sorted.kind !== "done") return;
    assert.ok(sorted.value.forwardPaths.every((address) => address !== "" && !own.has(address.toLowerCase())));
  },
};

const mboxReading: Row = {
  name: "mbox, read again",
  cases: 1_500,
  check(source) {
    const messages = source.list(4, () => `${source.text(messageWords)}\n`);
    const quote = (message: string): Buffer => {
      const quoter = createMboxQuoter();
      return Buffer.concat([Buffer.from(fromLine("a@b", 0)), ...quoter.write(Buffer.from(message)), ...quoter.end()]);
    };
    const mbox = Buffer.concat(messages.map(quote));
    const scanner = createMboxScanner();
    const starts = source.pieces(mbox).flatMap((piece) => scanner.write(piece).map(({ at }) => at));
    const read = starts.map((at, n) => {
      const octets = mbox.subarray(mbox.indexOf(10, at) + 1, (starts[n + 1] ?? mbox.length) - 1);
      const unquoter = createMboxUnquoter();
      return Buffer.concat([
        ...source.pieces(octets).flatMap((piece) => [...unquoter.write(piece)]),
        ...unquoter.end(),
      ]);
    });
    assert.deepEqual(read.map(String), messages);
  },
};

const mboxOfOthers: Row = {
  name: "mbox of others",
  cases: 1_500,
  check(source) {
    const mbox = Buffer.from(mutated(source, [`${fromSeeds[0]}\nA: b\n\nc\n\n${fromSeeds[1]}\nd\n`]), "latin1");
    const whole = createMboxScanner().write(mbox);
    const scanner = createMboxScanner();
    assert.deepEqual(
      source.pieces(mbox).flatMap((piece) => [...scanner.write(piece)]),
      whole,
    );
    for (const { at, line } of whole) assert.equal(mbox.toString("latin1", at, at + 5), line.slice(0, 5));
    const { atMs } = parseFromLine(mutated(source, fromSeeds));
    assert.ok(atMs === undefined || Number.isFinite(atMs));
  },
};

const status: Row = {
  name: "Status fields",
  cases: 1_500,
  check(source) {
    const header = mutated(source, statusSeeds);
    const taken = takeStatus(header);
    assert.match(taken.flags, /^D?F?R?S?T?$/);
    assert.ok(taken.header.length <= header.length);
    assert.deepEqual(takeStatus(taken.header), { isNew: true, flags: "", header: taken.header });
  },
};

export const toolsRows: readonly Row[] = [aliases, forwardText, dotForward, mboxReading, mboxOfOthers, status];
