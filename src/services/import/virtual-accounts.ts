import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { listLines } from "../../protocol/control/parse.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import {
  assignLines,
  parseVpasswd,
  parseVpasswdCdb,
  type VirtualAccount,
  withAssignLines,
} from "../../protocol/qmail-site/vpasswd.ts";
import { type AssignTable, parseAssign } from "../../protocol/users/assign.ts";
import type { FilePlan } from "./site-plan.ts";

export interface VirtualAccounts {
  /** users/assign with lines added; absent when it can stay as it is. */
  readonly assign?: FilePlan;
  readonly notes: readonly string[];
}

/** Who takes the addresses of qmail's user alias here. */
export interface AliasOwner {
  readonly home: string;
  readonly uid: number;
  readonly gid: number;
}

interface Domain {
  readonly name: string;
  readonly folder: string;
}

/** What is added to users/assign, and why. */
interface Added {
  readonly lines: readonly string[];
  readonly notes: readonly string[];
}

/**
 * What users/assign must say besides: where the user alias is now, when virtualdomains names it; and vpopmail's
 * accounts, in `domains/` of the folder: each becomes a line whose home is the account's own folder, so its Maildir is
 * used where it is. What a domain's .qmail-NAME files take goes on as before.
 */
export function planVirtualAccounts(folder: string, defaultDelivery: string, alias: AliasOwner): VirtualAccounts {
  const path = join(folder, "users/assign");
  const text = existsSync(path) ? readFileSync(path, "latin1") : ".\n";
  const table = parseAssign(text);
  const prefixes = virtualPrefixes(folder);
  const domains = findDomains(join(folder, "domains"));
  const moved = aliasLines(prefixes, alias);
  if (moved.length === 0 && domains.length === 0) return { notes: [] };
  if (!existsSync(path) && existsSync(join(folder, "users/cdb"))) {
    return { notes: ["users/cdb is there without users/assign: nothing is added; see +alias- in docs/from-qmail.md"] };
  }
  if (table.kind !== "done") return { notes: [`users/assign: nothing is added to it: ${table.text}`] };
  const accounts = accountLines(domains, prefixes, table.value, defaultDelivery);
  const aliases = table.value.wildcards.has("alias-") ? [] : moved;
  const lines = [...aliases, ...accounts.lines];
  const why = [
    ...(aliases.length > 0 ? ["a line added for the user alias, who lives here now"] : []),
    ...(accounts.lines.length > 0 ? [`lines added for accounts of vpopmail: ${accounts.lines.length}`] : []),
  ].join("; ");
  if (lines.length === 0) return { notes: accounts.notes };
  return {
    assign: { place: "users", name: "assign", fate: "translated", why, text: withAssignLines(text, lines) },
    notes: accounts.notes,
  };
}

/** `domain:alias-x` sends a domain's mail to the files .qmail-x-... of qmail's user alias, whose home is ours now. */
function aliasLines(prefixes: ReadonlyMap<string, string>, { home, uid, gid }: AliasOwner): readonly string[] {
  const names = [...prefixes.values()].some((prefix) => prefix === "alias" || prefix.startsWith("alias-"));
  return names ? [`+alias-:alias:${uid}:${gid}:${home}:-::`] : [];
}

function accountLines(
  domains: readonly Domain[],
  prefixes: ReadonlyMap<string, string>,
  table: AssignTable,
  defaultDelivery: string,
): Added {
  if (domains.length > 0 && defaultDelivery !== "./Maildir/") {
    const why = `without .qmail mail goes to ${defaultDelivery}, theirs is in ./Maildir/`;
    return { lines: [], notes: [`domains: accounts of vpopmail are not taken: ${why}`] };
  }
  const lines: string[] = [];
  const notes: string[] = [];
  for (const domain of domains) {
    const prefix = prefixes.get(domain.name.toLowerCase());
    const accounts = readAccounts(domain.folder);
    if (prefix === undefined) notes.push(`domains/${domain.name}: not in control/virtualdomains: not taken`);
    else if (accounts.kind !== "done") notes.push(`domains/${domain.name}: not taken: ${accounts.text}`);
    else {
      const { uid, gid } = table.wildcards.get(`${prefix.toLowerCase()}-`) ?? statSync(domain.folder);
      const present = accounts.value.filter(({ home }) => existsSync(join(home, "Maildir")));
      const taken = (key: string): boolean =>
        table.exact.has(key.toLowerCase()) || hasDotQmail(domain.folder, key.slice(prefix.length + 1));
      const added = assignLines(present, { prefix, uid, gid }, taken);
      lines.push(...added);
      notes.push(...domainNotes(domain, accounts.value, present.length, added.length));
    }
  }
  return { lines, notes };
}

function domainNotes(
  { name, folder }: Domain,
  accounts: readonly VirtualAccount[],
  present: number,
  added: number,
): readonly string[] {
  const notes = [
    `domains/${name}: ${added} of ${accounts.length} accounts become mailboxes, their mail stays where it is; their passwords: postern user import --vpopmail`,
  ];
  if (present < accounts.length)
    notes.push(`domains/${name}: ${accounts.length - present} without a Maildir are not taken`);
  if (present > added)
    notes.push(
      `domains/${name}: ${present - added} with a .qmail file of the domain, or a line in users/assign, go on as before`,
    );
  const others = join(folder, ".qmail-default");
  if (existsSync(others) && readFileSync(others, "latin1").includes("vdelivermail")) {
    notes.push(
      `domains/${name}/.qmail-default runs vdelivermail for all other addresses: it must stay installed, or put "|bouncesaying 'no such address'" there`,
    );
  }
  return notes;
}

/** The domains of vpopmail in `folder`, with their accounts. Fails when there are none, or one cannot be read. */
export function readVpopmail(
  folder: string,
): Outcome<readonly { readonly name: string; readonly accounts: readonly VirtualAccount[] }[]> {
  const domains = findDomains(join(folder, "domains"));
  if (domains.length === 0) return permanent("5.1", `there are no accounts of vpopmail in ${folder}/domains`);
  const read: { readonly name: string; readonly accounts: readonly VirtualAccount[] }[] = [];
  for (const { name, folder: place } of domains) {
    const accounts = readAccounts(place);
    if (accounts.kind !== "done") return permanent("5.1", `${place}: ${accounts.text}`);
    read.push({ name, accounts: accounts.value });
  }
  return done(read);
}

/** In `domains/` and, with many, one folder down: those that hold accounts. */
function findDomains(folder: string): readonly Domain[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => {
      const path = join(folder, name);
      if (hasAccounts(path)) return [{ name, folder: path }];
      return readdirSync(path)
        .map((below) => ({ name: below, folder: join(path, below) }))
        .filter((below) => hasAccounts(below.folder));
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const hasAccounts = (folder: string): boolean =>
  existsSync(join(folder, "vpasswd")) || existsSync(join(folder, "vpasswd.cdb"));

function readAccounts(folder: string): Outcome<readonly VirtualAccount[]> {
  const text = join(folder, "vpasswd");
  if (existsSync(text)) return parseVpasswd(readFileSync(text, "latin1"));
  return parseVpasswdCdb(readFileSync(join(folder, "vpasswd.cdb")));
}

const hasDotQmail = (folder: string, name: string): boolean =>
  existsSync(join(folder, `.qmail-${name.toLowerCase().replaceAll(".", ":")}`));

function virtualPrefixes(folder: string): ReadonlyMap<string, string> {
  const path = join(folder, "control/virtualdomains");
  if (!existsSync(path)) return new Map();
  const lines = listLines(readFileSync(path, "latin1")).filter((line) => line.includes(":"));
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1)]),
  );
}
