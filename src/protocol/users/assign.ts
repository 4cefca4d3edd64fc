import { asciiLowerCase } from "../address.ts";
import { done, type Outcome, temporary } from "../outcome.ts";

/** Who takes the mail of an address: a user, a home, and the name of the file in it, `.qmail` dash extension. */
export interface Assignment {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly dash: string;
  readonly extension: string;
}

export interface FoundAssignment extends Assignment {
  /** How its line begins, in lower case: `=` or `+` and what it names. */
  readonly entry: string;
}

export interface AssignTable {
  /** By local part in lower case. */
  readonly exact: ReadonlyMap<string, Assignment>;
  /** By the beginning of the local part, in lower case; "" is every address. */
  readonly wildcards: ReadonlyMap<string, Assignment>;
}

const maxId = 4_294_967_294;

/**
 * Reads the text of users/assign. It is all right or it does not count: a file without its last line, ".", may have
 * been cut short, and mail would go to the wrong people. The first of several lines for the same address counts.
 */
export function parseAssign(text: string): Outcome<AssignTable> {
  const exact = new Map<string, Assignment>();
  const wildcards = new Map<string, Assignment>();
  const lines = text.split("\n");
  for (const [at, line] of lines.entries()) {
    if (line.startsWith(".")) return done({ exact, wildcards });
    if (at === lines.length - 1) break;
    const fields = line.split(":");
    const [address = "", user = "", uid = "", gid = "", home = "", dash = "", extension = ""] = fields;
    const ids = [parseId(uid), parseId(gid)] as const;
    if (fields.length < 8 || address === "" || line.includes("\0") || !home.startsWith("/") || !ids[0] || !ids[1]) {
      return temporary("3.5", `users/assign: bad format in line ${at + 1}`);
    }
    const table = address.startsWith("+") ? wildcards : exact;
    const key = asciiLowerCase(address.slice(1));
    if (table.has(key)) continue;
    table.set(key, { user, uid: ids[0].id, gid: ids[1].id, home, dash, extension });
  }
  return temporary("3.5", 'users/assign: the last line, ".", is missing');
}

/** The assignment of a local part, but for the one to everybody. An exact one comes first, then the longest wildcard. */
export function findAssignment(table: AssignTable, localPart: string): FoundAssignment | undefined {
  const key = asciiLowerCase(localPart);
  const exact = table.exact.get(key);
  if (exact) return { ...exact, entry: `=${key}` };
  for (let length = key.length; length > 0; length--) {
    const wildcard = table.wildcards.get(key.slice(0, length));
    if (!wildcard) continue;
    const extension = wildcard.extension + localPart.slice(length);
    return { ...wildcard, extension, entry: `+${key.slice(0, length)}` };
  }
  return undefined;
}

/** The assignment to everybody, `+:`, applied to this local part. */
export function catchAllAssignment(table: AssignTable, localPart: string): FoundAssignment | undefined {
  const everybody = table.wildcards.get("");
  return everybody && { ...everybody, extension: everybody.extension + localPart, entry: "+" };
}

/** A uid or gid. */
export function parseId(text: string): { readonly id: number } | undefined {
  const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return id <= maxId ? { id } : undefined;
}
