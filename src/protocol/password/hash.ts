import { type Argon2Hash, isCurrent, matchesArgon2, parseArgon2 } from "./argon2.ts";
import { matchesSaltedSha, parseSaltedSha, type SaltedSha } from "./salted-sha.ts";
import { matchesSha512Crypt, parseSha512Crypt, type Sha512Crypt } from "./sha512-crypt.ts";

/** A password hash of any form that is understood. New ones are argon2id; the others come from elsewhere. */
export type PasswordHash =
  | { readonly form: "argon2id"; readonly hash: Argon2Hash }
  | { readonly form: "sha512-crypt"; readonly hash: Sha512Crypt }
  | { readonly form: "salted-sha"; readonly hash: SaltedSha };

/** A longer text is no hash. */
const maxHashOctets = 512;

/** Reads a hash, with or without Dovecot's `{ARGON2ID}` or `{SHA512-CRYPT}` before it. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  if (text.length > maxHashOctets) return undefined;
  const bare = text.replace(/^\{(?:ARGON2ID|SHA512-CRYPT|CRYPT)\}/, "");
  const argon2id = parseArgon2(bare);
  if (argon2id) return { form: "argon2id", hash: argon2id };
  const crypt = parseSha512Crypt(bare);
  if (crypt) return { form: "sha512-crypt", hash: crypt };
  const salted = parseSaltedSha(text);
  return salted && { form: "salted-sha", hash: salted };
}

export async function matchesHash(password: Buffer, hash: PasswordHash): Promise<boolean> {
  switch (hash.form) {
    case "argon2id":
      return await matchesArgon2(password, hash.hash);
    case "sha512-crypt":
      return await matchesSha512Crypt(password, hash.hash);
    case "salted-sha":
      return matchesSaltedSha(password, hash.hash);
    default:
      return hash satisfies never;
  }
}

/** Whether the password is better hashed anew when it is next seen. */
export const isOutdated = (hash: PasswordHash): boolean => hash.form !== "argon2id" || !isCurrent(hash.hash);
