import { createHash, timingSafeEqual } from "node:crypto";

/** `{SSHA}`, `{SSHA256}`, `{SSHA512}` of LDAP servers and Dovecot: base64 of a digest and its salt. */
export interface SaltedSha {
  readonly algorithm: "sha1" | "sha256" | "sha512";
  readonly digest: Buffer;
  readonly salt: Buffer;
}

const forms = new Map([
  ["SSHA", { algorithm: "sha1", octets: 20 }],
  ["SSHA256", { algorithm: "sha256", octets: 32 }],
  ["SSHA512", { algorithm: "sha512", octets: 64 }],
] as const);
const maxSaltOctets = 64;

/** `undefined` when it is of another form, or has no salt. */
export function parseSaltedSha(text: string): SaltedSha | undefined {
  const [, name = "", base64 = ""] = /^\{([A-Z0-9]{4,7})\}([A-Za-z0-9+/]{1,200}={0,2})$/.exec(text) ?? [];
  const form = [...forms].find(([known]) => known === name)?.[1];
  const octets = Buffer.from(base64, "base64");
  if (!form || octets.length <= form.octets || octets.length > form.octets + maxSaltOctets) return undefined;
  return {
    algorithm: form.algorithm,
    digest: octets.subarray(0, form.octets),
    salt: octets.subarray(form.octets),
  };
}

export const matchesSaltedSha = (password: Buffer, { algorithm, digest, salt }: SaltedSha): boolean =>
  timingSafeEqual(createHash(algorithm).update(password).update(salt).digest(), digest);
