import {
  controlRows,
  describeBounds,
  describeDefault,
  describedControl,
  findFaults,
  shownLines,
  valueLines,
  withoutSecrets,
} from "../../protocol/control/describe.ts";
import { notesOn } from "../../protocol/control/notes.ts";
import { parseControl, readSettings } from "../../protocol/control/parse.ts";
import type { Settings } from "../../protocol/control/table.ts";
import { type Outcome, permanent } from "../../protocol/outcome.ts";
import { readControlFiles, removeControlFile, writeControlFile } from "../../services/control-folder/control-folder.ts";
import { displayPath, findLayout } from "../../services/layout/find-layout.ts";
import { type Command, complain, exitDone, readOptions, say, terminalColumns } from "./command.ts";
import { counted } from "./quantity.ts";
import { renderTable } from "./table.ts";

const usage = `usage: postern config list [--json]             all settings, and which of them have a file
       postern config get NAME [--json]         the value that counts, one entry a line
       postern config explain NAME              what it means, its default and bounds
       postern config set NAME VALUE ...        of lists and maps: each VALUE a line
       postern config set NAME --default        remove its file
       postern config check                     all that is wrong in the folder
       all of them: [--root DIR]

A change counts after postern reload. Exits 0, 100 when something is wrong, 111 when the folder cannot be read or written.`;

type Action = (words: readonly string[], context: Context) => Outcome<void> | Promise<Outcome<void>>;
interface Context {
  readonly folder: string;
  readonly json: boolean;
  readonly toDefault: boolean;
}

const actions = new Map<string, Action>([
  ["list", list],
  ["get", get],
  ["explain", explain],
  ["set", set],
  ["check", check],
]);

export const command: Command = {
  usage,
  async run(args) {
    const options = readOptions(args, { json: { type: "boolean" }, default: { type: "boolean" } });
    if (options.kind !== "done") return complain(options, usage);
    const { values, positionals } = options.value;
    const [name = "list", ...words] = positionals;
    const action = actions.get(name);
    if (!action) return complain(permanent("5.1", `config: there is no action ${name}`), usage);
    const folder = findLayout(values.root, process.env).control;
    const context = { folder, json: values.json ?? false, toDefault: values.default ?? false };
    const outcome = await action(words, context);
    return outcome.kind === "done" ? exitDone : complain(outcome);
  },
};

const nothing: Outcome<void> = { kind: "done", value: undefined };

function readAll(folder: string): Outcome<Settings> {
  const files = readControlFiles(folder);
  return files.kind === "done" ? readSettings(files.value) : files;
}

function list(_: readonly string[], { folder, json }: Context): Outcome<void> {
  const settings = readAll(folder);
  if (settings.kind !== "done") return settings;
  const present = new Set<string>(settings.value.present);
  if (json) {
    say(JSON.stringify(withoutSecrets(settings.value, "")));
    return nothing;
  }
  const rows = controlRows().map(([name, control]) => [
    name,
    shownLines(name, settings.value[name]).join(", "),
    control.kind === "integer" ? control.unit : "",
    present.has(name) ? "set" : "default",
  ]);
  const columns = [{ title: "NAME" }, { title: "VALUE", least: 20 }, { title: "UNIT" }, { title: "FROM" }];
  say(renderTable(columns, rows, terminalColumns()));
  return nothing;
}

const unknown = (name: string | undefined): Outcome<never> =>
  permanent(
    "5.1",
    name === undefined ? "which control file?" : `there is no control file ${name}; see: postern config list`,
  );

function get([name]: readonly string[], { folder, json }: Context): Outcome<void> {
  const [known] = controlRows().find(([candidate]) => candidate === name) ?? [];
  if (known === undefined) return unknown(name);
  const settings = readAll(folder);
  if (settings.kind !== "done") return settings;
  const value = settings.value[known];
  if (json) say(JSON.stringify(value));
  else for (const line of valueLines(value)) say(line);
  return nothing;
}

function explain([name]: readonly string[]): Outcome<void> {
  const control = name === undefined ? undefined : describedControl(name);
  if (!control) return unknown(name);
  say(`${name}: ${control.meaning}

  kind      ${control.kind}: ${describeBounds(control)}
  default   ${describeDefault(control)}
  read by   ${control.readBy.join(", ")}
  since     ${control.since}`);
  return nothing;
}

async function set([name, ...values]: readonly string[], { folder, toDefault }: Context): Promise<Outcome<void>> {
  const control = name === undefined ? undefined : describedControl(name);
  if (name === undefined || !control) return unknown(name);
  if (toDefault && values.length > 0) return permanent("5.1", "--default and a value: which of them is meant?");
  if (toDefault) {
    const removed = await removeControlFile(folder, name);
    if (removed.kind === "done") say(`${name}: default, ${describeDefault(control)}; now: postern reload`);
    return removed;
  }
  const isLine = control.kind === "line" || control.kind === "integer";
  if (values.length === 0 || (isLine && values.length > 1)) {
    return permanent("5.1", `${name} takes ${isLine ? "one value" : "its lines as values"}, or --default`);
  }
  const strange = values.find((value) => /[\n\r\0]/.test(value));
  if (strange !== undefined) return permanent("5.1", `${name}: a value is one line`);
  const text = `${Buffer.from(values.join("\n")).toString("latin1")}\n`;
  const parsed = parseControl(name, text);
  if (parsed.kind !== "done") return parsed;
  const written = await writeControlFile(folder, name, text);
  if (written.kind === "done") say(`${name}: ${valueLines(parsed.value).join(", ")}; now: postern reload`);
  return written;
}

function check(_: readonly string[], { folder }: Context): Outcome<void> {
  const files = readControlFiles(folder);
  if (files.kind !== "done") return files;
  const faults = findFaults(files.value);
  if (faults.length > 0) {
    return permanent(
      "3.5",
      `${counted(faults.length, "control file")} wrong in ${displayPath(folder)}\n${faults.join("\n")}`,
    );
  }
  for (const note of notesOn(files.value)) say(note);
  say(`${counted(files.value.size, "control file")} in ${displayPath(folder)}, nothing wrong`);
  return nothing;
}
