import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const source = join(import.meta.dirname, "../../src");

export interface Powerful {
  readonly program: string;
  readonly power: string;
  /** The most lines of code it may have, its own and with all it imports: kept small on purpose. */
  readonly own: number;
  readonly all: number;
}

/** The programs whose fault costs more than their own client's mail, and the power they have. */
export const powerful: readonly Powerful[] = [
  {
    program: "supervise",
    power: "root: starts everything; parses control/ and what its programs tell it",
    own: 1_500,
    all: 4_200,
  },
  { program: "launcher", power: "root until the walls are up, a few milliseconds", own: 120, all: 750 },
  {
    program: "local",
    power: "root: becomes any user; parses frames from queue, directory, pop3d and its workers, and users/",
    own: 1_420,
    all: 3_200,
  },
  { program: "queue", power: "no right but its folder; can lose mail", own: 2_400, all: 5_300 },
];

/** The bounds above, as Markdown. */
export const renderPower = (): string =>
  [
    "| program | own lines, at most | with all it imports, at most | its power |",
    "| --- | --- | --- | --- |",
    ...powerful.map(({ program, own, all, power }) => `| ${program} | ${own} | ${all} | ${power} |`),
  ].join("\n");

/** How many lines of code a program has: its own, and with all it imports. Neither blank lines nor comments count. */
export function countLines(program: string): { readonly own: number; readonly all: number } {
  const files = reached(join(source, "programs", program, "main.ts"));
  const own = files.filter((file) => relative(source, file).startsWith(`programs/${program}/`));
  return { own: linesIn(own), all: linesIn(files) };
}

/** The files a module loads, itself included: types are not loaded. */
function reached(main: string): string[] {
  const found = [main];
  for (const file of found) {
    for (const [, names, from] of readFileSync(file, "utf8").matchAll(importOrExport)) {
      const path = join(dirname(file), from ?? "");
      if (!isTypesOnly(names ?? "") && existsSync(path) && !found.includes(path)) found.push(path);
    }
  }
  return found;
}

const importOrExport = /^(?:import|export) ([^"';]*?) ?from "(\.[^"]+)";$/gm;
const isTypesOnly = (names: string): boolean =>
  names.startsWith("type ") ||
  (names.startsWith("{") &&
    names
      .slice(1, -1)
      .split(",")
      .map((name) => name.trim())
      .filter(Boolean)
      .every((name) => name.startsWith("type ")));

const linesIn = (files: readonly string[]): number => files.reduce((sum, file) => sum + linesOfCode(file), 0);

function linesOfCode(file: string): number {
  const code = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  return code.split("\n").filter((line) => line.trim() !== "" && !line.trim().startsWith("//")).length;
}
