import { compiledControl } from "../../protocol/control/compiled.ts";
import { controlRows, describeDefault, shownLines, valueLines } from "../../protocol/control/describe.ts";
import { foreignControl } from "../../protocol/control/foreign.ts";
import { defaultOf, parseControl } from "../../protocol/control/parse.ts";
import { readControlFiles } from "../../services/control-folder/control-folder.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { type Call, exitDone, fail } from "./tool.ts";

/** qmail-showctl: the settings, and every control file with what it means. */
export function showctl(call: Call): number {
  const layout = findLayout(undefined, call.environment);
  const files = readControlFiles(layout.control);
  if (files.kind !== "done") return fail(call, files);
  const places = Object.entries(layout).map(([name, path]) => `${name}: ${path}.`);
  const fixed = ["user-ext delimiter: -.", "paternalism (in decimal): 2.", "subdirectory split: none."];
  process.stdout.write([...places, ...fixed, "", ...describeControls(files.value), ""].join("\n"), "latin1");
  return exitDone;
}

/** A paragraph for every control file there can be, then one for every other that is there. */
export function describeControls(files: ReadonlyMap<string, string>): readonly string[] {
  const meText = files.get("me");
  const me = meText === undefined ? undefined : parseControl("me", meText);
  const hostname = me?.kind === "done" ? String(me.value) : "localhost";
  const known = controlRows().flatMap(([name, control]) => {
    const text = files.get(name);
    if (text === undefined) {
      const lines = valueLines(defaultOf(control, hostname));
      return [`${name}: (Default.) ${lines.length > 0 ? lines.join(", ") : describeDefault(control)}.`];
    }
    const parsed = parseControl(name, text);
    if (parsed.kind !== "done") return [`${name}: Oops! ${parsed.text}.`];
    const lines = shownLines(name, parsed.value);
    return control.kind === "list" || control.kind === "map"
      ? [`${name}:`, ...lines.map((line) => `  ${line}`)]
      : [`${name}: ${lines.join("")}.`];
  });
  const names = new Set<string>(controlRows().map(([name]) => name));
  const others = [...files.keys()].filter((name) => !names.has(name)).map(describeOther);
  return [...known, "", ...others];
}

function describeOther(name: string): string {
  if (compiledControl(name)) return `${name}: read, as made by its compiler.`;
  const why = foreignControl(name);
  return why === undefined
    ? `${name}: I have no idea what this file does.`
    : `${name}: qmail's; no effect here: ${why}.`;
}
