import { readFileSync, statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { type Account, parsePasswd } from "../../protocol/users/passwd.ts";
import { errorCode, pathOf } from "../maildir/file.ts";

/** The accounts of this system. */
export interface Accounts {
  find(name: string): Account | undefined;
  /** Whether the account's home is there and the account's own. Fails when that cannot be told now. */
  ownsHome(account: Account): Promise<Outcome<boolean>>;
}

const lookAgainAfterMs = 1_000;

/** Accounts from a passwd file, read again when it has changed, which is looked for once a second at most. */
export function createAccounts(passwdPath: string): Accounts {
  let accounts: ReadonlyMap<string, Account> = new Map();
  let version = "";
  let lookedMs = Number.NEGATIVE_INFINITY;

  const refresh = (): void => {
    const nowMs = performance.now();
    if (nowMs - lookedMs < lookAgainAfterMs) return;
    lookedMs = nowMs;
    const { ino, size, mtimeMs } = statSync(passwdPath);
    const current = `${ino} ${size} ${mtimeMs}`;
    if (current === version) return;
    accounts = parsePasswd(readFileSync(passwdPath, "latin1"));
    version = current;
  };
  return {
    find(name) {
      refresh();
      return accounts.get(name);
    },
    async ownsHome(account) {
      try {
        return done((await stat(pathOf(account.home))).uid === account.uid);
      } catch (error) {
        const code = errorCode(error);
        return goneCodes.includes(code) ? done(false) : temporary("3.0", "NFS failure in qmail-local. (#4.3.0)");
      }
    },
  };
}

const goneCodes: readonly string[] = ["ENOENT", "ENOTDIR", "EACCES", "EPERM", "ELOOP", "ENAMETOOLONG"];
