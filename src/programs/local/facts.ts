import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import type { Places } from "../../services/directory/route.ts";
import type { LaunchPlan } from "../../services/launch/plan.ts";

/** What `supervise` tells this program beside the settings. */
export interface LocalFacts extends Places {
  readonly usersFolder: string;
  /** Where accounts.cdb is, if there are accounts. */
  readonly accountsFile: string;
  /** How to start `deliver`; user and folders are filled in for each. */
  readonly deliver: LaunchPlan;
  /** How to start `pop3session`, likewise. */
  readonly pop3session: LaunchPlan;
}

/** Believes `supervise`, but says clearly what is missing. */
export function readFacts(facts: Readonly<Record<string, unknown>>): Outcome<LocalFacts> {
  const wrong = Object.entries(needed).find(([name, kind]) => typeof facts[name] !== kind);
  if (wrong) return permanent("3.5", `local was started without its ${wrong[0]}`);
  return done(facts as unknown as LocalFacts);
}

const needed = {
  embedded: "boolean",
  mailFolder: "string",
  usersFolder: "string",
  accountsFile: "string",
  mailUser: "object",
  aliasUser: "object",
  deliver: "object",
  pop3session: "object",
} as const satisfies Record<keyof LocalFacts, string>;
