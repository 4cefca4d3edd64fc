import type { AccountStore } from "../../services/accounts/account-store.ts";

/** When accounts and their app passwords were last used: written down together, now and then. */
export interface LastUses {
  /** `appPassword` is "" for the account's own password. */
  note(account: string, appPassword: string, nowMs: number): void;
  /** Throws SQLite's error; what could not be written is kept for the next time. */
  write(store: AccountStore): void;
}

/** So many accounts at most wait to be written; more are forgotten, which costs nobody anything. */
const maxWaiting = 10_000;

export function createLastUses(): LastUses {
  let waiting = new Map<string, { readonly account: string; readonly appPassword: string; readonly nowMs: number }>();
  return {
    note(account, appPassword, nowMs) {
      if (waiting.size < maxWaiting) waiting.set(`${account} ${appPassword}`, { account, appPassword, nowMs });
    },
    write(store) {
      if (waiting.size === 0) return;
      store.transaction(() => {
        for (const { account, appPassword, nowMs } of waiting.values()) {
          store.noteLogin(account, nowMs);
          if (appPassword !== "") store.noteAppPassword(account, appPassword, nowMs);
        }
      });
      waiting = new Map();
    },
  };
}
