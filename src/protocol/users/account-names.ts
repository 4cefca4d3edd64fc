import { asciiLowerCase, isPrintable } from "../address.ts";

/** A way to read a local part as a name and an extension; `dash` is "-" where it was divided. */
export interface NameSplit {
  readonly name: string;
  readonly dash: "" | "-";
  readonly extension: string;
}

/** Names of accounts are shorter than this. */
const accountNameOctets = 32;

/**
 * All ways to read a local part, in the order to try them: whole, then divided at each "-", the longest name first.
 * The name is in lower case, the extension as it came. Empty names are left out.
 */
export function nameSplits(localPart: string): readonly NameSplit[] {
  const name = asciiLowerCase(localPart);
  const splits: NameSplit[] = name === "" ? [] : [{ name, dash: "", extension: "" }];
  for (let at = name.lastIndexOf("-"); at > 0; at = name.lastIndexOf("-", at - 1)) {
    splits.push({ name: name.slice(0, at), dash: "-", extension: localPart.slice(at + 1) });
  }
  return splits;
}

/** Those whose name an account of the system can have. */
export const accountSplits = (localPart: string): readonly NameSplit[] =>
  nameSplits(localPart).filter((split) => split.name.length < accountNameOctets);

/** Whether a name can be a folder's: one level, not hidden, no octet that file systems or people stumble over. */
export const isFolderName = (name: string): boolean =>
  name !== "" && name.length <= 255 && !name.startsWith(".") && !name.includes("/") && isPrintable(name);
