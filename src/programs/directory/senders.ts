import { asciiLowerCase } from "../../protocol/address.ts";
import { domainOf } from "../../protocol/routing/router.ts";
import { accountDelimiter, nameSplits } from "../../protocol/users/account-names.ts";
import type { AccountStore } from "../../services/accounts/account-store.ts";
import { isDamage, isPassing } from "../../services/storage/sqlite-errors.ts";

export const cannotSay = 0;
export const maySend = 1;
export const mayNotSend = 2;

export interface SendersOptions {
  /** Absent while the accounts cannot be read. */
  readonly store: () => AccountStore | undefined;
  /** Domains whose mail accounts of this system get. */
  readonly isLocal: (domain: string) => boolean;
  /** What divides names from extensions. */
  readonly delimiters: () => string;
}

/**
 * Whether `account` may send as `address`: its own, with an extension too; an alias that leads to it; what it was given
 * the right to. An account of this system, which has no domain, sends from any local domain.
 */
export function maySendAs(account: string, address: string, options: SendersOptions): number {
  try {
    return decide(account, address, options);
  } catch (error) {
    if (isPassing(error) || isDamage(error)) return cannotSay;
    throw error;
  }
}

function decide(account: string, address: string, { store, isLocal, delimiters }: SendersOptions): number {
  const own = asciiLowerCase(account);
  const sender = asciiLowerCase(address);
  const domain = domainOf(sender);
  const localPart = sender.slice(0, Math.max(0, sender.lastIndexOf("@")));
  if (!own.includes("@")) {
    const isOwn = nameSplits(localPart, delimiters()).some(({ name }) => name === own);
    return isLocal(domain) && isOwn ? maySend : mayNotSend;
  }
  if (sender === own) return maySend;
  const accounts = store();
  if (!accounts) return cannotSay;
  if (takerOf(localPart, domain, delimiters(), accounts) === own) return maySend;
  if (accounts.targets(sender).some((target) => asciiLowerCase(target) === own)) return maySend;
  const given = accounts.sendAs(own);
  return given.includes(sender) || given.includes(`@${domain}`) ? maySend : mayNotSend;
}

/** Whose mail it is, as `findAccountOf` finds it: "joe-smith" is not joe's where there is a joe-smith. */
function takerOf(localPart: string, domain: string, delimiters: string, accounts: AccountStore): string | undefined {
  for (const { name } of nameSplits(localPart, delimiters + accountDelimiter)) {
    const taker = `${name}@${domain}`;
    if (accounts.user(taker)) return taker;
    if (accounts.targets(taker).length > 0) return undefined;
  }
  return undefined;
}
