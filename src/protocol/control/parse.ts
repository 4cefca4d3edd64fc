import { asciiLowerCase } from "../address.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import { checkControl } from "./check.ts";
import { type Compiled, compiledControl, parseCompiled } from "./compiled.ts";
import { withAsciiDomains } from "./domains.ts";
import { foreignControl } from "./foreign.ts";
import { type Control, type ControlName, type ControlValue, controls, type Settings } from "./table.ts";

const isControlName = (name: string): name is ControlName => Object.hasOwn(controls, name);

/**
 * Reads the octets of one control file by qmail's rules: trailing blanks go, `#` lines and empty lines of lists and
 * maps are passed over, of a line file only the first line counts.
 */
export function parseControl(name: string, text: string): Outcome<ControlValue> {
  if (!isControlName(name)) return permanent("3.5", `control/${name}: there is no such control file`);
  const parsed = parseKind(name, text);
  const ascii = parsed.kind === "done" ? withAsciiDomains(name, parsed.value) : parsed;
  return ascii.kind === "done" ? checkControl(name, ascii.value) : ascii;
}

function parseKind(name: ControlName, text: string): Outcome<ControlValue> {
  const control: Control = controls[name];
  switch (control.kind) {
    case "line":
      return done(firstLine(text));
    case "integer":
      return parseInteger(name, control, firstLine(text));
    case "list":
      return done(listLines(text));
    case "map":
      return parseMap(name, listLines(text));
    default:
      return control satisfies never;
  }
}

/**
 * The settings that a control folder means. qmail's files that mean nothing here are passed over. `files` holds the text of each file, by name. Fails with all that is
 * wrong, one line each, when a file is unknown or has a bad value.
 */
export function readSettings(files: ReadonlyMap<string, string>): Outcome<Settings> {
  const wrong: string[] = [];
  const values = new Map<string, ControlValue>();
  const added = new Map<Compiled, readonly string[]>();
  for (const [name, text] of files) {
    if (foreignControl(name) !== undefined) continue;
    const compiled = compiledControl(name);
    const parsed = compiled ? parseCompiled(name, compiled, text) : parseControl(name, text);
    if (parsed.kind !== "done") wrong.push(parsed.text);
    else if (compiled) added.set(compiled, parsed.value as readonly string[]);
    else values.set(name, parsed.value);
  }
  if (wrong.length > 0) return permanent("3.5", wrong.join("\n"));
  const me = (values.get("me") as string | undefined) ?? "localhost";
  const settings: Record<string, unknown> = { present: [...values.keys()] };
  for (const [name, control] of Object.entries<Control>(controls)) {
    settings[name] = values.get(name) ?? defaultOf(control, me);
  }
  for (const [{ adds, onlyWithout }, lines] of added) {
    if (!onlyWithout || !values.has(adds)) settings[adds] = [...(settings[adds] as readonly string[]), ...lines];
  }
  return done(settings as unknown as Settings);
}

/** What a control file that is missing means. */
export function defaultOf(control: Control, me: string): ControlValue {
  if (typeof control.default !== "object" || !("fromMe" in control.default)) return control.default;
  return control.kind === "list" ? [me] : me;
}

const withoutTrailingBlanks = (text: string): string => {
  let end = text.length;
  while (end > 0 && " \t\r\n".includes(text.charAt(end - 1))) end--;
  return text.slice(0, end);
};

const firstLine = (text: string): string => withoutTrailingBlanks(text.split("\n", 1)[0] ?? "");

/** The lines of a list file that count. */
export const listLines = (text: string): string[] =>
  text
    .split("\n")
    .map(withoutTrailingBlanks)
    .filter((entry) => entry !== "" && !entry.startsWith("#"));

function parseInteger(name: string, control: Control & { kind: "integer" }, text: string): Outcome<number> {
  const digits = /^[0-9]{1,15}$/.exec(text);
  if (!digits) return permanent("3.5", `control/${name}: "${text}" is not a number of ${control.unit}`);
  const value = Number(text);
  if (value < control.least || value > control.most) {
    return permanent(
      "3.5",
      `control/${name}: ${value} is not between ${control.least} and ${control.most} ${control.unit}`,
    );
  }
  return done(value);
}

function parseMap(name: string, lines: readonly string[]): Outcome<readonly (readonly [string, string])[]> {
  const map = new Map<string, string>();
  for (const entry of lines) {
    const colon = entry.indexOf(":");
    if (colon < 0) return permanent("3.5", `control/${name}: "${entry}" has no colon`);
    map.set(asciiLowerCase(entry.slice(0, colon)), entry.slice(colon + 1));
  }
  return done([...map]);
}
