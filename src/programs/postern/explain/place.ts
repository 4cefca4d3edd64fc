import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describedControl } from "../../../protocol/control/describe.ts";
import type { Control } from "../../../protocol/control/table.ts";
import type { Tried } from "../../../protocol/routing/tell.ts";

/** One rule that was tried, and where it stands. */
export interface Step {
  /** The file, and the line that decided: `control/locals:3`. */
  readonly where: string;
  /** That line. */
  readonly text?: string;
  readonly says: string;
}

export interface Section {
  readonly title: string;
  readonly steps: readonly Step[];
  /** What all of it comes to. */
  readonly result: string;
}

/** Finds the file and the line that a rule was read from. */
export type PlaceFinder = (tried: Tried) => Step;

/** Looks in the control files, given by name, and in users/assign. */
export function createPlaceFinder(control: ReadonlyMap<string, string>, usersFolder: string): PlaceFinder {
  return ({ source, entry, says }) => {
    const described = describedControl(source);
    if (!described && !source.startsWith("users/")) {
      return { where: source, ...(entry !== undefined && { text: entry }), says };
    }
    const file = described ? `control/${source}` : source;
    const text = described ? control.get(source) : usersText(usersFolder, source);
    const line = text === undefined || entry === undefined ? undefined : lineOf(text, entry, described?.kind === "map");
    if (line) return { where: `${file}:${line.number}`, text: line.text, says };
    const cdb = compiledNames.get(source);
    const where =
      entry !== undefined && cdb !== undefined && control.has(cdb)
        ? `control/${cdb}`
        : `${file}${noteOn(described, text)}`;
    return { where, ...(entry !== undefined && { text: entry }), says };
  };
}

const compiledNames = new Map([
  ["morercpthosts", "morercpthosts.cdb"],
  ["smtprules", "tcp.smtp.cdb"],
]);

function noteOn(described: Control | undefined, text: string | undefined): string {
  if (!described || text !== undefined) return "";
  return typeof described.default === "object" && "fromMe" in described.default ? " (as control/me)" : " (no file)";
}

/** Of a map the last line of a key counts, of a list the first. */
function lineOf(
  text: string,
  entry: string,
  isMap: boolean,
): { readonly number: number; readonly text: string } | undefined {
  const wanted = entry.toLowerCase();
  const lines = text
    .split("\n")
    .map((line, at) => ({ text: line.trimEnd(), number: at + 1 }))
    .filter((line) => line.text !== "" && !line.text.startsWith("#"));
  const isIt = ({ text: line }: { readonly text: string }): boolean => {
    const found = line.toLowerCase();
    return found.startsWith(`${wanted}:`) || (!isMap && found === wanted);
  };
  return isMap ? lines.findLast(isIt) : lines.find(isIt);
}

function usersText(usersFolder: string, source: string): string | undefined {
  if (source !== "users/assign") return undefined;
  try {
    return readFileSync(join(usersFolder, "assign"), "latin1");
  } catch {
    return undefined;
  }
}
