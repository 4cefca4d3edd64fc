import { statSync } from "node:fs";
import { join } from "node:path";
import { asciiLowerCase } from "../../protocol/address.ts";
import { writeCdb } from "../../protocol/cdb/write.ts";
import { listLines } from "../../protocol/control/parse.ts";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { parseAssign } from "../../protocol/users/assign.ts";
import { type AssignOptions, assignFromAccounts, type HomeOwner } from "../../protocol/users/pw2u.ts";
import { usersCdb } from "../../protocol/users/users-cdb.ts";
import { readControlFile, writeControlFile } from "../control-folder/control-folder.ts";
import { errorCode, pathOf } from "../maildir/file.ts";

/** Makes users/cdb from users/assign, whole or not at all; how many assignments it has. */
export async function newUsers(usersFolder: string): Promise<Outcome<number>> {
  const text = readControlFile(usersFolder, "assign");
  if (text.kind !== "done") return text;
  if (text.value === undefined) return permanent("3.5", `there is no ${join(usersFolder, "assign")}`);
  const table = parseAssign(text.value);
  if (table.kind !== "done") return table;
  const file = usersCdb(table.value);
  if (file.kind !== "done") return file;
  const written = await writeControlFile(usersFolder, "cdb", file.value.toString("latin1"));
  return written.kind === "done" ? done(table.value.exact.size + table.value.wildcards.size) : written;
}

/** Makes control/morercpthosts.cdb from control/morercpthosts, whole or not at all; how many domains it has. */
export async function newMoreHosts(controlFolder: string): Promise<Outcome<number>> {
  const text = readControlFile(controlFolder, "morercpthosts");
  if (text.kind !== "done") return text;
  if (text.value === undefined) return permanent("3.5", `there is no ${join(controlFolder, "morercpthosts")}`);
  const hosts = new Set(listLines(text.value).map(asciiLowerCase));
  const file = writeCdb([...hosts].map((host) => [host, ""]));
  if (file.kind !== "done") return file;
  const written = await writeControlFile(controlFolder, "morercpthosts.cdb", file.value.toString("latin1"));
  return written.kind === "done" ? done(hosts.size) : written;
}

/**
 * The text of users/assign for the accounts in `passwd`, with what include, exclude, mailnames, subusers and append in
 * the users folder say. Who owns a home is looked up.
 */
export function assignmentsOf(usersFolder: string, passwd: string, options: AssignOptions): Outcome<string> {
  const texts = new Map<string, string | undefined>();
  for (const name of ["include", "exclude", "mailnames", "subusers", "append"]) {
    const text = readControlFile(usersFolder, name);
    if (text.kind !== "done") return text;
    texts.set(name, text.value);
  }
  const lines = (name: string): readonly string[] | undefined => {
    const text = texts.get(name);
    return text === undefined ? undefined : listLines(text);
  };
  const files = {
    include: lines("include"),
    exclude: lines("exclude"),
    mailnames: lines("mailnames"),
    subusers: lines("subusers"),
    append: texts.get("append") ?? "",
  };
  return assignFromAccounts(passwd, files, homeOwner, options);
}

const goneCodes: readonly string[] = ["ENOENT", "ENOTDIR", "EACCES", "EPERM", "ELOOP", "ENAMETOOLONG"];

const homeOwner: HomeOwner = (home) => {
  try {
    return done(statSync(pathOf(home)).uid);
  } catch (error) {
    const code = errorCode(error);
    return goneCodes.includes(code) ? done("gone") : temporary("3.0", `cannot look at ${home}: ${code}`);
  }
};
