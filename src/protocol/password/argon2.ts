import { argon2, timingSafeEqual } from "node:crypto";

/** An argon2id hash with what it was made with (RFC 9106 §3.1). */
export interface Argon2Hash {
  readonly memoryKiB: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly salt: Buffer;
  readonly tag: Buffer;
}

/** What new hashes are made with: about 40 ms and 19 MiB each. */
export const argon2Cost = { memoryKiB: 19_456, passes: 2, parallelism: 1 } as const;
export const saltOctets = 16;
const tagOctets = 32;

/** A hash that asks for more than this would be a way to stop the server, not to keep a password. */
const most = { memoryKiB: 262_144, passes: 16, parallelism: 8 };

/** Off the loop. Throws when the library does. */
function tagOf(message: Buffer, { memoryKiB: memory, passes, parallelism, salt: nonce, tag }: Argon2Hash) {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const parameters = { message, nonce, memory, passes, parallelism, tagLength: tag.length };
  argon2("argon2id", parameters, (error, made) => (error ? reject(error) : resolve(made)));
  return promise;
}

/** A new hash of `password`, with 16 random octets of salt. */
export async function hashArgon2(password: Buffer, salt: Buffer): Promise<Argon2Hash> {
  const made = { ...argon2Cost, salt, tag: Buffer.alloc(tagOctets) };
  return { ...made, tag: await tagOf(password, made) };
}

export const matchesArgon2 = async (password: Buffer, hash: Argon2Hash): Promise<boolean> =>
  timingSafeEqual(await tagOf(password, hash), hash.tag);

/** Whether it was made with what new ones are made with. */
export const isCurrent = ({ memoryKiB, passes, parallelism }: Argon2Hash): boolean =>
  memoryKiB === argon2Cost.memoryKiB && passes === argon2Cost.passes && parallelism === argon2Cost.parallelism;

/** The hash in PHC string form: `$argon2id$v=19$m=19456,t=2,p=1$SALT$TAG`, base64 without padding. */
export const formatArgon2 = ({ memoryKiB, passes, parallelism, salt, tag }: Argon2Hash): string =>
  `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(tag)}`;

/** Reads that form; `undefined` for other versions and algorithms, and for costs beyond bounds. */
export function parseArgon2(text: string): Argon2Hash | undefined {
  const [, memory = "", passes = "", parallelism = "", salt = "", tag = ""] =
    /^\$argon2id\$v=19\$m=([0-9]{1,6}),t=([0-9]{1,2}),p=([0-9]{1,1})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/.exec(
      text,
    ) ?? [];
  const hash = {
    memoryKiB: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, "base64"),
    tag: Buffer.from(tag, "base64"),
  };
  const isBounded =
    hash.memoryKiB <= most.memoryKiB && hash.passes <= most.passes && hash.parallelism <= most.parallelism;
  const isPossible = hash.passes > 0 && hash.parallelism > 0 && hash.memoryKiB >= 8 * hash.parallelism;
  return isBounded && isPossible && formatArgon2(hash) === text ? hash : undefined;
}

const unpadded = (octets: Buffer): string => octets.toString("base64").replaceAll("=", "");
