import { asciiLowerCase } from "../address.ts";

export interface Candidate {
  readonly name: string;
  /** The part of the extension that `default` stands for, as the address has it: what DEFAULT is set to. */
  readonly matched: string | undefined;
}

/**
 * The names a delivery's .qmail file may have, the first that exists counts: the exact one, then `-default` ones, the
 * longest first. The extension is looked for in lower case, with `:` for `.`; a slash stays one.
 */
export function dotQmailNames(dash: string, extension: string): readonly Candidate[] {
  const safe = asciiLowerCase(extension).replaceAll(".", ":");
  const stem = `.qmail${dash}`;
  const exactDefault = safe.endsWith("default") ? extension.slice(-"default".length) : undefined;
  const names: Candidate[] = [{ name: stem + safe, matched: exactDefault }];
  for (let at = safe.length; at >= 0; at--) {
    if (at > 0 && safe.charAt(at - 1) !== "-") continue;
    names.push({ name: `${stem}${safe.slice(0, at)}default`, matched: extension.slice(at) });
  }
  return names;
}

/** The files that make forwards leave in an owner's name; looked up with the whole extension. */
export function ownerNames(dash: string, extension: string): { readonly owner: string; readonly verp: string } {
  const stem = `.qmail${dash}${asciiLowerCase(extension).replaceAll(".", ":")}`;
  return { owner: `${stem}-owner`, verp: `${stem}-owner-default` };
}
