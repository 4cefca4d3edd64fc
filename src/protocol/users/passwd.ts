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
    const [name = "", , uid = "", gid = "", , home = ""] = line.split(":");
    if (name === "" || accounts.has(name) || !isId(uid) || !isId(gid) || !home.startsWith("/")) continue;
    accounts.set(name, { name, uid: Number(uid), gid: Number(gid), home });
  }
  return accounts;
}

const isId = (text: string): boolean => /^[0-9]{1,10}$/.test(text);
