import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { type AssignTable, parseAssign } from "../../protocol/users/assign.ts";
import { parseUsersCdb } from "../../protocol/users/users-cdb.ts";
import { errorCode } from "../maildir/file.ts";

/** Who is assigned what, and which file says so. */
export interface Assignments {
  /** "users/cdb" or "users/assign"; `undefined` when there is neither, and nobody is assigned anything. */
  readonly source: "users/cdb" | "users/assign" | undefined;
  readonly table: AssignTable;
}

const nobody: Assignments = { source: undefined, table: { exact: new Map(), wildcards: new Map() } };

/**
 * Reads users/cdb, or users/assign when it is newer or alone. Fails, for now, when the one that counts cannot be read or
 * is damaged: the other may say something else.
 */
export function readAssignments(usersFolder: string): Outcome<Assignments> {
  let tried = usersFolder;
  const changed = (name: string): number | undefined => {
    tried = join(usersFolder, name);
    return statSync(tried, { throwIfNoEntry: false })?.mtimeMs;
  };
  try {
    const assignMs = changed("assign");
    const cdbMs = changed("cdb");
    if (cdbMs !== undefined && cdbMs >= (assignMs ?? 0)) {
      return sourced("users/cdb", parseUsersCdb(readFileSync(tried)));
    }
    if (assignMs === undefined) return done(nobody);
    tried = join(usersFolder, "assign");
    return sourced("users/assign", parseAssign(readFileSync(tried, "latin1")));
  } catch (error) {
    const code = errorCode(error);
    return temporary("3.5", `cannot read ${tried}: ${code}`);
  }
}

/** What tells one version of the two files from another; "" when that cannot be told. */
export function assignmentsVersion(usersFolder: string): string {
  try {
    return ["assign", "cdb"]
      .map((name) => statSync(join(usersFolder, name), { throwIfNoEntry: false }))
      .map((stat) => (stat ? `${stat.ino} ${stat.size} ${stat.mtimeMs}` : "none"))
      .join("; ");
  } catch {
    return "";
  }
}

const sourced = (source: "users/cdb" | "users/assign", table: Outcome<AssignTable>): Outcome<Assignments> =>
  table.kind === "done" ? done({ source, table: table.value }) : table;
