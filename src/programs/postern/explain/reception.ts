import { quoteAddress } from "../../../protocol/address.ts";
import type { Settings } from "../../../protocol/control/table.ts";
import { done, type Outcome } from "../../../protocol/outcome.ts";
import { createRules } from "../../../protocol/routing/rules.ts";
import { parseCommand } from "../../../protocol/smtp/command.ts";
import { newSession, step } from "../../../protocol/smtp/session.ts";
import { isAscii } from "../../../protocol/utf8.ts";
import type { PlaceFinder, Section, Step } from "./place.ts";

export interface Reception {
  readonly section: Section;
  /** The recipient as it would be queued; absent when it is refused. */
  readonly accepted: string | undefined;
}

/** What smtpd answers a client to MAIL and RCPT: its own session, with nobody at the other end. */
export function explainReception(
  address: string,
  { client, sender }: { readonly client: string; readonly sender: string },
  settings: Settings,
  ipAddresses: readonly string[],
  find: PlaceFinder,
): Outcome<Reception> {
  const steps: Step[] = [];
  const rulesFor = createRules(settings, ipAddresses, (tried) => steps.push(find(tried)));
  if (rulesFor.kind !== "done") return rulesFor;
  const title = `At SMTP time, from ${client}, sender <${sender}>`;
  const rules = rulesFor.value(client);
  if (rules === "denied") {
    return done({ section: { title, steps, result: "the client is sent away" }, accepted: undefined });
  }
  const utf8 = isAscii(address) && isAscii(sender) ? "" : " SMTPUTF8";
  const mail = step(newSession, parseCommand(`MAIL FROM:<${quoteAddress(sender)}>${utf8}`), rules, 0);
  const { next, reply } =
    mail.next.at === "mail" ? step(mail.next, parseCommand(`RCPT TO:<${quoteAddress(address)}>`), rules, 0) : mail;
  const accepted = next.at === "mail" ? next.transaction.forwardPaths[0] : undefined;
  const result = accepted === undefined ? `refused: ${reply}` : `accepted: ${reply}`;
  return done({ section: { title, steps, result }, accepted });
}
