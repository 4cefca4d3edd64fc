import type { Buffer } from "node:buffer";
import { readCdb } from "../cdb/read.ts";
import { writeCdb } from "../cdb/write.ts";
import { done, type Outcome, temporary } from "../outcome.ts";
import { type Assignment, type AssignTable, parseId } from "./assign.ts";

/** Keys of addresses begin so; the empty key holds the last characters of all wildcards that are not empty. */
const mark = "!";

/** users/cdb of these assignments, in qmail-newu's form (spec §5.2). */
export function usersCdb(table: AssignTable): Outcome<Buffer> {
  const last = new Set([...table.wildcards.keys()].filter((key) => key !== "").map((key) => key.slice(-1)));
  return writeCdb([
    ["", [...last].join("")],
    ...[...table.exact].map(([key, assignment]) => [`${mark}${key}\0`, dataOf(assignment)] as const),
    ...[...table.wildcards].map(([key, assignment]) => [`${mark}${key}`, dataOf(assignment)] as const),
  ]);
}

/**
 * Reads users/cdb, whoever made it. Any fault makes the whole file unusable, for now. A wildcard whose last character
 * is not among those under the empty key is not found by qmail, and not by us.
 */
export function parseUsersCdb(file: Buffer): Outcome<AssignTable> {
  const read = readCdb(file);
  if (read.kind !== "done") return temporary(read.status, `users/cdb: ${read.text}`);
  const exact = new Map<string, Assignment>();
  const wildcards = new Map<string, Assignment>();
  const last = new Set(read.value.get("") ?? "");
  for (const [key, data] of read.value) {
    if (key === "") continue;
    const assignment = key.startsWith(mark) ? assignmentOf(data) : undefined;
    if (!assignment) return temporary("3.5", `users/cdb: bad record ${JSON.stringify(key)}`);
    if (key.endsWith("\0")) exact.set(key.slice(1, -1), assignment);
    else if (key === mark || last.has(key.slice(-1))) wildcards.set(key.slice(1), assignment);
  }
  return done({ exact, wildcards });
}

const dataOf = ({ user, uid, gid, home, dash, extension }: Assignment): string =>
  [user, uid, gid, home, dash, extension].join("\0");

function assignmentOf(data: string): Assignment | undefined {
  const fields = data.split("\0");
  const [user = "", uid = "", gid = "", home = "", dash = "", extension = ""] = fields;
  const ids = [parseId(uid), parseId(gid)] as const;
  if (fields.length !== 6 || !ids[0] || !ids[1] || !home.startsWith("/")) return undefined;
  return { user, uid: ids[0].id, gid: ids[1].id, home, dash, extension };
}
