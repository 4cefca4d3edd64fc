import { asciiLowerCase, isPrintable } from "../address.ts";

/** A way to read a local part as a name and an extension; `dash` is what divides them, "" where nothing does. */
export interface NameSplit {
  readonly name: string;
  readonly dash: string;
  readonly extension: string;
}

/** Divides names from extensions besides, in domains with accounts: Gmail and Postfix have taught people to expect it. */
export const accountDelimiter = "+";

/** Every account may send as itself, and nobody need be asked. One of the system has a name without a domain. */
export const isOwnAddress = (account: string, address: string): boolean =>
  account.includes("@") && asciiLowerCase(account) === asciiLowerCase(address);

/** Names of accounts are shorter than this. */
const accountNameOctets = 32;

/**
 * All ways to read a local part, in the order to try them: whole, then divided at each octet that is in `delimiters`, the
 * longest name first. The name is in lower case, the extension as it came. Empty names are left out.
 */
export function nameSplits(localPart: string, delimiters: string): readonly NameSplit[] {
  const name = asciiLowerCase(localPart);
  const splits: NameSplit[] = name === "" ? [] : [{ name, dash: "", extension: "" }];
  for (let at = name.length - 1; at > 0; at--) {
    const dash = name.charAt(at);
    if (delimiters.includes(dash)) splits.push({ name: name.slice(0, at), dash, extension: localPart.slice(at + 1) });
  }
  return splits;
}

/** Those whose name an account of the system can have. */
export const accountSplits = (localPart: string, delimiters: string): readonly NameSplit[] =>
  nameSplits(localPart, delimiters).filter((split) => split.name.length < accountNameOctets);

/** An extension behind "-" is one that its user has made a file for, as with qmail; one behind another is a mere tag. */
export const isTag = ({ dash }: Pick<NameSplit, "dash">): boolean => dash !== "" && dash !== "-";

/** Whether a name can be a folder's: one level, not hidden, no octet that file systems or people stumble over. */
export const isFolderName = (name: string): boolean =>
  name !== "" && name.length <= 255 && !name.startsWith(".") && !name.includes("/") && isPrintable(name);
