import { asciiLowerCase } from "../address.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import { keyFor } from "../routing/router.ts";

export const tlsLevels = ["none", "may", "encrypt", "verify"] as const;
export interface TlsRule {
  readonly level: (typeof tlsLevels)[number];
  /** Of "verify": the names that count instead of the host's and the domain's. */
  readonly names: readonly string[];
}

/** By next hop as in control/tlspolicy; "" is for all others. */
export type TlsRules = ReadonlyMap<string, TlsRule>;

/** Reads the entries of control/tlspolicy: a level, and after "verify" names. Fails, for good, with all that are wrong. */
export function parseTlsRules(entries: readonly (readonly [string, string])[]): Outcome<TlsRules> {
  const rules = new Map<string, TlsRule>();
  const wrong: string[] = [];
  for (const [nextHop, value] of entries) {
    const [word = "", ...names] = value.trim().split(/[ \t]+/);
    const level = tlsLevels.find((known) => known === word);
    const isSound = level === "verify" ? names.every(isName) : names.length === 0;
    if (level === undefined || !isSound) wrong.push(`"${nextHop}:${value}" is none of ${tlsLevels.join(", ")}`);
    else rules.set(asciiLowerCase(nextHop), { level, names: names.map(asciiLowerCase) });
  }
  return wrong.length > 0 ? permanent("3.5", wrong.join("\n")) : done(rules);
}

/** A host name, or with a dot before it all below. */
const isName = (name: string): boolean =>
  name
    .slice(name.startsWith(".") ? 1 : 0)
    .split(".")
    .every((label) => /^[A-Za-z0-9_-]+$/.test(label));

/** The key of the rule for a next hop: its name, else its longest suffix that begins with a dot. */
export const tlsEntry = (rules: TlsRules, nextHop: string): string | undefined =>
  nextHop === "" ? undefined : keyFor(rules, asciiLowerCase(nextHop));

/** The rule that names a next hop in either way. */
export function findTlsRule(rules: TlsRules, nextHop: string): TlsRule | undefined {
  const entry = tlsEntry(rules, nextHop);
  return entry === undefined ? undefined : rules.get(entry);
}

/** What holds for a next hop that no rule names. */
export const usualTlsRule = (rules: TlsRules): TlsRule => rules.get("") ?? { level: "may", names: [] };
