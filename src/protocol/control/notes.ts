import { createClientRules } from "../network/client-rules.ts";
import { createAcceptance } from "../routing/acceptance.ts";
import { clientVariables } from "../routing/rules.ts";
import { foreignNotes } from "./foreign.ts";
import { readSettings } from "./parse.ts";
import type { Settings } from "./table.ts";

/** What is not wrong with a control folder, but does less than somebody who knows qmail would think. One sentence each. */
export function notesOn(files: ReadonlyMap<string, string>): readonly string[] {
  const settings = readSettings(files);
  if (settings.kind !== "done") return [];
  const addresses = (["badmailfrom", "badrcptto"] as const).flatMap((name) =>
    settings.value[name]
      .filter((entry) => !isComparable(entry))
      .map((entry) => `control/${name}: "${entry}" names nobody: patterns are not known here`),
  );
  const rules = createClientRules(settings.value.smtprules);
  const variables = new Set(rules.kind === "done" ? rules.value.all.flatMap((rule) => [...rule.variables.keys()]) : []);
  const without = [...variables]
    .filter((name) => !clientVariables.includes(name))
    .map((name) => `control/smtprules: ${name} has no effect in Postern`);
  return [...foreignNotes(files.keys()), ...addresses, ...without, ...shutOut(settings.value)];
}

function shutOut(settings: Settings): readonly string[] {
  const accepts = createAcceptance(settings);
  return settings.mailboxdomains
    .filter((domain) => !accepts(`postmaster@${domain}`))
    .map(
      (domain) => `control/rcpthosts: ${domain} of mailboxdomains is not in it: mail for it from outside is refused`,
    );
}

const isComparable = (entry: string): boolean => entry.includes("@") && !/[*\\^$!]/.test(entry);
