import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Event } from "../../protocol/event/event.ts";
import { formatArgon2, hashArgon2, parseArgon2 } from "../../protocol/password/argon2.ts";
import { deriveScramKeys, formatScramKeys } from "../../protocol/password/scram-keys.ts";
import type { LoginEnd } from "../../protocol/wire/directory.ts";
import { openAccounts } from "../../services/accounts/open-accounts.ts";
import { createGuesses } from "./guesses.ts";
import { createLogins, type LoginRequest } from "./logins.ts";
import { createPasswords } from "./passwords.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-logins-"));
const opened = openAccounts(folder, 1_000);
assert.ok(opened.kind === "done");
const store = opened.value;
after(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

const password = Buffer.from("secret");
const hash = formatArgon2(await hashArgon2(password, randomBytes(16)));
const scram = formatScramKeys(await deriveScramKeys(password, randomBytes(16)));
const user = {
  ...{ hash, scram, secret: "secret" },
  ...{ quotaOctets: 0, quotaMessages: 0, enabled: 1, lastLoginMs: 0 },
};
store.putDomain({ name: "a.test", mail: 1 });
store.putUser({ ...user, address: "joe@a.test" });
store.putUser({ ...user, address: "off@a.test", enabled: 0 });
const oldHash = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
store.putUser({ ...user, address: "old@a.test", hash: oldHash, scram: "", secret: "" });
const digest = createHash("sha256").update("phone-password").digest("hex");
const phone = { address: "joe@a.test", digest, scopes: "smtp imap", expiresMs: 0, lastUsedMs: 0 };
store.putAppPassword({ ...phone, name: "phone" });
const gone = createHash("sha256").update("old-password").digest("hex");
store.putAppPassword({ ...phone, name: "tablet", digest: gone, expiresMs: 1 });

/** The site's own program. */
const outside = (account: string, secret: string): string =>
  account === "later" ? "Z" : account === "sys" && secret === "secret" ? "K" : "D";
const log: Event[] = [];
const notes: string[] = [];
const waited: number[] = [];
const granted: string[] = [];
const readers: string[] = [];
const passwords = await createPasswords(store, Date.now, (account, secret) =>
  account.endsWith("a.test") || account === "nobody" ? undefined : Promise.resolve(outside(account, secret.toString())),
);
const start = (keepsPasswords = true, limits = { perAddress: 0, perNetwork: 0, perAccount: 0 }) =>
  createLogins({
    passwords: () => passwords,
    guesses: createGuesses(limits, () => performance.now()),
    host: () => "mx.test",
    keepsPasswords: () => keepsPasswords,
    grant: async (ticket, account) => void granted.push(`${account} ${ticket.length}`),
    reads: (address) => void readers.push(address),
    note: (account, appPassword) => notes.push(`${account} ${appPassword}`),
    log: (event) => log.push(event),
    wait: async (ms) => void waited.push(ms),
  });
const request: LoginRequest = {
  ...{ service: "smtp", mechanism: "PLAIN", address: "192.0.2.1", initial: undefined, binding: undefined },
};

/** Logs in; `respond` answers the challenges. */
function login(
  more: Partial<LoginRequest>,
  respond: (challenge: string) => string = () => "",
  logins = start(),
): Promise<LoginEnd> {
  const { promise, resolve } = Promise.withResolvers<LoginEnd>();
  const running = logins.begin(
    { ...request, ...more },
    {
      onChallenge: (octets) =>
        setImmediate(() => running.respond(Buffer.from(respond(octets.toString("latin1")), "latin1"))),
      onEnd: resolve,
    },
  );
  return promise;
}
const plain = (account: string, secret: string): Partial<LoginRequest> => ({
  initial: Buffer.from(`\0${account}\0${secret}`),
});

const tries: readonly {
  readonly name: string;
  readonly with: Partial<LoginRequest>;
  readonly letter: "K" | "D";
  readonly why?: string;
}[] = [
  { name: "the right password", with: plain("Joe@A.test", "secret"), letter: "K" },
  { name: "a wrong password", with: plain("joe@a.test", "Secret"), letter: "D", why: "wrong password" },
  { name: "nobody's name", with: plain("jim@a.test", "secret"), letter: "D", why: "no such account" },
  { name: "an account that is disabled", with: plain("off@a.test", "secret"), letter: "D", why: "disabled" },
  { name: "an old hash", with: plain("old@a.test", "Hello world!"), letter: "K" },
  { name: "an old hash, made anew by then", with: plain("old@a.test", "Hello world!"), letter: "K" },
  { name: "an app password", with: plain("joe@a.test", "phone-password"), letter: "K" },
  {
    name: "an app password for something else",
    with: { ...plain("joe@a.test", "phone-password"), service: "pop3" },
    letter: "D",
    why: "app password phone is not for pop3",
  },
  {
    name: "an app password that has expired",
    with: plain("joe@a.test", "old-password"),
    letter: "D",
    why: "app password tablet has expired",
  },
  {
    name: "another's app password",
    with: plain("off@a.test", "phone-password"),
    letter: "D",
    why: "wrong password",
  },
  { name: "an account of the system", with: plain("sys", "secret"), letter: "K" },
  {
    name: "an account of the system, and a wrong password",
    with: plain("sys", "guess"),
    letter: "D",
    why: "refused by checkpassword",
  },
  { name: "a name for nobody's program", with: plain("nobody", "x"), letter: "D", why: "no such account" },
  { name: "an unknown mechanism", with: { mechanism: "X" }, letter: "D", why: "no such mechanism" },
  { name: "a malformed message", with: { initial: Buffer.from("x") }, letter: "D", why: "malformed" },
];
for (const { name, with: more, letter, why } of tries) {
  test(`a login with ${name} ends with ${letter}`, async () => {
    log.length = 0;
    const end = await login(more);
    assert.equal(end.letter, letter);
    assert.equal(end.text, letter === "K" ? "" : "authentication failed", "one text for every refusal");
    const [event] = log;
    if (letter === "K") assert.equal(event?.event, "login");
    else assert.partialDeepStrictEqual(event, { event: "login failure", address: "192.0.2.1", why: why ?? "" });
  });
}

test("a program that cannot tell now makes nobody wrong", async () => {
  assert.equal((await login(plain("later", "secret"))).letter, "Z");
});

test("an old hash was made anew, with keys for SCRAM", () => {
  const renewed = store.user("old@a.test");
  assert.ok(renewed && parseArgon2(renewed.hash) && renewed.scram.startsWith("SCRAM-SHA-256$"));
});

test("who logged in is noted, and by which app password; POP3 gets a ticket that local knows of", async () => {
  assert.ok(notes.includes("joe@a.test ") && notes.includes("joe@a.test phone"));
  const end = await login({ ...plain("joe@a.test", "secret"), service: "pop3" });
  assert.equal(end.ticket.length, 32);
  assert.deepEqual(granted, ["joe@a.test 32"]);
});

const cram = (secret: string) => (challenge: string) =>
  `joe@a.test ${createHmac("md5", secret).update(challenge).digest("hex")}`;
test("CRAM-MD5 works where passwords are kept, and only there", async () => {
  assert.equal((await login({ mechanism: "CRAM-MD5" }, cram("secret"))).letter, "K");
  assert.equal((await login({ mechanism: "CRAM-MD5" }, cram("wrong"))).letter, "D");
  assert.equal((await login({ mechanism: "CRAM-MD5" }, cram("secret"), start(false))).letter, "D");
});

test("SCRAM tells of an account that does not exist as of one that does, each time the same", async () => {
  const salts: string[] = [];
  for (const account of ["jim@a.test", "jim@a.test", "joe@a.test"]) {
    const end = await login(
      { mechanism: "SCRAM-SHA-256", initial: Buffer.from(`n,,n=${account},r=abc`) },
      (challenge) => {
        const [, salt = "", iterations] = /,s=([^,]+),i=([0-9]+)$/.exec(challenge) ?? [];
        assert.equal(iterations, "10000");
        salts.push(salt);
        return `c=biws,${challenge.split(",")[0]},p=${Buffer.alloc(32).toString("base64")}`;
      },
    );
    assert.deepEqual([end.letter, end.text], ["D", "authentication failed"]);
  }
  assert.equal(salts[0], salts[1]);
  assert.deepEqual(
    salts.map((salt) => Buffer.from(salt, "base64").length),
    [16, 16, 16],
  );
});

test("a guesser is held back longer and longer, then shut out, without a look at the password", async () => {
  const logins = start(true, { perAddress: 3, perNetwork: 0, perAccount: 0 });
  waited.length = 0;
  for (let n = 0; n < 3; n++) await login(plain("joe@a.test", "guess"), undefined, logins);
  assert.equal(waited.length, 3);
  for (const [n, ms] of waited.entries()) assert.ok(ms > 0 && ms <= 1_000 * 2 ** n, `${ms}`);
  const end = await login(plain("joe@a.test", "secret"), undefined, logins);
  assert.deepEqual([end.letter, end.text], ["Z", "too many failed logins, try again later"]);
  assert.partialDeepStrictEqual(log.at(-1), { why: "too many failed logins from this address" });
});

test("one client has only so many tries under way at once", async () => {
  const logins = start();
  const ends = Array.from({ length: 14 }, () => login(plain("joe@a.test", "secret"), undefined, logins));
  const letters = (await Promise.all(ends)).map(({ letter }) => letter);
  assert.deepEqual(
    [letters.filter((each) => each === "K").length, letters.filter((each) => each === "Z").length],
    [10, 4],
  );
});

test("without accounts nobody is refused for good", async () => {
  const logins = createLogins({
    passwords: () => undefined,
    guesses: createGuesses({ perAddress: 0, perNetwork: 0, perAccount: 0 }, () => 0),
    host: () => "mx.test",
    keepsPasswords: () => false,
    grant: async () => {},
    reads: () => {},
    note: () => {},
    log: () => {},
    wait: async () => {},
  });
  assert.equal((await login(plain("joe@a.test", "secret"), undefined, logins)).letter, "Z");
});

test("only a login at POP3 that was right says that mail is read from there", async () => {
  readers.splice(0);
  const tries = [
    { service: "pop3", secret: "wrong" },
    { service: "smtp", secret: "secret" },
    { service: "imap", secret: "secret" },
  ];
  for (const { service, secret } of tries) await login({ ...plain("joe@a.test", secret), service });
  assert.deepEqual(readers, []);
  await login({ ...plain("joe@a.test", "secret"), service: "pop3" });
  assert.deepEqual(readers, ["192.0.2.1"]);
});

test("a refusal keeps nobody who asks for another server waiting for more than a second", async () => {
  const logins = start();
  for (const service of ["imap", "smtp"]) {
    waited.splice(0);
    for (let times = 0; times < 4; times++)
      await login({ ...plain("joe@a.test", "wrong"), service }, undefined, logins);
    const longest = Math.max(...waited);
    assert.ok(service === "imap" ? longest <= 1_000 : longest > 1_000, `${service}: ${longest}`);
  }
});
