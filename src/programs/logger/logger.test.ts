import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLineCutter, createStamp, maxLineOctets } from "./lines.ts";
import { type Keeping, type LogFile, openLogFile } from "./log-file.ts";

const long = "x".repeat(maxLineOctets);
const cases = [
  { name: "gives whole lines only", sent: "a\nbc\nd", got: "a\nbc\n", dropped: 0 },
  { name: "gives empty lines", sent: "\n\n", got: "\n\n", dropped: 0 },
  { name: "takes a line as long as may be", sent: `${long.slice(1)}\nb\n`, got: `${long.slice(1)}\nb\n`, dropped: 0 },
  { name: "drops a line that is longer, and no other", sent: `a\n${long}\nb\n`, got: "a\nb\n", dropped: 1 },
  { name: "drops one much longer", sent: `${long}${long}${long}\nb\n`, got: "b\n", dropped: 1 },
] as const;

for (const { name, sent, got, dropped } of cases) {
  for (const size of [1, 2, 1000, 65_536]) {
    if (sent.length > 1000 && size < 1000) continue;
    test(`createLineCutter() ${name}, ${size} octets at a time`, () => {
      const cut = createLineCutter();
      const octets = Buffer.from(sent);
      const seen: Buffer[] = [];
      let lost = 0;
      for (let at = 0; at < octets.length; at += size) {
        const lines = cut(octets.subarray(at, at + size));
        seen.push(...lines.octets);
        lost += lines.dropped;
      }
      assert.deepEqual({ got: Buffer.concat(seen).toString(), dropped: lost }, { got, dropped });
    });
  }
}

const lines = [
  { name: "an event", sent: '{"event":"end"}', read: { event: "end", program: "smtpd" } },
  {
    name: "one that claims another origin",
    sent: '{"program":"queue","event":"x"}',
    read: { event: "x", program: "smtpd" },
  },
  {
    name: "one that claims it within",
    sent: '{"a":{"program":"queue"}}',
    read: { a: { program: "queue" }, program: "smtpd" },
  },
  { name: "octets of any kind", sent: '{"a":"\u00fc\u2028"}', read: { a: "\u00fc\u2028", program: "smtpd" } },
  { name: "an object that leaves room for a claim after ours", sent: '{"program":"queue","a":{}', read: undefined },
  { name: "a text that ends as an object does", sent: '{"program":"queue","a":"}', read: undefined },
  { name: "an object and a space", sent: '{"program":"queue"} ', read: "dropped" },
  { name: "an empty line", sent: "", read: "dropped" },
  { name: "what is no object", sent: '"}', read: undefined },
] as const;

for (const { name, sent, read } of lines) {
  test(`createStamp() leaves no doubt where ${name} came from`, () => {
    const { octets, dropped } = createStamp("smtpd")({ octets: [Buffer.from(`${sent}\n`)], dropped: 0 });
    const [line = "", rest] = Buffer.concat(octets).toString().split("\n");
    assert.equal(dropped, read === "dropped" ? 1 : 0);
    if (read === "dropped") assert.deepEqual([line, rest], ["", undefined]);
    else if (read === undefined) assert.throws(() => JSON.parse(line), SyntaxError);
    else assert.deepEqual([JSON.parse(line), rest], [read, ""]);
  });
}

function inFolder(check: (folder: string, open: (keeping: Keeping) => LogFile) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "postern-logger-"));
  let ms = 1_000_000_000_000;
  try {
    check(folder, (keeping) => {
      const opened = openLogFile(
        folder,
        keeping,
        () => ms++,
        (text) => Buffer.from(`${text}\n`),
      );
      if (opened.kind !== "done") return assert.fail(opened.text);
      return opened.value;
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const read = (folder: string, name: string): string => readFileSync(join(folder, name), "utf8");

test("openLogFile() appends, also after a restart, and ends a line a crash has torn", () => {
  inFolder((folder, open) => {
    writeFileSync(join(folder, "current"), "old\nto");
    const first = open({ logbytes: 1000, logfiles: 2 });
    first.write([Buffer.from("a\n"), Buffer.from("b\n")]);
    first.close();
    const second = open({ logbytes: 1000, logfiles: 2 });
    second.write([Buffer.from("c\n")]);
    second.close();
    assert.equal(read(folder, "current"), "old\nto\na\nb\nc\n");
  });
});

test("openLogFile() puts files aside at their size, and keeps so many", () => {
  inFolder((folder, open) => {
    const file = open({ logbytes: 4, logfiles: 2 });
    for (const line of ["one\n", "two\n", "three\n", "four\n"]) file.write([Buffer.from(line)]);
    file.close();
    const names = readdirSync(folder).sort();
    assert.equal(names.length, 3);
    assert.deepEqual(
      names.map((name) => read(folder, name)),
      ["two\n", "three\n", "four\n"],
    );
  });
});

test("openLogFile() drops and counts while it cannot write, and says so afterwards", () => {
  inFolder((folder, open) => {
    const file = open({ logbytes: 4, logfiles: 2 });
    file.write([Buffer.from("one\n")]);
    rmSync(join(folder, "current")); // the next write wants to put it aside, and cannot
    file.write([Buffer.from("lost\nlost\n")]);
    file.write([Buffer.from("lost\n")]);
    writeFileSync(join(folder, "current"), "");
    file.write([Buffer.from("back\n")]);
    file.close();
    assert.match(read(folder, "current"), /^3 lines were not logged: cannot write .*ENOENT.*\nback\n$/);
  });
});

test("openLogFile() writes many pieces at once", () => {
  inFolder((folder, open) => {
    const file = open({ logbytes: 1_000_000, logfiles: 2 });
    file.write(Array.from({ length: 3_000 }, (_, n) => Buffer.from(`${n}\n`)));
    file.close();
    assert.equal(read(folder, "current").split("\n").length, 3_001);
  });
});
