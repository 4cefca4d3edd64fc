import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SyntaxKind } from "typescript/unstable/ast";
import { createScanner } from "typescript/unstable/ast/scanner";
import { whySlow } from "./regular-expressions.ts";

const top = join(import.meta.dirname, "../..");

/** After these a slash divides; after all else it begins a regular expression. */
const operands: readonly SyntaxKind[] = [
  SyntaxKind.Identifier,
  SyntaxKind.NumericLiteral,
  SyntaxKind.BigIntLiteral,
  SyntaxKind.StringLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateTail,
  SyntaxKind.CloseParenToken,
  SyntaxKind.CloseBracketToken,
  SyntaxKind.CloseBraceToken,
  SyntaxKind.ThisKeyword,
];

/** All regular expressions of a TypeScript source, as they stand there. */
function expressionsOf(source: string): readonly string[] {
  const scanner = createScanner(true);
  scanner.setText(source);
  const found: string[] = [];
  const templates: number[] = []; // open braces within each template that is open
  let before: SyntaxKind = SyntaxKind.Unknown;
  for (let kind = scanner.scan(); kind !== SyntaxKind.EndOfFile; kind = scanner.scan()) {
    const depth = templates.length - 1;
    if ((kind === SyntaxKind.SlashToken || kind === SyntaxKind.SlashEqualsToken) && !operands.includes(before)) {
      kind = scanner.reScanSlashToken();
      found.push(scanner.getTokenText());
    } else if (kind === SyntaxKind.OpenBraceToken && depth >= 0) templates[depth] = (templates[depth] ?? 0) + 1;
    else if (kind === SyntaxKind.CloseBraceToken && depth >= 0) {
      if (templates[depth] === 0) {
        templates.pop();
        kind = scanner.reScanTemplateToken(false);
      } else templates[depth] = (templates[depth] ?? 0) - 1;
    }
    if (kind === SyntaxKind.TemplateHead || kind === SyntaxKind.TemplateMiddle) templates.push(0);
    before = kind;
  }
  return found;
}

const slow = [
  "(a*)*",
  "(a+)+b",
  "^(a|ab)*c",
  "^(?:[a-z]|[a-f]x)+$",
  "^a*a*$",
  "^\\s*\\s+x",
  "a+b",
  "\\s+$",
  "^(?:a{2,})*",
  "^[ \\t]*[^x]*y",
  "^.*.*$",
];
const quick = [
  "^a*b",
  "a",
  "^[0-9]{1,20}$",
  "[^a-z]",
  "^(?:a|b)*c",
  "^a+ b+$",
  "[a-z]+",
  "x[0-9]+y",
  "^(?:250|251) ",
  "^[a-z]+(?=:)",
];
for (const source of slow) test(`whySlow() finds ${source}`, () => assert.notEqual(whySlow(source, ""), undefined));
for (const source of quick)
  test(`whySlow() has nothing against ${source}`, () => assert.equal(whySlow(source, ""), undefined));

test("expressionsOf() knows an expression from a division and a template", () => {
  const template = "`$\x7b`$\x7b/in/}` + {}} $\x7b1 / 2}`";
  const source = `const a = b / c / d; x(/[/]x/g); ${template}; if (/=a/.test(a[0] / 2)) {} // /no/`;
  assert.deepEqual(expressionsOf(source), ["/[/]x/g", "/in/", "/=a/"]);
});

test("no regular expression in src/ can take more than linear time", () => {
  const files = globSync("src/**/*.ts", { cwd: top }).filter((file) => !/\.test\.ts$|\.testing\.ts$/.test(file));
  let count = 0;
  const wrong: string[] = [];
  for (const file of files) {
    for (const text of expressionsOf(readFileSync(join(top, file), "utf8"))) {
      count++;
      const end = text.lastIndexOf("/");
      const why = whySlow(text.slice(1, end), text.slice(end + 1));
      if (why) wrong.push(`${file}: ${text}: ${why}`);
    }
  }
  assert.ok(count > 30, `${count} found`);
  assert.deepEqual(wrong, []);
});

test("no regular expression in src/ is made from text", () => {
  for (const file of globSync("src/**/*.ts", { cwd: top }).filter((name) => !/\.test\.ts$/.test(name))) {
    assert.doesNotMatch(readFileSync(join(top, file), "utf8"), /\bRegExp\(/, file);
  }
});
