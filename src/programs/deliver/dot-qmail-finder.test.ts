import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { nodeFiles } from "../../services/maildir/files.ts";
import { createDotQmailFinder } from "./dot-qmail-finder.ts";
import { realGround } from "./ground.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-dot-qmail-"));
after(() => rmSync(folder, { recursive: true }));
const laterMs = 60_000;

/** `happens` between two searches; `looks`: whether the second goes to the files at all. */
const cases = [
  { name: "looks once where nothing changes", happens: () => {}, looks: false, text: undefined },
  {
    name: "finds a file that was written since",
    happens: (home: string) => writeFileSync(join(home, ".qmail-a"), "./new/\n"),
    looks: true,
    text: "./new/\n",
  },
  {
    name: "finds a default that was moved there since",
    happens(home: string) {
      writeFileSync(`${home}.text`, "./moved/\n");
      renameSync(`${home}.text`, join(home, ".qmail-default"));
    },
    looks: true,
    text: "./moved/\n",
  },
  {
    name: "finds the target of a link that led nowhere",
    before: (home: string) => symlinkSync(`${home}.target`, join(home, ".qmail-a")),
    happens: (home: string) => writeFileSync(`${home}.target`, "./target/\n"),
    looks: true,
    text: "./target/\n",
  },
  {
    name: "finds a file in a folder below",
    extension: "a/b",
    before: (home: string) => mkdirSync(join(home, ".qmail-a")),
    happens: (home: string) => writeFileSync(join(home, ".qmail-a", "b"), "./below/\n"),
    looks: true,
    text: "./below/\n",
  },
  {
    name: "finds what is in another folder of that name",
    happens(home: string) {
      renameSync(home, `${home}.old`);
      mkdirSync(home);
      writeFileSync(join(home, ".qmail-a"), "./other/\n");
    },
    looks: true,
    text: "./other/\n",
  },
  {
    name: "finds a file of the name alone, where the extension is a tag",
    isTagged: true,
    happens: (home: string) => writeFileSync(join(home, ".qmail"), "./alone/\n"),
    looks: true,
    text: "./alone/\n",
  },
  {
    name: "looks again in a folder that changed just before the first look",
    happens: () => {},
    sinceMs: 1_000,
    looks: true,
    text: undefined,
  },
];

for (const [
  number,
  { name, extension = "a", isTagged = false, before, happens, sinceMs = laterMs, looks, text },
] of cases.entries()) {
  test(`createDotQmailFinder() ${name}`, () => {
    const path = join(folder, `home${number}`);
    mkdirSync(path);
    before?.(path);
    let looked = 0;
    const stat = (file: string) => {
      looked++;
      return nodeFiles.stat(file);
    };
    const nowMs = statSync(path).ctimeMs + sinceMs;
    const find = createDotQmailFinder({ ...realGround(), files: { ...nodeFiles, stat }, nowMs: () => nowMs });
    const search = () => find({ path, dash: "-", extension, isTagged, makesMaildir: false, stat: statSync(path) });
    assert.deepEqual(search(), { kind: "done", value: undefined });
    looked = 0;
    happens(path);
    const found = search();
    assert.equal(found.kind === "done" && found.value?.text, text);
    assert.equal(looked > 0, looks);
  });
}
