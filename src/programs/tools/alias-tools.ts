import { readFileSync } from "node:fs";
import { parseAliases } from "../../protocol/alias-file/aliases.ts";
import {
  decodeTable,
  encodeCommands,
  encodeTable,
  type ForwardTable,
} from "../../protocol/alias-file/forward-table.ts";
import { parseForwardText, writeForwardText } from "../../protocol/alias-file/forward-text.ts";
import { parseRecipients } from "../../protocol/alias-file/recipients.ts";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { errorCode } from "../../services/maildir/file.ts";
import { replaceFile } from "./replace-file.ts";
import { type Call, exitDone, exitTemporary, fail, misused, readTable } from "./tool.ts";

const usualAliases = "/etc/aliases";

/** newaliases [FILE]: makes FILE.cdb from the aliases in FILE (/etc/aliases), whole or not at all. */
export function newaliases(call: Call): number {
  const [file = usualAliases, ...more] = call.args;
  if (more.length > 0) return misused(call, "[FILE]");
  return make(call, `${file}.cdb`, `${file}.tmp`, () => {
    const text = readText(file);
    return text.kind === "done" ? compiled(parseAliases(text.value), file) : text;
  });
}

/** setforward CDB TEMPORARY: makes CDB, by way of TEMPORARY, from instructions on standard input. */
export async function setforward(call: Call): Promise<number> {
  const [file, temporaryPath, ...more] = call.args;
  if (file === undefined || temporaryPath === undefined || more.length > 0) return misused(call, "CDB TEMPORARY");
  const text = await readTable();
  return make(call, file, temporaryPath, () =>
    text.kind === "done" ? compiled(parseForwardText(text.value), "standard input") : text,
  );
}

/** printforward < CDB: shows one, as setforward reads it. */
export async function printforward(call: Call): Promise<number> {
  const text = await readTable();
  if (text.kind !== "done") return fail(call, text);
  const table = decodeTable(Buffer.from(text.value, "latin1"));
  if (table.kind !== "done") return fail(call, table);
  process.stdout.write(writeForwardText(table.value), "latin1");
  return exitDone;
}

/** newinclude FILE: makes FILE.bin, which an alias `:include:FILE` uses, from the addresses in FILE. */
export function newinclude(call: Call): number {
  const [file, ...more] = call.args;
  if (file === undefined || more.length > 0) return misused(call, "FILE");
  return make(call, `${file}.bin`, `${file}.tmp`, () => {
    const text = readText(file);
    if (text.kind !== "done") return text;
    const recipients = parseRecipients(text.value);
    if (recipients.kind !== "done") return recipients;
    const other = recipients.value.find(({ kind }) => kind !== "address");
    if (other) return permanent("3.5", `${file}: only addresses may stand there, not ${other.kind} ${other.text}`);
    return done(
      Buffer.from(
        encodeCommands(recipients.value.map(({ text: address }) => ({ kind: "forward", text: address }))),
        "latin1",
      ),
    );
  });
}

function compiled(table: Outcome<ForwardTable>, file: string): Outcome<Buffer> {
  return table.kind === "done" ? encodeTable(table.value) : permanent("3.5", `${file}: ${table.text}`);
}

/** Whatever is wrong, what was there stays, and the code is 111: mail waits for the next try. */
function make(call: Call, file: string, temporaryPath: string, content: () => Outcome<Buffer>): number {
  const made = content();
  const written = made.kind === "done" ? replaceFile(file, temporaryPath, made.value) : made;
  if (written.kind === "done") return exitDone;
  fail(call, written);
  return exitTemporary;
}

function readText(path: string): Outcome<string> {
  try {
    return done(readFileSync(path, "latin1"));
  } catch (error) {
    return temporary("3.0", `unable to read ${path}: ${errorWords(errorCode(error))}`);
  }
}
