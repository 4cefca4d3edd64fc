import { randomBytes } from "node:crypto";
import { parseQuota } from "../../protocol/maildir/quota.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { formatArgon2, hashArgon2, saltOctets } from "../../protocol/password/argon2.ts";
import { parsePasswordHash } from "../../protocol/password/hash.ts";
import { maxPasswordOctets, preparePassword } from "../../protocol/password/prepare.ts";
import { deriveScramKeys, formatScramKeys, scramSaltOctets } from "../../protocol/password/scram-keys.ts";
import { domainOf } from "../../protocol/routing/router.ts";
import type { AccountStore, User } from "./account-store.ts";
import { rowsOf, said, thereIsNo, timeText } from "./answer.ts";
import { addressName, allOf, domainName } from "./names.ts";
import type { AccountsAnswer, AccountsRequest, Credential, UserOptions } from "./request.ts";

type UserRequest = Extract<AccountsRequest, { readonly action: `user ${string}` }>;
type Secrets = Pick<User, "hash" | "scram" | "secret">;

/** Users: added with a password or a hash, listed, changed, removed. */
export async function userRequest(store: AccountStore, request: UserRequest): Promise<Outcome<AccountsAnswer>> {
  if (request.action === "user import") return await importUsers(store, request.users);
  if (request.action === "user list") return listUsers(store, request.address);
  const named = addressName(request.address);
  if (named.kind !== "done") return named;
  const address = named.value;
  if (request.action === "user add") return await addUser(store, address, request.credential, request.options);
  const user = store.user(address);
  if (!user) return thereIsNo(`user ${address}`);
  switch (request.action) {
    case "user show":
      return rowsOf([rowOf(store, user)]);
    case "user set":
      return await setUser(store, user, request.credential, request.options);
    default: // "user remove"
      store.transaction(() => store.removeUser(address));
      return said(`${address}: removed; mail that was stored stays where it is`);
  }
}

function listUsers(store: AccountStore, domain: string): Outcome<AccountsAnswer> {
  if (domain === "") return rowsOf(store.users().map((user) => rowOf(store, user)));
  const name = domainName(domain);
  if (name.kind !== "done") return name;
  if (!store.domain(name.value)) return thereIsNo(`domain ${name.value}`);
  return rowsOf(store.users(name.value).map((user) => rowOf(store, user)));
}

const fresh = { quotaOctets: 0, quotaMessages: 0, enabled: 1, lastLoginMs: 0 };

async function addUser(
  store: AccountStore,
  address: string,
  credential: Credential,
  options: UserOptions,
): Promise<Outcome<AccountsAnswer>> {
  const free = isFree(store, address);
  if (free.kind !== "done") return free;
  const secrets = await secretsOf(credential);
  if (secrets.kind !== "done") return secrets;
  return change(store, { ...fresh, ...secrets.value, address }, options, "added");
}

function isFree(store: AccountStore, address: string): Outcome<void> {
  const domain = domainOf(address);
  if (!store.domain(domain)) return permanent("5.1", `there is no domain ${domain}; see: postern domain add ${domain}`);
  if (store.user(address)) return permanent("5.1", `the user ${address} is there already`);
  if (store.targets(address).length > 0) return permanent("5.1", `there is an alias ${address}`);
  return done(undefined);
}

async function setUser(
  store: AccountStore,
  user: User,
  credential: Credential | undefined,
  options: UserOptions,
): Promise<Outcome<AccountsAnswer>> {
  if (!credential) return change(store, user, options, "changed");
  const secrets = await secretsOf(credential);
  return secrets.kind === "done" ? change(store, { ...user, ...secrets.value }, options, "changed") : secrets;
}

