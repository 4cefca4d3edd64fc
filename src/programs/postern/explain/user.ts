import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import type { Settings } from "../../../protocol/control/table.ts";
import { done, type Outcome, temporary } from "../../../protocol/outcome.ts";
import { mailboxDomains } from "../../../protocol/users/mailbox-domains.ts";
import { parsePasswd } from "../../../protocol/users/passwd.ts";
import { homeGiven, homeOfNobody, homeOwned } from "../../../protocol/wire/worker.ts";
import { createAccountBook } from "../../../services/directory/account-book.ts";
import { createAccounts } from "../../../services/directory/accounts.ts";
import { readAssignments } from "../../../services/directory/assignments.ts";
import { type Places, type Route, routeAddress } from "../../../services/directory/route.ts";
import { isSystemLayout } from "../../../services/layout/find-layout.ts";
import { accountsCdbPath, type Layout } from "../../../services/layout/layout.ts";
import type { PlaceFinder, Section, Step } from "./place.ts";

const passwdPath = "/etc/passwd";

/** Who takes a local address, as `local` decides it. */
export async function explainUser(
  address: string,
  layout: Layout,
  settings: Settings,
  find: PlaceFinder,
): Promise<{ readonly section: Section; readonly route?: Route }> {
  const title = "Who takes it";
  const steps: Step[] = [];
  const failed = (why: string) => ({ section: { title, steps, result: why } });
  const places = placesOf(layout);
  if (places.kind !== "done") return failed(places.text);
  const assign = readAssignments(layout.users);
  const directory = {
    facts: places.value,
    assign,
    mailboxDomains: mailboxDomains(settings.mailboxdomains),
    delimiters: settings.extensiondelimiters,
    book: createAccountBook(accountsCdbPath(layout.directory)),
    accounts: places.value.embedded || settings.systemusers === 0 ? undefined : createAccounts(passwdPath),
  };
  const routed = await routeAddress(address, directory, (tried) => steps.push(find(tried)));
  if (assign.kind !== "done") return failed(`the mail waits: ${assign.text}`);
  if (routed.kind !== "done")
    return failed(`${routed.kind === "permanent" ? "refused" : "the mail waits"}: ${routed.text}`);
  if (!routed.value) return failed("nobody: it is thrown away");
  const { user, home, homeKind, dash, extension, confinement } = routed.value;
  const uid = places.value.embedded ? "" : ` (uid ${confinement.uid})`;
  if (homeKind === homeOfNobody) return failed("an alias: forwarded");
  const result =
    homeKind === homeGiven || homeKind === homeOwned
      ? `${user}${uid}, home ${home}, file .qmail${homeKind === homeOwned && dash ? "-" : dash}${extension}`
      : `the mailbox of ${user} below ${home}`;
  return { section: { title, steps, result }, route: routed.value };
}

function placesOf(layout: Layout): Outcome<Places> {
  if (!isSystemLayout(layout)) {
    const { uid, gid, username } = userInfo();
    const aliasUser = { uid, gid, name: username, home: layout.alias };
    return done({ embedded: true, mailFolder: layout.mail, mailUser: { uid, gid }, aliasUser });
  }
  const accounts = parsePasswd(readFileSync(passwdPath, "latin1"));
  const alias = accounts.get("postern-alias");
  const mail = accounts.get("postern-mail");
  if (!alias || !mail) return temporary("3.5", "the accounts postern-alias and postern-mail are not on this system");
  const aliasUser = { uid: alias.uid, gid: alias.gid, name: alias.name, home: layout.alias };
  return done({ embedded: false, mailFolder: layout.mail, mailUser: { uid: mail.uid, gid: mail.gid }, aliasUser });
}
