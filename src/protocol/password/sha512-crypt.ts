import { createHash, timingSafeEqual } from "node:crypto";

/** `$6$[rounds=N$]SALT$HASH` of crypt(3), as Linux keeps passwords in /etc/shadow. */
export interface Sha512Crypt {
  readonly rounds: number;
  /** Up to 16 octets (latin1). */
  readonly salt: string;
  /** As it stands behind the salt. */
  readonly hash: string;
}

const defaultRounds = 5_000;
const leastRounds = 1_000;
/** About half a second. More would be a way to stop the server. */
const mostRounds = 100_000;
/** So many rounds between looks at what else there is to do. */
const roundsTogether = 250;

/** `undefined` when it is of another form, or asks for too much. */
export function parseSha512Crypt(text: string): Sha512Crypt | undefined {
  const [, rounds, salt, hash] =
    /^\$6\$(?:rounds=([0-9]{1,6})\$)?([^$:\n\0]{0,16})\$([./0-9A-Za-z]{86})$/.exec(text) ?? [];
  if (salt === undefined || hash === undefined) return undefined;
  const count = rounds === undefined ? defaultRounds : Number(rounds);
  return count >= leastRounds && count <= mostRounds ? { rounds: count, salt, hash } : undefined;
}

/** In pieces: other work goes on meanwhile. */
export async function matchesSha512Crypt(password: Buffer, { rounds, salt, hash }: Sha512Crypt): Promise<boolean> {
  const made = await hashOf(password, Buffer.from(salt, "latin1"), rounds);
  return timingSafeEqual(Buffer.from(made), Buffer.from(hash));
}

const sha512 = (...pieces: readonly Buffer[]): Buffer => {
  const hash = createHash("sha512");
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
};

/** `octets` again and again, up to that length. */
const repeated = (octets: Buffer, length: number): Buffer => Buffer.alloc(length, octets);

/** The steps of Drepper's description, "Unix crypt using SHA-256 and SHA-512", by its numbers. */
async function hashOf(password: Buffer, salt: Buffer, rounds: number): Promise<string> {
  const b = sha512(password, salt, password); // 4 to 8
  const pieces = [password, salt, repeated(b, password.length)]; // 1 to 10
  for (let bits = password.length; bits > 0; bits >>= 1) pieces.push(bits & 1 ? b : password); // 11
  let digest = sha512(...pieces); // 12
  const times = (count: number, octets: Buffer): Buffer => sha512(...new Array<Buffer>(count).fill(octets));
  const p = repeated(times(password.length, password), password.length); // 13 to 16
  const s = repeated(times(16 + (digest[0] ?? 0), salt), salt.length); // 17 to 20
  for (let round = 0; round < rounds; round++) {
    const isOdd = round % 2 === 1; // 21
    const around = [...(round % 3 ? [s] : []), ...(round % 7 ? [p] : [])];
    digest = isOdd ? sha512(p, ...around, digest) : sha512(digest, ...around, p);
    if (round % roundsTogether === 0) await new Promise(setImmediate);
  }
  return encode(digest);
}

const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** crypt's own base64 (22): octets 0, 21, 42, then each group turned by one; the last octet alone. */
function encode(digest: Buffer): string {
  let text = "";
  const write = (group: number, characters: number): void => {
    for (let n = 0, bits = group; n < characters; n++, bits >>= 6) text += alphabet.charAt(bits & 63);
  };
  const order = [0, 21, 42];
  for (let group = 0; group < 21; group++) {
    const [high = 0, middle = 0, low = 0] = order.map((_, n) => digest[(order[(n + group) % 3] ?? 0) + group]);
    write((high << 16) | (middle << 8) | low, 4);
  }
  write(digest[63] ?? 0, 2);
  return text;
}