function change(store: AccountStore, user: User, options: UserOptions, what: string): Outcome<AccountsAnswer> {
  const given = allOf((options.sendAs ?? []).map(senderName));
  const taken = allOf((options.noSendAs ?? []).map(senderName));
  if (given.kind !== "done") return given;
  if (taken.kind !== "done") return taken;
  const { address } = user;
  store.transaction(() => {
    const {
      quotaOctets = user.quotaOctets,
      quotaMessages = user.quotaMessages,
      enabled = user.enabled === 1,
    } = options;
    store.putUser({ ...user, quotaOctets, quotaMessages, enabled: enabled ? 1 : 0 });
    for (const who of given.value) store.setSendAs(address, who, true);
    for (const who of taken.value) store.setSendAs(address, who, false);
  });
  return said(`${address}: ${what}`);
}

/** An address, or a whole domain behind an "@". */
function senderName(text: string): Outcome<string> {
  if (!text.startsWith("@")) return addressName(text);
  const domain = domainName(text.slice(1));
  return domain.kind === "done" ? done(`@${domain.value}`) : domain;
}

async function secretsOf(credential: Credential): Promise<Outcome<Secrets>> {
  if ("hash" in credential) {
    if (!parsePasswordHash(credential.hash)) {
      return permanent(
        "5.1",
        "no hash that is known here: argon2id in PHC form, crypt's $6$, {SSHA}, {SSHA256}, {SSHA512}",
      );
    }
    return done({ hash: credential.hash, scram: "", secret: "" });
  }
  const password = preparePassword(Buffer.from(credential.password, "latin1"));
  if (!password) {
    return permanent("5.1", `a password is UTF-8, without control characters, of up to ${maxPasswordOctets} octets`);
  }
  return done({
    hash: formatArgon2(await hashArgon2(password, randomBytes(saltOctets))),
    scram: formatScramKeys(await deriveScramKeys(password, randomBytes(scramSaltOctets))),
    secret: credential.keep ? password.toString("latin1") : "",
  });
}

/** POP3, IMAP and SMTP. */
const allServices = 3;

type Imported = Extract<AccountsRequest, { readonly action: "user import" }>["users"][number];

/** Takes those it can; says of each other why not. Domains that are not there only log in: their mail goes on as before. */
async function importUsers(store: AccountStore, users: readonly Imported[]): Promise<Outcome<AccountsAnswer>> {
  const lines: string[] = [];
  let added = 0;
  for (const imported of users) {
    const outcome = await importUser(store, imported);
    if (outcome.kind === "done") added++;
    lines.push(...wordsOn(imported, outcome));
  }
  return said(...lines, `${added} of ${users.length} users taken`);
}

function wordsOn({ address, forbids = [] }: Imported, outcome: Outcome<AccountsAnswer>): readonly string[] {
  if (outcome.kind !== "done") return [`${address}: not taken: ${outcome.text}`];
  if (forbids.length === 0) return [];
  const isShut = forbids.length === allServices;
  return [
    `${address}: ${isShut ? "disabled, as it was" : `it was kept from ${forbids.join(" and ")}, and is no more`}`,
  ];
}

async function importUser(
  store: AccountStore,
  { address, credential, quota, forbids = [] }: Imported,
): Promise<Outcome<AccountsAnswer>> {
  const named = addressName(address);
  if (named.kind !== "done") return named;
  const domain = domainOf(named.value);
  const secrets = await secretsOf(credential);
  if (secrets.kind !== "done") return secrets;
  if (!store.domain(domain)) store.putDomain({ name: domain, mail: 0 });
  const free = isFree(store, named.value);
  if (free.kind !== "done") return free;
  const { octets = 0, messages = 0 } = parseQuota(quota) ?? {};
  const user = { ...fresh, ...secrets.value, address: named.value, quotaOctets: octets, quotaMessages: messages };
  return change(store, user, { enabled: forbids.length < allServices }, "added");
}

const rowOf = (store: AccountStore, user: User): AccountsAnswer["rows"][number] => ({
  user: user.address,
  enabled: user.enabled === 1,
  quotaOctets: user.quotaOctets,
  quotaMessages: user.quotaMessages,
  sendAs: store.sendAs(user.address),
  appPasswords: store.appPasswords(user.address).map(({ name }) => name),
  password: parsePasswordHash(user.hash)?.form ?? "none",
  lastLogin: timeText(user.lastLoginMs),
});
