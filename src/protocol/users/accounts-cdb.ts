import { asciiLowerCase } from "../address.ts";
import { writeCdb } from "../cdb/write.ts";
import { done, type Outcome, temporary } from "../outcome.ts";
import { accountDelimiter, isTag, type NameSplit, nameSplits } from "./account-names.ts";

/**
 * What accounts.cdb says of an address, or of a domain, whose key is its name behind an "@". Keys are in lower case.
 * `quota` is in the form of `maildirsize`, or "".
 */
export type AccountRecord =
  | { readonly kind: "mailbox"; readonly quota: string }
  | { readonly kind: "alias"; readonly targets: readonly string[] }
  /** Who gets what nobody in the domain has; often nobody. */
  | { readonly kind: "domain"; readonly catchAll: readonly string[] };

export const accountsCdb = (records: Iterable<readonly [key: string, record: AccountRecord]>): Outcome<Buffer> =>
  writeCdb([...records].map(([key, record]) => [key, dataOf(record)]));

function dataOf(record: AccountRecord): string {
  switch (record.kind) {
    case "mailbox":
      return `M${record.quota}`;
    case "alias":
      return `A${record.targets.join("\0")}`;
    case "domain":
      return `D${record.catchAll.join("\0")}`;
    default:
      return record satisfies never;
  }
}

/** `undefined` when it is none. */
export function parseAccountRecord(data: string): AccountRecord | undefined {
  const rest = data.slice(1);
  const targets = rest === "" ? [] : rest.split("\0");
  switch (data.charAt(0)) {
    case "M":
      return { kind: "mailbox", quota: rest };
    case "A":
      return { kind: "alias", targets };
    case "D":
      return { kind: "domain", catchAll: targets };
    default:
      return undefined;
  }
}

/** Looks a key up in accounts.cdb. */
export type FindRecord = (key: string) => Outcome<string | undefined>;

/** Who takes an address of a domain with accounts. */
export type AccountFound =
  | ({ readonly kind: "mailbox"; readonly quota: string } & NameSplit)
  | { readonly kind: "forward"; readonly entry: string; readonly targets: readonly string[] };

/**
 * The alias or the user of that whole name, else the user of the longest name before one of `delimiters` or a "+", or
 * the alias before a tag; else the domain's catch-all. `undefined` when nobody has it; fails, for now, when the domain
 * is not there or a record is damaged.
 */
export function findAccountOf(
  localPart: string,
  domain: string,
  delimiters: string,
  find: FindRecord,
): Outcome<AccountFound | undefined> {
  for (const split of nameSplits(localPart, delimiters + accountDelimiter)) {
    const entry = `${split.name}@${domain}`;
    const record = recordOf(entry, find);
    if (record.kind !== "done") return record;
    if (record.value?.kind === "mailbox") return done({ ...record.value, ...split });
    if ((split.dash === "" || isTag(split)) && record.value?.kind === "alias") {
      return done({ kind: "forward", entry, targets: record.value.targets });
    }
  }
  const entry = `@${asciiLowerCase(domain)}`;
  const record = recordOf(entry, find);
  if (record.kind !== "done") return record;
  if (record.value?.kind !== "domain") return temporary("3.5", `accounts.cdb does not know the domain ${domain}`);
  const { catchAll } = record.value;
  return done(catchAll.length > 0 ? { kind: "forward", entry, targets: catchAll } : undefined);
}

function recordOf(key: string, find: FindRecord): Outcome<AccountRecord | undefined> {
  const found = find(key);
  if (found.kind !== "done" || found.value === undefined) return found.kind === "done" ? done(undefined) : found;
  const record = parseAccountRecord(found.value);
  return record ? done(record) : temporary("3.5", "a record of accounts.cdb is damaged");
}
