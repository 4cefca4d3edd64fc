import { closeSync, constants, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { accountsCdb } from "../../protocol/users/accounts-cdb.ts";
import { accountsCdbPath } from "../layout/layout.ts";
import { AccountStore } from "./account-store.ts";
import { prepareAccounts } from "./schema.ts";

/** Opens the accounts in `folder`, made if there are none. Waits so long for whoever writes. Fails for now. */
export function openAccounts(folder: string, busyMs: number): Outcome<AccountStore> {
  const file = join(folder, "accounts.sqlite");
  try {
    const database = new DatabaseSync(file);
    try {
      prepareAccounts(database, busyMs);
      return done(new AccountStore(database));
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    return temporary("3.0", `cannot open ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Written to the disk with each write: Node has no fsync inside its permissions. */
const durably = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_SYNC;

/**
 * Makes accounts.cdb, which `local` reads, of what is in the store now: with nobody writing meanwhile, so that the last
 * one made is of the last change. After a crash there is the old or the whole new one. Fails for now.
 */
export function compileAccounts(store: AccountStore, folder: string): Outcome<void> {
  const path = accountsCdbPath(folder);
  const fresh = `${path}.new`;
  try {
    return store.transaction(() => {
      const file = accountsCdb(store.records());
      if (file.kind !== "done") return file;
      rmSync(fresh, { force: true });
      const fd = openSync(fresh, durably, 0o600);
      try {
        writeFileSync(fd, file.value);
      } finally {
        closeSync(fd);
      }
      renameSync(fresh, path);
      return done(undefined);
    });
  } catch (error) {
    return temporary("3.0", `cannot make ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
