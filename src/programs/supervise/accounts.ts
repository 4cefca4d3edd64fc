import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { parseId } from "../../protocol/users/assign.ts";
import { type AccountName, accountNames, type Ids } from "./walls.ts";

export interface Account extends Ids {
  readonly home: string;
}

const optional: readonly AccountName[] = ["postern-hook", "postern-pop3", "postern-auth"];

/** Our accounts, out of the text of /etc/passwd. Fails with one line for each that is missing: the command that makes it. */
export function findAccounts(passwd: string): Outcome<ReadonlyMap<AccountName, Account>> {
  const found = new Map<string, Account>();
  for (const line of passwd.split("\n")) {
    const [name = "", , uid = "", gid = "", , home = ""] = line.split(":");
    const ids = [parseId(uid), parseId(gid)] as const;
    if (ids[0] && ids[1]) found.set(name, { uid: ids[0].id, gid: ids[1].id, home });
  }
  const accounts = new Map<AccountName, Account>();
  const wrong: string[] = [];
  for (const name of accountNames) {
    const account = found.get(name);
    if (!account && optional.includes(name)) continue;
    if (!account) wrong.push(missing(name));
    else if (account.uid === 0) wrong.push(`user ${name} must not be root (uid 0)`);
    else accounts.set(name, account);
  }
  return wrong.length > 0 ? permanent("3.5", wrong.join("\n")) : done(accounts);
}

/** What to do about an account that is not there. */
export const missing = (name: AccountName): string => `there is no user ${name}; create it with: ${commandFor(name)}`;

const commandFor = (name: AccountName): string =>
  `useradd --system --user-group --no-create-home --home-dir /var/lib/postern --shell /usr/sbin/nologin ${name}`;
