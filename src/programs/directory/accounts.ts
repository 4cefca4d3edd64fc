import type { Event } from "../../protocol/event/event.ts";
import type { AccountStore } from "../../services/accounts/account-store.ts";
import { compileAccounts, openAccounts } from "../../services/accounts/open-accounts.ts";
import { isDamage, isPassing } from "../../services/storage/sqlite-errors.ts";
import { createLastUses } from "./last-uses.ts";
import { type AskOutside, createPasswords, type Passwords } from "./passwords.ts";

/** The accounts, while they can be read. */
export interface Accounts {
  readonly store: AccountStore | undefined;
  readonly passwords: Passwords | undefined;
  note(account: string, appPassword: string): void;
  /** Tries again what did not work. */
  open(): Promise<void>;
  close(): void;
}

/** A command may be writing: a login does not wait longer for it. */
const busyMs = 200;
const writeUsesMs = 10_000;

/** The accounts in `folder`. What is wrong with them is logged; logins fail, for now, until it is put right. */
export async function createAccounts(
  folder: string,
  log: (event: Event) => void,
  askOutside: AskOutside,
): Promise<Accounts> {
  const uses = createLastUses();
  let store: AccountStore | undefined;
  let passwords: Passwords | undefined;

  const writeUses = (): void => {
    try {
      if (store) uses.write(store);
    } catch (error) {
      if (!isPassing(error) && !isDamage(error)) throw error; // the next time, then
    }
  };
  const timer = setInterval(writeUses, writeUsesMs).unref();

  const open = async (): Promise<void> => {
    if (store) return;
    const opened = openAccounts(folder, busyMs);
    if (opened.kind !== "done") {
      log({ event: "alert", text: `${opened.text}: nobody can log in` });
      return;
    }
    passwords = await createPasswords(opened.value, Date.now, askOutside);
    store = opened.value;
    if (store.domains().length === 0) return;
    // A command that was killed, or a folder from a backup, may have left another one.
    const compiled = compileAccounts(store, folder);
    if (compiled.kind !== "done") log({ event: "alert", text: compiled.text });
  };
  await open();

  return {
    get store() {
      return store;
    },
    get passwords() {
      return passwords;
    },
    note: (account, appPassword) => uses.note(account, appPassword, Date.now()),
    open,
    close() {
      clearInterval(timer);
      writeUses();
      store?.close();
    },
  };
}
