import { join } from "node:path";
import { asciiLowerCase, splitAddress } from "../../protocol/address.ts";
import { done, type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { type Tell, untold } from "../../protocol/routing/tell.ts";
import { accountSplits, isFolderName } from "../../protocol/users/account-names.ts";
import { type FindRecord, findAccountOf } from "../../protocol/users/accounts-cdb.ts";
import { type Assignment, catchAllAssignment, findAssignment } from "../../protocol/users/assign.ts";
import type { MailboxDomain } from "../../protocol/users/mailbox-domains.ts";
import { homeBelow, homeGiven, homeMade, homeOfNobody, homeOwned } from "../../protocol/wire/worker.ts";
import { pathOf } from "../maildir/file.ts";
import type { Accounts } from "./accounts.ts";
import type { Assignments } from "./assignments.ts";

/** Which worker takes a delivery: who it runs as, and where it may write. */
export interface Confinement {
  /** Deliveries with the same key go to the same process. */
  readonly key: string;
  readonly uid: number;
  readonly gid: number;
  /** The folder this delivery is for. */
  readonly folder: string;
  /** Also may write to control/mailfolders: a user does, the virtual mailboxes do not. */
  readonly isUser: boolean;
}

/** Who takes an address. */
export interface Route {
  readonly confinement: Confinement;
  readonly user: string;
  readonly home: string;
  readonly homeKind: number;
  /** As in `task` of wire/worker.ts. */
  readonly dash: string;
  readonly extension: string;
  /** The lines that hold without a .qmail file, where that is not control/defaultdelivery. */
  readonly lines?: string;
  /** In the form of `maildirsize`. */
  readonly quota?: string;
}

export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/** Who and where those are that are no users. */
export interface Places {
  /** All deliveries run as the user we are, whatever users/assign says. */
  readonly embedded: boolean;
  readonly mailFolder: string;
  /** Owns the virtual mailboxes. */
  readonly mailUser: Ids;
  /** Takes what nobody else takes. */
  readonly aliasUser: Ids & { readonly name: string; readonly home: string };
}

/** All that is known of who is who. */
export interface Directory {
  readonly facts: Places;
  readonly assign: Outcome<Assignments>;
  readonly mailboxDomains: ReadonlyMap<string, MailboxDomain>;
  /** Each of these octets divides a name from an extension. */
  readonly delimiters: string;
  /** Looks up who has accounts, in the domains of mailboxdomains that say so. */
  readonly book: FindRecord;
  /** Absent when accounts of the system get no mail. */
  readonly accounts: Accounts | undefined;
}

/** `undefined` for an empty local part, which nobody reads. */
export type Routed = Outcome<Route | undefined>;

/**
 * Decides from the address alone who takes it. users/assign comes first, then virtual mailboxes, the assignment to
 * everybody, accounts of the system by qmail's rules (spec §5.3), at last the alias user. Only accounts take time: for
 * all else the answer is there at once, and the body need not be kept waiting.
 */
export function routeAddress(address: string, directory: Directory, tell: Tell = untold): Routed | Promise<Routed> {
  const at = address.lastIndexOf("@");
  if (at < 0) return noHost;
  if (at === 0) return done(undefined);
  const { localPart, domain } = splitAddress(address);
  const { assign, mailboxDomains, accounts } = directory;
  if (assign.kind !== "done") return troubleReading;
  const { table, source = "users/assign" } = assign.value;

  const assigned = findAssignment(table, localPart);
  if (assigned) {
    tell({ source, entry: assigned.entry, says: `assigned to ${assigned.user}` });
    return assignedRoute(assigned, directory);
  }
  tell({ source, says: assign.value.source ? `nobody is assigned ${localPart}` : "does not exist, nor users/cdb" });
  const mailboxDomain = mailboxDomains.get(asciiLowerCase(domain));
  if (mailboxDomain?.accounts) {
    tell({ source: "mailboxdomains", entry: asciiLowerCase(domain), says: "its mailboxes are accounts" });
    return accountMailRoute(localPart, asciiLowerCase(domain), directory, tell);
  }
  if (mailboxDomain) {
    tell({ source: "mailboxdomains", entry: asciiLowerCase(domain), says: "its mailboxes are folders" });
    return mailboxRoute(localPart, asciiLowerCase(domain), mailboxDomain, directory);
  }
  const everybody = catchAllAssignment(table, localPart);
  if (everybody) {
    tell({ source, entry: everybody.entry, says: `everybody is assigned to ${everybody.user}` });
    return assignedRoute(everybody, directory);
  }
  if (accounts) return accountRoute(localPart, accounts, directory, tell);
  tell({ source: "accounts", says: "accounts of this system get no mail" });
  return aliasRoute(localPart, directory, tell);
}

const noHost = permanent("1.3", "Sorry, address must include host name. (#5.1.3)");
const troubleReading = temporary("3.5", "Trouble reading users/cdb or users/assign in local. (#4.3.5)");
const troubleWithAccounts = temporary("3.5", "Trouble reading accounts in local. (#4.3.5)");
const noMailbox = permanent("1.1", "Sorry, no mailbox here by that name. (#5.1.1)");
const asRoot: Failure = temporary("7.0", "Not allowed to perform deliveries as root. (#4.7.0)");

function assignedRoute(assignment: Assignment, directory: Directory): Outcome<Route> {
  const { user, uid, gid, home, dash, extension } = assignment;
  if (uid === 0 && !directory.facts.embedded) return asRoot;
  const confinement = { key: `${uid}:${gid}`, uid, gid, folder: pathOf(home), isUser: true };
  return done({ confinement, user, home, homeKind: homeGiven, dash, extension });
}

/** The mailbox itself is found by the worker: we look at no folder that is not ours. */
function mailboxRoute(
  localPart: string,
  domain: string,
  { create }: MailboxDomain,
  { delimiters, facts: { embedded, mailFolder, mailUser } }: Directory,
): Outcome<Route> {
  if (mailUser.uid === 0 && !embedded) return asRoot;
  const confinement = { key: "mail", ...mailUser, folder: mailFolder, isUser: false };
  const home = join(mailFolder, isFolderName(domain) ? domain : "-");
  const homeKind = create ? homeMade : homeBelow;
  return done({ confinement, user: localPart, home, homeKind, dash: delimiters, extension: "" });
}

/** A mailbox whose account says where it is, or an alias, which forwards as a .qmail file of `&` lines does. */
function accountMailRoute(localPart: string, domain: string, directory: Directory, tell: Tell): Outcome<Route> {
  const { facts, book, delimiters } = directory;
  const { embedded, mailFolder, mailUser } = facts;
  if (mailUser.uid === 0 && !embedded) return asRoot;
  const found = findAccountOf(localPart, domain, delimiters, book);
  if (found.kind !== "done") return troubleWithAccounts;
  const confinement = { key: "mail", ...mailUser, folder: mailFolder, isUser: false };
  if (!found.value) {
    tell({ source: "accounts.cdb", says: `nobody in ${domain} has ${localPart}` });
    return noMailbox;
  }
  if (found.value.kind === "forward") {
    const { entry, targets } = found.value;
    tell({ source: "accounts.cdb", entry, says: `forwarded to ${targets.join(", ")}` });
    const lines = targets.map((target) => `&${target}\n`).join("");
    const nowhere = { home: mailFolder, homeKind: homeOfNobody, dash: "", extension: "" };
    return done({ confinement, user: localPart, ...nowhere, lines });
  }
  const { name, dash, extension, quota } = found.value;
  if (!isFolderName(name) || !isFolderName(domain)) return noMailbox;
  tell({
    source: "accounts.cdb",
    entry: `${name}@${domain}`,
    says: quota === "" ? "takes it" : `takes it, quota ${quota}`,
  });
  const home = join(mailFolder, domain, name);
  return done({ confinement, user: name, home, homeKind: homeOwned, dash, extension, lines: "./Maildir/\n", quota });
}

async function accountRoute(localPart: string, accounts: Accounts, directory: Directory, tell: Tell): Promise<Routed> {
  for (const { name, dash, extension } of accountSplits(localPart, directory.delimiters)) {
    const account = accounts.find(name);
    if (!account || account.uid === 0) {
      tell({ source: "accounts", says: account ? `${name} is root, who gets no mail` : `there is no account ${name}` });
      continue;
    }
    const owns = await accounts.ownsHome(account);
    if (owns.kind !== "done") return owns;
    if (owns.value) {
      tell({ source: "accounts", entry: name, says: "takes it" });
      // Whatever divides them, the file is `.qmail-EXTENSION`, as with qmail.
      return assignedRoute({ ...account, user: name, dash: dash && "-", extension }, directory);
    }
    tell({ source: "accounts", entry: name, says: `does not own its home, ${account.home}` });
  }
  return aliasRoute(localPart, directory, tell);
}

function aliasRoute(localPart: string, directory: Directory, tell: Tell): Outcome<Route> {
  const { aliasUser } = directory.facts;
  tell({ source: "alias", entry: aliasUser.name, says: "takes what nobody else takes" });
  return assignedRoute({ ...aliasUser, user: aliasUser.name, dash: "-", extension: localPart }, directory);
}
