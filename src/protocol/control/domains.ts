import { asciiDomain } from "../domain.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import { isAscii } from "../utf8.ts";
import type { ControlName, ControlValue } from "./table.ts";

/** Control files whose entries name a domain of ours or of others; of maps, the keys. */
const namingDomains: ReadonlySet<ControlName> = new Set<ControlName>([
  ...(["me", "envnoathost", "localiphost", "bouncehost", "doublebouncehost", "helohost"] as const),
  ...(["defaultdomain", "defaulthost", "idhost", "plusdomain"] as const),
  ...(["locals", "virtualdomains", "mailboxdomains", "percenthack", "rcpthosts", "morercpthosts"] as const),
  ...(["badmailfrom", "badrcptto", "smtproutes", "qmtproutes"] as const),
]);

/**
 * Domains with other letters than ASCII's, written in UTF-8, as everything else here has them: in A-labels. Fails,
 * permanently, for octets that are no such domain. A value of ASCII is not touched.
 */
export function withAsciiDomains(name: ControlName, value: ControlValue): Outcome<ControlValue> {
  if (!namingDomains.has(name) || typeof value === "number") return done(value);
  let wrong: string | undefined;
  const inAscii = (entry: string): string => {
    const ascii = asciiEntry(entry);
    if (ascii === undefined) wrong ??= entry;
    return ascii ?? entry;
  };
  const ascii =
    typeof value === "string"
      ? inAscii(value)
      : value.map((entry) => (typeof entry === "string" ? inAscii(entry) : ([inAscii(entry[0]), entry[1]] as const)));
  if (wrong !== undefined) return permanent("3.5", `control/${name}: "${wrong}" holds no domain in UTF-8`);
  return done(ascii as ControlValue);
}

/** `[user@][.]domain[:more]` */
function asciiEntry(entry: string): string | undefined {
  if (isAscii(entry)) return entry;
  const [, before = "", domain = "", more = ""] = /^(.*@)?(?:\.?)([^:]*)(:.*)?$/s.exec(entry) ?? [];
  const dot = entry.charAt(before.length) === "." ? "." : "";
  const ascii = domain === "" ? "" : asciiDomain(domain);
  return ascii === undefined ? undefined : `${before}${dot}${ascii}${more}`;
}
