import { done, type Outcome, permanent, temporary } from "../outcome.ts";
import { type Account, parsePasswdLine } from "./passwd.ts";

/** qmail-pw2u's choices; its letters are in brackets. */
export interface AssignOptions {
  /** What divides a name from its extension in addresses (-c). */
  readonly break: string;
  /** `-/` puts a user's files into one folder, .qmail-/ (-/). */
  readonly dash: "-" | "-/";
  /** Addresses with an extension are assigned too; off with -C. */
  readonly extensions: boolean;
  /** Names with capitals are taken (-u); they are left out else (-U). */
  readonly capitals: boolean;
  /** What of a home that is not there: leave the account out (-o), fail (-h), or do not look at homes (-H). */
  readonly homes: "skip" | "fail" | "ignore";
  /** The account that takes what nobody else takes (-A has none). */
  readonly alias: string | undefined;
}

export const defaultAssignOptions: AssignOptions = {
  break: "-",
  dash: "-",
  extensions: true,
  capitals: false,
  homes: "skip",
  alias: "alias",
};

/** The files beside the list of accounts, as lines without comments; absent files are undefined. */
export interface AssignFiles {
  readonly include: readonly string[] | undefined;
  readonly exclude: readonly string[] | undefined;
  /** `user:name:name`: instead of the account's own name. */
  readonly mailnames: readonly string[] | undefined;
  /** `sub:user:pre:`: more addresses of a user. */
  readonly subusers: readonly string[] | undefined;
  /** Taken over as it is. */
  readonly append: string;
}

/** Who owns a home; "gone" when it is not there, a failure when that cannot be told. */
export type HomeOwner = (home: string) => Outcome<number | "gone">;

/**
 * The text of users/assign for the accounts of a passwd file (spec §5.4). Left out are lines that are none, uid 0, and
 * those the options and files leave out, or whose home is not their own. Fails, with what to mend, when nobody is the
 * alias user or a subuser's user is unknown.
 */
export function assignFromAccounts(
  passwd: string,
  files: AssignFiles,
  ownerOf: HomeOwner,
  options: AssignOptions,
): Outcome<string> {
  const chosen = chooseAccounts(passwd, files, ownerOf, options);
  if (chosen.kind !== "done") return chosen;
  const accounts = chosen.value;
  const lines: string[] = [];
  if (options.alias !== undefined) {
    const alias = accounts.get(options.alias);
    if (!alias) return permanent("3.5", `there is no account ${options.alias} to take what nobody else takes`);
    lines.push(`+:${ownOf(alias)}:-::`);
  }
  const mailNames = new Map(
    (files.mailnames ?? []).map((line) => {
      const [user = "", ...names] = line.split(":");
      return [user, names.filter((name) => name !== "")];
    }),
  );
  for (const account of accounts.values()) {
    for (const name of mailNames.get(account.name) ?? [account.name]) {
      lines.push(`=${name}:${ownOf(account)}:::`);
      if (options.extensions) lines.push(`+${name}${options.break}:${ownOf(account)}:${options.dash}::`);
    }
  }
  for (const line of files.subusers ?? []) {
    const [sub = "", user = "", pre] = line.split(":");
    const account = accounts.get(user);
    if (sub === "" || pre === undefined) return permanent("3.5", `users/subusers: bad line ${JSON.stringify(line)}`);
    if (!account) return permanent("3.5", `users/subusers: "${line}": there is no user ${user}`);
    lines.push(`=${sub}:${ownOf(account)}:${options.dash}:${pre}:`);
    if (options.extensions) lines.push(`+${sub}${options.break}:${ownOf(account)}:${options.dash}:${pre}-:`);
  }
  return done(`${lines.map((line) => `${line}\n`).join("")}${files.append}.\n`);
}

const ownOf = ({ name, uid, gid, home }: Account): string => `${name}:${uid}:${gid}:${home}`;

function chooseAccounts(
  passwd: string,
  { include, exclude }: AssignFiles,
  ownerOf: HomeOwner,
  options: AssignOptions,
): Outcome<ReadonlyMap<string, Account>> {
  const included = include && new Set(include);
  const excluded = new Set(exclude ?? []);
  const accounts = new Map<string, Account>();
  for (const line of passwd.split("\n")) {
    const account = parsePasswdLine(line);
    if (!account || account.uid === 0 || accounts.has(account.name)) continue;
    if (!options.capitals && /[A-Z]/.test(account.name)) continue;
    if ((included && !included.has(account.name)) || excluded.has(account.name)) continue;
    const owns = ownsHome(account, ownerOf, options);
    if (owns.kind !== "done") return owns;
    if (owns.value) accounts.set(account.name, account);
  }
  return done(accounts);
}

function ownsHome({ name, uid, home }: Account, ownerOf: HomeOwner, { homes }: AssignOptions): Outcome<boolean> {
  if (homes === "ignore") return done(true);
  const owner = ownerOf(home);
  if (owner.kind !== "done") return owner;
  if (owner.value !== "gone") return done(owner.value === uid);
  return homes === "skip" ? done(false) : temporary("3.5", `the home of ${name}, ${home}, is not there`);
}
