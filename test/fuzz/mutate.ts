import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Source } from "./source.ts";

/** Octets that mean something to some parser. */
const telling = [
  ...[
    "\0",
    "\t",
    "\n",
    "\r",
    "\r\n",
    " ",
    '"',
    "\\",
    "%",
    "(",
    ")",
    ",",
    ".",
    "..",
    "/",
    ":",
    ";",
    "<",
    ">",
    "@",
    "[",
    "]",
  ],
  ...["-", "=", "#", "&", "|", "+", "\x7f", "\x80", "\xff", "\x1b[2J", "\r\n.\r\n", "\n.\n", "\nFrom ", "\nBcc: x@y\n"],
  ...["0", "00", "1", "-1", "255", "256", "65535", "65536", "2147483647", "2147483648", "4294967295", "4294967296"],
  ...["9007199254740991", "9007199254740992", "18446744073709551615", "1e9", "NaN", "__proto__", "constructor"],
];

/** A seed, changed in a few places; now and then a piece of it many times over. Latin1. */
export function mutated(source: Source, seeds: readonly string[], words: readonly string[] = telling): string {
  let text = source.pick(seeds);
  for (let changes = source.size(8); changes > 0; changes--) {
    const at = source.below(text.length + 1);
    const end = Math.min(text.length, at + source.size(64));
    text = text.slice(0, at) + replacement(source, text.slice(at, end), seeds, words) + text.slice(end);
  }
  return text;
}

function replacement(source: Source, taken: string, seeds: readonly string[], words: readonly string[]): string {
  switch (source.below(8)) {
    case 0:
      return "";
    case 1:
      return taken + source.pick(words);
    case 2:
      return source.pick(words);
    case 3:
      return taken + taken;
    case 4:
      return source.octets(16).toString("latin1");
    case 5: {
      const other = source.pick(seeds);
      return other.slice(source.below(other.length + 1));
    }
    case 6:
      return taken.replace(/[a-z]/g, (letter) => letter.toUpperCase());
    default:
      return (taken || source.pick(words)).repeat(source.oneIn(50) ? 2_000 : 1 + source.below(5));
  }
}

/** The seeds in a file: one a line, latin1, with `\r`, `\n`, `\t`, `\\` and `\xHH` for what cannot stand there. */
export function readSeeds(name: string): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, "seeds", `${name}.txt`), "latin1");
  return text
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => line.replace(/\\(x[0-9a-f]{2}|.)/g, (_, code: string) => unescaped(code)));
}

function unescaped(code: string): string {
  if (code.length === 3) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
  return (
    new Map([
      ["r", "\r"],
      ["n", "\n"],
      ["t", "\t"],
    ]).get(code) ?? code
  );
}
