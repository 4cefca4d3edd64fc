import { asciiLowerCase } from "../../protocol/address.ts";
import { domainOf } from "../../protocol/routing/router.ts";
import { accountDelimiter, isOwnAddress, nameSplits } from "../../protocol/users/account-names.ts";
import { cannotTell, doesNotExist } from "../../protocol/wire/directory.ts";
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
  /** Whether an address has a mailbox of its own, as `local` knows it: one of the answers of wire/directory.ts. */
  readonly hasMailbox: (address: string) => Promise<number>;
}

/**
 * Whether `account` may send as `address`: its own, with an extension too; an alias that leads to it; what it was given
 * the right to. An account of this system, which has no domain, sends from any local domain.
 */
export async function maySendAs(account: string, address: string, options: SendersOptions): Promise<number> {
  try {
    return await decide(account, address, options);
  } catch (error) {
    if (isPassing(error) || isDamage(error)) return cannotSay;
    throw error;
  }
}

function decide(account: string, address: string, options: SendersOptions): number | Promise<number> {
  const { store, delimiters } = options;
  const own = asciiLowerCase(account);
  const sender = asciiLowerCase(address);
  const domain = domainOf(sender);
  const localPart = sender.slice(0, Math.max(0, sender.lastIndexOf("@")));
  if (!own.includes("@")) return userMaySend(own, localPart, domain, options);
  if (isOwnAddress(own, sender)) return maySend;
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

/** A user of the system sends as his name, and with an extension where that is no other user's name. */
async function userMaySend(
  own: string,
  localPart: string,
  domain: string,
  { isLocal, delimiters, hasMailbox }: SendersOptions,
): Promise<number> {
  const names = nameSplits(localPart, delimiters()).map(({ name }) => name);
  if (!isLocal(domain) || !names.includes(own)) return mayNotSend;
  for (const longer of names.slice(0, names.indexOf(own))) {
    const answer = await hasMailbox(`${longer}@${domain}`);
    if (answer !== doesNotExist) return answer === cannotTell ? cannotSay : mayNotSend;
  }
  return maySend;
}
