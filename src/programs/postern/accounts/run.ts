import { readSettings } from "../../../protocol/control/parse.ts";
import { done, type Outcome, permanent } from "../../../protocol/outcome.ts";
import { askAccounts } from "../../../services/accounts/ask-accounts.ts";
import type { AccountsAnswer, AccountsRequest, Credential } from "../../../services/accounts/request.ts";
import { readControlFiles } from "../../../services/control-folder/control-folder.ts";
import type { Layout } from "../../../services/layout/layout.ts";
import { complain, exitDone, exitNothing, say, terminalColumns } from "../command.ts";
import { renderTable } from "../table.ts";
import { readSecret } from "./secret-input.ts";

/** A word of the command line as octets. */
export const octets = (word: string): string => Buffer.from(word).toString("latin1");

/** Does it, says what came of it, and gives the code to exit with. */
export async function runRequest(layout: Layout, request: AccountsRequest, json: boolean): Promise<number> {
  const answer = await askAccounts(layout, request);
  return answer.kind === "done" ? show(request.action, answer.value, json) : complain(answer);
}

function show(action: string, { lines, rows }: AccountsAnswer, json: boolean): number {
  for (const line of lines) say(shown(line));
  const isList = action.endsWith(" list");
  if (json) for (const row of rows) say(JSON.stringify(row));
  else if (isList && rows.length > 0) say(tableOf(rows));
  else if (!isList) for (const row of rows) say(pageOf(row));
  return isList && rows.length === 0 ? exitNothing : exitDone;
}

type Row = AccountsAnswer["rows"][number];

function tableOf(rows: readonly Row[]): string {
  const names = Object.keys(rows[0] ?? {});
  const columns = names.map((name) => ({ title: titleOf(name).toUpperCase() }));
  const cells = rows.map((row) => names.map((name) => cellOf(row[name])));
  return renderTable(columns, cells, terminalColumns());
}

const pageOf = (row: Row): string =>
  Object.entries(row)
    .map(([name, value]) => `${titleOf(name).padEnd(16)}${cellOf(value)}`)
    .join("\n");

/** `quotaOctets` is "quota octets" for people. */
const titleOf = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function cellOf(value: Row[string] | undefined): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "object") return shown(value.join(", "));
  return shown(String(value ?? ""));
}

/** Octets as people read them, and nothing that a terminal would obey. */
const shown = (text: string): string =>
  Buffer.from(text, "latin1")
    .toString("utf8")
    .replace(/\p{Cc}/gu, "?");

/** The password, or with `isHash` a hash made elsewhere, from the terminal or standard input. */
export async function readCredential(layout: Layout, isHash: boolean): Promise<Outcome<Credential>> {
  const secret = await readSecret(isHash ? "hash" : "password");
  if (secret.kind !== "done") return secret;
  if (isHash) return done({ hash: secret.value.trim() });
  const keep = keepsPasswords(layout);
  return keep.kind === "done" ? done({ password: secret.value, keep: keep.value }) : keep;
}

export function keepsPasswords(layout: Layout): Outcome<boolean> {
  const files = readControlFiles(layout.control);
  if (files.kind !== "done") return files;
  const settings = readSettings(files.value);
  return settings.kind === "done" ? done(settings.value.keeppasswords === 1) : settings;
}

const units = new Map([
  ["", 1],
  ["K", 1_000],
  ["M", 1_000_000],
  ["G", 1_000_000_000],
  ["T", 1_000_000_000_000],
]);

/** "500M" as octets; 0 for no bound. */
export function sizeOf(text: string): Outcome<number> {
  const [, digits = "", unit = ""] = /^([0-9]{1,12})([KMGT]?)B?$/i.exec(text) ?? [];
  const size = Number(digits) * (units.get(unit.toUpperCase()) ?? 1);
  return digits === "" || !Number.isSafeInteger(size)
    ? permanent("5.1", `"${text}" is no size: 500M, 2G, 0 for no bound`)
    : done(size);
}
