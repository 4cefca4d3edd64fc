import { createHash, createHmac, pbkdf2 } from "node:crypto";

/** What is kept of a password for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677): enough to check, not to log in elsewhere. */
export interface ScramKeys {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** RFC 7677 §4 asks for at least 4096. The client does this work at each login. */
export const scramIterations = 10_000;
export const scramSaltOctets = 16;
const keyOctets = 32;
const mostIterations = 1_000_000;

export const hmacSha256 = (key: Buffer, text: string | Buffer): Buffer =>
  createHmac("sha256", key).update(text).digest();
export const sha256 = (octets: Buffer): Buffer => createHash("sha256").update(octets).digest();

export async function deriveScramKeys(
  password: Buffer,
  salt: Buffer,
  iterations = scramIterations,
): Promise<ScramKeys> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  pbkdf2(password, salt, iterations, keyOctets, "sha256", (error, made) => (error ? reject(error) : resolve(made)));
  const salted = await promise;
  const clientKey = hmacSha256(salted, "Client Key");
  const keys = { storedKey: sha256(clientKey), serverKey: hmacSha256(salted, "Server Key") };
  return { iterations, salt, ...keys };
}

/** `SCRAM-SHA-256$10000:SALT$STOREDKEY:SERVERKEY`, base64, as RFC 5803 and PostgreSQL have it. */
export const formatScramKeys = ({ iterations, salt, storedKey, serverKey }: ScramKeys): string =>
  `SCRAM-SHA-256$${iterations}:${base64(salt)}$${base64(storedKey)}:${base64(serverKey)}`;

/** Reads that form; `undefined` when it is another. */
export function parseScramKeys(text: string): ScramKeys | undefined {
  const [, iterations = "", salt = "", storedKey = "", serverKey = ""] =
    /^SCRAM-SHA-256\$([0-9]{1,7}):([A-Za-z0-9+/=]{4,88})\$([A-Za-z0-9+/=]{44}):([A-Za-z0-9+/=]{44})$/.exec(text) ?? [];
  const keys = {
    iterations: Number(iterations),
    salt: Buffer.from(salt, "base64"),
    storedKey: Buffer.from(storedKey, "base64"),
    serverKey: Buffer.from(serverKey, "base64"),
  };
  if (keys.iterations < 1 || keys.iterations > mostIterations) return undefined;
  return formatScramKeys(keys) === text && keys.storedKey.length === keyOctets ? keys : undefined;
}

const base64 = (octets: Buffer): string => octets.toString("base64");
