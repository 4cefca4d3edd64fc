import { parseQuota } from "../../../protocol/maildir/quota.ts";
import { done, type Outcome, permanent } from "../../../protocol/outcome.ts";
import type { AccountsRequest } from "../../../services/accounts/request.ts";
import { readVpopmail } from "../../../services/import/virtual-accounts.ts";

type Users = Extract<AccountsRequest, { readonly action: "user import" }>["users"];

/**
 * Users from lines ADDRESS:HASH[:QUOTA], or of vpopmail in `folder`: by their password where vpopmail keeps it, else by
 * their hash. `keep`: such a password is kept as it is.
 */
export function importedUsers(
  source: { readonly lines: string } | { readonly folder: string },
  keep: boolean,
): Outcome<Users> {
  if ("lines" in source) return usersInLines(source.lines);
  const domains = readVpopmail(source.folder);
  if (domains.kind !== "done") return domains;
  return done(
    domains.value.flatMap(({ name: domain, accounts }) =>
      accounts.map(({ name, hash, quota, clear, forbids }) => ({
        address: `${name}@${domain}`,
        credential: clear === "" ? { hash } : { password: clear, keep },
        quota,
        forbids,
      })),
    ),
  );
}

function usersInLines(text: string): Outcome<Users> {
  const users: Users[number][] = [];
  for (const [at, line] of text.split("\n").entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const rest = line.slice(colon + 1);
    const last = rest.lastIndexOf(":");
    const quota = last < 0 ? "" : rest.slice(last + 1);
    if (colon < 1 || (quota !== "" && !parseQuota(quota))) {
      return permanent("5.1", `line ${at + 1} is not ADDRESS:HASH or ADDRESS:HASH:QUOTA`);
    }
    users.push({ address: line.slice(0, colon), credential: { hash: last < 0 ? rest : rest.slice(0, last) }, quota });
  }
  return done(users);
}
