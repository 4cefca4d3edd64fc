import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { formatArgon2, hashArgon2, saltOctets } from "../../protocol/password/argon2.ts";
import { isOutdated, matchesHash, type PasswordHash, parsePasswordHash } from "../../protocol/password/hash.ts";
import {
  deriveScramKeys,
  formatScramKeys,
  hmacSha256,
  parseScramKeys,
  type ScramKeys,
  scramIterations,
  scramSaltOctets,
} from "../../protocol/password/scram-keys.ts";
import { domainOf } from "../../protocol/routing/router.ts";
import type { AccountStore, AppPassword, User } from "../../services/accounts/account-store.ts";
import { createTurns } from "./turns.ts";

/** Whether a password is right. `why` is for the log. */
export type Verdict =
  | { readonly kind: "right"; readonly appPassword?: string }
  | { readonly kind: "wrong"; readonly why: string }
  | { readonly kind: "cannot tell" };

export interface Passwords {
  /** The password is for `service`: app passwords are good for some. */
  check(account: string, password: Buffer, service: string): Promise<Verdict>;
  /** For SCRAM: of an account that does not exist, always the same that could be. */
  keysOf(account: string): ScramKeys;
  /** The password itself, where it is kept. */
  secretOf(account: string): Buffer | undefined;
  isEnabled(account: string): boolean;
}

/** Two at a time take 40 MiB; those that wait longer would get no answer in time anyway. */
const limits = { atOnce: 2, waiting: 200, waitMs: 10_000 };

/** What the site's own program says, for accounts of domains that are not in the store; `undefined` without one. */
export type AskOutside = (account: string, password: Buffer) => Promise<string> | undefined;

/** Checks passwords against the store. Throws SQLite's error. */
export async function createPasswords(
  store: AccountStore,
  nowMs: () => number,
  askOutside: AskOutside,
): Promise<Passwords> {
  const turns = createTurns(limits);
  const nobodyKey = Buffer.from(store.nobodyKey(), "hex");
  const dummy: PasswordHash = { form: "argon2id", hash: await hashArgon2(randomBytes(16), randomBytes(saltOctets)) };

  /** The same work whether there is an account or not, and of which form its hash is. */
  const isRight = async (user: User | undefined, password: Buffer): Promise<boolean> => {
    const hash = user && parsePasswordHash(user.hash);
    if (hash?.form === "argon2id") return await matchesHash(password, hash);
    await matchesHash(password, dummy);
    return hash ? await matchesHash(password, hash) : false;
  };

  /** A hash that came from elsewhere is made anew of the password, now that it is here. */
  const renew = async (address: string, password: Buffer): Promise<void> => {
    const hash = formatArgon2(await hashArgon2(password, randomBytes(saltOctets)));
    const scram = formatScramKeys(await deriveScramKeys(password, randomBytes(scramSaltOctets)));
    const user = store.user(address);
    if (user) store.putUser({ ...user, hash, scram });
  };

  return {
    async check(account, password, service) {
      const user = store.user(account);
      const appPassword = user && findAppPassword(store.appPasswords(account), password);
      if (appPassword) return verdictOf(appPassword, user, service, nowMs());
      if (!user && !store.domain(domainOf(account))) {
        const letter = await askOutside(account, password);
        if (letter === "Z") return { kind: "cannot tell" };
        if (letter !== undefined) return letter === "K" ? { kind: "right" } : wrongOutside;
      }
      const right = await turns.run(() => isRight(user, password));
      if (right === undefined) return { kind: "cannot tell" };
      if (!user) return { kind: "wrong", why: "no such account" };
      if (!right) return { kind: "wrong", why: "wrong password" };
      if (user.enabled === 0) return { kind: "wrong", why: "disabled" };
      const hash = parsePasswordHash(user.hash);
      if (hash && isOutdated(hash)) await turns.run(() => renew(account, password));
      return { kind: "right" };
    },
    keysOf(account) {
      const keys = parseScramKeys(store.user(account)?.scram ?? "");
      if (keys) return keys;
      const salt = hmacSha256(nobodyKey, account).subarray(0, scramSaltOctets);
      return { iterations: scramIterations, salt, storedKey: randomBytes(32), serverKey: randomBytes(32) };
    },
    secretOf(account) {
      const secret = store.user(account)?.secret ?? "";
      return secret === "" ? undefined : Buffer.from(secret, "latin1");
    },
    isEnabled: (account) => store.user(account)?.enabled === 1,
  };
}

const wrongOutside: Verdict = { kind: "wrong", why: "refused by checkpassword" };

/** Looks at each, whichever it is. */
function findAppPassword(all: readonly AppPassword[], password: Buffer): AppPassword | undefined {
  const digest = createHash("sha256").update(password).digest();
  let found: AppPassword | undefined;
  for (const each of all) {
    const theirs = Buffer.from(each.digest, "hex");
    if (theirs.length === digest.length && timingSafeEqual(theirs, digest)) found = each;
  }
  return found;
}

function verdictOf(appPassword: AppPassword, user: User, service: string, nowMs: number): Verdict {
  const { name, scopes, expiresMs } = appPassword;
  if (user.enabled === 0) return { kind: "wrong", why: "disabled" };
  if (!scopes.split(" ").includes(service)) return { kind: "wrong", why: `app password ${name} is not for ${service}` };
  if (expiresMs !== 0 && nowMs >= expiresMs) return { kind: "wrong", why: `app password ${name} has expired` };
  return { kind: "right", appPassword: name };
}
