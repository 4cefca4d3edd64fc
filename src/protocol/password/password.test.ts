import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { formatArgon2, hashArgon2, parseArgon2 } from "./argon2.ts";
import { isOutdated, matchesHash, parsePasswordHash } from "./hash.ts";
import { maxPasswordOctets, preparePassword } from "./prepare.ts";
import { deriveScramKeys, formatScramKeys, parseScramKeys } from "./scram-keys.ts";

const passwords = ["secret", "a", "pässwörd", "x".repeat(64), "y".repeat(65), "z".repeat(250), "Hello world!"];

/** Of Drepper's description; the last two also say how many rounds. */
const drepper: readonly (readonly [password: string, hash: string])[] = [
  [
    "Hello world!",
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
  ],
  [
    "Hello world!",
    "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
  ],
  [
    "we have a short salt string but not a short password",
    "$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0",
  ],
];
for (const [password, hash] of drepper) {
  test(`matchesHash() agrees with the vector ${hash.slice(0, 24)}`, async () => {
    const parsed = parsePasswordHash(hash);
    assert.ok(parsed && isOutdated(parsed));
    assert.equal(await matchesHash(Buffer.from(password), parsed), true);
    assert.equal(await matchesHash(Buffer.from(`${password}x`), parsed), false);
  });
}

for (const password of passwords) {
  test(`matchesHash() agrees with openssl passwd -6 for ${password.length} characters`, async () => {
    const hash = execFileSync("openssl", ["passwd", "-6", "-stdin"], { input: password, encoding: "utf8" }).trim();
    const parsed = parsePasswordHash(hash);
    assert.ok(parsed);
    assert.equal(await matchesHash(Buffer.from(password), parsed), true);
    assert.equal(await matchesHash(Buffer.from(password.slice(1)), parsed), false);
  });
}

test("matchesHash() knows argon2id: the vector of the reference implementation, and its own", async () => {
  const vector = parsePasswordHash(
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
  );
  assert.ok(vector && isOutdated(vector));
  assert.equal(await matchesHash(Buffer.from("password"), vector), true);
  const own = parsePasswordHash(formatArgon2(await hashArgon2(Buffer.from("secret"), randomBytes(16))));
  assert.ok(own && !isOutdated(own));
  assert.equal(await matchesHash(Buffer.from("secret"), own), true);
  assert.equal(await matchesHash(Buffer.from("Secret"), own), false);
});

for (const [form, algorithm] of [
  ["SSHA", "sha1"],
  ["SSHA256", "sha256"],
  ["SSHA512", "sha512"],
] as const) {
  test(`matchesHash() knows {${form}}`, async () => {
    const salt = randomBytes(8);
    const digest = createHash(algorithm).update("secret").update(salt).digest();
    const parsed = parsePasswordHash(`{${form}}${Buffer.concat([digest, salt]).toString("base64")}`);
    assert.ok(parsed);
    assert.equal(await matchesHash(Buffer.from("secret"), parsed), true);
    assert.equal(await matchesHash(Buffer.from("secrets"), parsed), false);
  });
}

const tag = "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
const crypt = "svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
const refused: readonly (readonly [why: string, hash: string])[] = [
  ["nothing", ""],
  ["a plain password", "secret"],
  ["MD5 crypt", "$1$abcdefgh$0123456789012345678901"],
  ["argon2i", `$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$${tag}`],
  ["an old version of argon2", `$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$${tag}`],
  ["more memory than is given", `$argon2id$v=19$m=999999,t=2,p=1$c29tZXNhbHQ$${tag}`],
  ["more passes than are made", `$argon2id$v=19$m=65536,t=17,p=1$c29tZXNhbHQ$${tag}`],
  ["no pass", `$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$${tag}`],
  ["base64 with padding", `$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$${tag}=`],
  ["bits that mean nothing", `$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHR$${tag}`],
  ["a short tag", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFh"],
  ["many rounds", `$6$rounds=999999$salt$${crypt}`],
  ["few rounds", `$6$rounds=999$salt$${crypt}`],
  ["a long salt", `$6$saltstringsaltstring$${crypt}`],
  ["a hash cut short", `$6$salt$${crypt.slice(1)}`],
  ["SSHA without salt", `{SSHA}${Buffer.alloc(20).toString("base64")}`],
  ["SHA without salt", `{SHA}${Buffer.alloc(20).toString("base64")}`],
  ["an overlong text", "$6$".padEnd(10_000, "x")],
];
for (const [why, hash] of refused)
  test(`parsePasswordHash() refuses ${why}`, () => assert.equal(parsePasswordHash(hash), undefined));

test("parsePasswordHash() takes Dovecot's prefixes", () => {
  assert.equal(parsePasswordHash(`{SHA512-CRYPT}$6$saltstring$${crypt}`)?.form, "sha512-crypt");
  assert.equal(parsePasswordHash(`{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$${tag}`)?.form, "argon2id");
});

test("parseArgon2() reads what formatArgon2() writes", async () => {
  const hash = await hashArgon2(Buffer.from("x"), randomBytes(16));
  assert.deepEqual(parseArgon2(formatArgon2(hash)), hash);
});

test("formatScramKeys() writes what parseScramKeys() reads", async () => {
  const keys = await deriveScramKeys(Buffer.from("pencil"), Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"));
  assert.deepEqual(parseScramKeys(formatScramKeys(keys)), keys);
  for (const text of ["", "SCRAM-SHA-256$0:c2FsdA==$x:y", `${formatScramKeys(keys)}=`, "x".repeat(9_999)]) {
    assert.equal(parseScramKeys(text), undefined);
  }
});

const prepared: readonly (readonly [why: string, octets: Buffer, is: string | undefined])[] = [
  ["plain words", Buffer.from("correct horse"), "correct horse"],
  ["capitals", Buffer.from("Secret"), "Secret"],
  ["a blank that does not break", Buffer.from("a\u00a0b"), "a b"],
  ["an ideographic blank", Buffer.from("a\u3000b"), "a b"],
  ["a letter with its accent apart", Buffer.from("e\u0301"), "\u00e9"],
  ["full width, left alone", Buffer.from("\uff21"), "\uff21"],
  ["a mark in front, kept", Buffer.from("\ufeffa"), "\ufeffa"],
  ["the longest", Buffer.alloc(maxPasswordOctets, "x"), "x".repeat(maxPasswordOctets)],
  ["one more", Buffer.alloc(maxPasswordOctets + 1, "x"), undefined],
  ["nothing", Buffer.alloc(0), undefined],
  ["NUL", Buffer.from("a\0b"), undefined],
  ["a tab", Buffer.from("a\tb"), undefined],
  ["DEL", Buffer.from("a\x7f"), undefined],
  ["latin1", Buffer.from("p\xe4ss", "latin1"), undefined],
  ["an overlong form", Buffer.from([0xc0, 0xaf]), undefined],
  ["half a pair", Buffer.from([0xed, 0xa0, 0x80]), undefined],
  ["no character", Buffer.from("\u0378"), undefined],
];
for (const [why, octets, is] of prepared) {
  test(`preparePassword() of ${why}`, () => assert.equal(preparePassword(octets)?.toString("utf8"), is));
}
