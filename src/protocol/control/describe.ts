import { compiledControl, parseCompiled } from "./compiled.ts";
import { foreignControl } from "./foreign.ts";
import { parseControl } from "./parse.ts";
import { type Control, type ControlName, type ControlValue, controls, type Described } from "./table.ts";

/** The rows of the table under one type. */
export const controlRows = (): readonly (readonly [ControlName, Control & Described])[] =>
  Object.entries(controls) as (readonly [ControlName, Control & Described])[];

export const describedControl = (name: string): (Control & Described) | undefined =>
  controlRows().find(([known]) => known === name)?.[1];

/** A default, as words. */
export function describeDefault(control: Control): string {
  if (typeof control.default === "object" && "fromMe" in control.default) return "control/me";
  if (control.kind === "integer") return `${control.default} ${control.unit}`;
  return (typeof control.default === "string" ? control.default : control.default.join(", ")) || "none";
}

/** What values a control file may have, as words. */
export function describeBounds(control: Control): string {
  switch (control.kind) {
    case "line":
      return "one line";
    case "integer":
      return `${control.least} to ${control.most} ${control.unit}`;
    case "list":
      return "any number of lines";
    case "map":
      return "lines `key:value`";
    default:
      return control satisfies never;
  }
}

/** A value as the lines of its control file. */
export function valueLines(value: ControlValue): readonly string[] {
  if (typeof value !== "object") return [String(value)];
  return value.map((entry) => (typeof entry === "string" ? entry : entry.join(":")));
}

/** All that is wrong with the files of a control folder, one sentence each, the file named first. */
export function findFaults(files: ReadonlyMap<string, string>): readonly string[] {
  const faults: string[] = [];
  for (const [name, text] of files) {
    if (foreignControl(name) !== undefined) continue;
    const compiled = compiledControl(name);
    const parsed = compiled ? parseCompiled(name, compiled, text) : parseControl(name, text);
    if (parsed.kind !== "done") faults.push(parsed.text);
  }
  return faults;
}
