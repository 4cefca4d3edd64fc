import { compiledControl, parseCompiled } from "./compiled.ts";
import { foreignControl } from "./foreign.ts";
import { parseControl } from "./parse.ts";
import {
  type Control,
  type ControlName,
  type ControlValue,
  controls,
  type Described,
  isSecret,
  type Settings,
} from "./table.ts";

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

/** As `valueLines`, for a list of many: how many lines there are of what is secret, or too long to be read there. */
export function shownLines(name: ControlName, value: ControlValue): readonly string[] {
  const lines = valueLines(value);
  if (lines.length === 0 || !(isSecret(name) || name === "tlscas")) return lines;
  return [`(${lines.length} ${lines.length === 1 ? "line" : "lines"})`];
}

/** The settings without the secrets of others than `program`. */
export function withoutSecrets(settings: Settings, program: string): Settings {
  const hidden = controlRows().filter(([name, { readBy }]) => isSecret(name) && !readBy.some((one) => one === program));
  return { ...settings, ...Object.fromEntries(hidden.map(([name, { default: nothing }]) => [name, nothing])) };
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
