import { parseId } from "./assign.ts";

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** Reads /etc/passwd. Lines it cannot make sense of are passed over; the first of several with one name counts. */
export function parsePasswd(text: string): ReadonlyMap<string, Account> {
  const accounts = new Map<string, Account>();
  for (const line of text.split("\n")) {
    const account = parsePasswdLine(line);
    if (account && !accounts.has(account.name)) accounts.set(account.name, account);
  }
  return accounts;
}

/** One line of /etc/passwd, unless it is none. */
export function parsePasswdLine(line: string): Account | undefined {
  const [name = "", , uid = "", gid = "", , home = ""] = line.split(":");
  if (name === "" || !isId(uid) || !isId(gid) || !home.startsWith("/")) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), home };
}

/** 4294967295 would be "no change" to the calls that change ids, and larger ones another user. */
const isId = (text: string): boolean => parseId(text) !== undefined;
