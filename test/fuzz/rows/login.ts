import assert from "node:assert/strict";
import { formatArgon2, parseArgon2 } from "../../../src/protocol/password/argon2.ts";
import { parseCheckpasswordInput } from "../../../src/protocol/password/checkpassword.ts";
import { parsePasswordHash } from "../../../src/protocol/password/hash.ts";
import { maxPasswordOctets, preparePassword } from "../../../src/protocol/password/prepare.ts";
import { formatScramKeys, parseScramKeys, type ScramKeys } from "../../../src/protocol/password/scram-keys.ts";
import { accountName } from "../../../src/protocol/sasl/account-name.ts";
import { beginExchange, mechanismOf } from "../../../src/protocol/sasl/mechanisms.ts";
import type { Step } from "../../../src/protocol/sasl/step.ts";
import { headerOctets } from "../../../src/protocol/wire/frame.ts";
import { askLogin, findAccount, parseLoginQuestion } from "../../../src/protocol/wire/login.ts";
import type { Row } from "../explore.ts";
import { mutated } from "../mutate.ts";
import type { Source } from "../source.ts";

const messages = [
  "\0joe@a.test\0secret",
  "joe@a.test",
  "n,,n=joe@a.test,r=abc",
  "p=tls-exporter,a=joe@a.test,n=joe@a.test,r=rOprNGfwEbeRWgbNEkqO",
  "y,,n=j=2Coe=3D,r=abc,x=y",
  "c=biws,r=abcSERVERNONCE,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  "joe@a.test b913a602c7eda7a495b4e6e7334d3890",
  "<1.2@mx.test> joe c4c9334bac560ecc979e58001b3e22fb",
];
const names = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "CRAM-MD5", "APOP"];
const keys: ScramKeys = {
  iterations: 4_096,
  salt: Buffer.alloc(16),
  storedKey: Buffer.alloc(32),
  serverKey: Buffer.alloc(32),
};
const octets = (source: Source): Buffer => Buffer.from(mutated(source, messages), "latin1");

const exchanges: Row = {
  name: "login exchanges",
  cases: 3_000,
  check(source) {
    const mechanism = mechanismOf(source.pick(names)) ?? assert.fail();
    let step: Step = beginExchange(mechanism, {
      initial: source.oneIn(3) ? undefined : octets(source),
      binding: source.oneIn(2) ? { type: "tls-exporter", octets: Buffer.alloc(32) } : undefined,
      nonce: "SERVERNONCE",
      host: "mx.test",
    });
    for (let steps = 0; ; steps++) {
      assert.ok(steps < 8, "it never ends");
      if ("account" in step && step.account !== "") assert.equal(accountOf(step), step.account);
      if (step.kind === "challenge") step = step.next(octets(source));
      else if (step.kind === "keys") step = step.next(keys);
      else if (step.kind === "secret") step = step.next(undefined);
      else break;
    }
    assert.notEqual(step.kind, "proved", "nobody knows the password");
    if (step.kind === "password") assert.ok(step.password.length > 0 && !step.password.includes(0));
  },
};
const accountOf = (step: Step): string | undefined =>
  "account" in step ? accountName(Buffer.from(step.account, "latin1")) : undefined;

const hashes = [
  "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
  "{SHA512-CRYPT}$6$rounds=5000$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
  "{SSHA}0123456789012345678901234567890123456789",
  formatScramKeys(keys),
];

const passwordHashes: Row = {
  name: "password hashes",
  cases: 3_000,
  check(source) {
    const text = mutated(source, hashes);
    const argon2id = parseArgon2(text);
    if (argon2id) {
      assert.equal(formatArgon2(argon2id), text);
      assert.ok(argon2id.memoryKiB <= 262_144 && argon2id.passes <= 16);
    }
    const scram = parseScramKeys(text);
    if (scram) assert.equal(formatScramKeys(scram), text);
    const hash = parsePasswordHash(text);
    if (hash?.form === "sha512-crypt") assert.ok(hash.hash.rounds >= 1_000 && hash.hash.rounds <= 100_000);
    if (hash?.form === "salted-sha") assert.ok(hash.hash.salt.length > 0);
  },
};

const passwords: Row = {
  name: "passwords",
  cases: 2_000,
  check(source) {
    const prepared = preparePassword(source.oneIn(2) ? octets(source) : source.octets(2_000));
    if (!prepared) return;
    assert.ok(prepared.length <= 3 * maxPasswordOctets && !prepared.includes(0));
    if (prepared.length <= maxPasswordOctets) assert.deepEqual(preparePassword(prepared), prepared);
  },
};

const inputs = ["joe@a.test\0secret\0\0", "joe\0\0\0", "\0\0\0", "joe\0secret\0Y1234567890\0more"];

const checkpasswordInputs: Row = {
  name: "checkpassword input",
  cases: 3_000,
  check(source) {
    const input = Buffer.from(mutated(source, inputs), "latin1");
    const parsed = parseCheckpasswordInput(input);
    if (!parsed) return;
    const begin = Buffer.concat([Buffer.from(`${parsed.account}\0`, "latin1"), parsed.password, Buffer.from("\0")]);
    assert.deepEqual(input.subarray(0, begin.length), begin);
    assert.ok(parsed.account !== "" && !`${parsed.account}`.includes("\0") && !parsed.password.includes(0));
  },
};

const loginQuestions: Row = {
  name: "questions to authd",
  cases: 2_000,
  check(source) {
    const account = mutated(source, inputs).slice(0, 20_000);
    const address = source.pick(["", "192.0.2.1", "2001:db8::1", "x"]);
    const frame = source.oneIn(2)
      ? askLogin.encode(0, { account, password: source.octets(600), address })
      : findAccount.encode(0, { account });
    const payload = Buffer.from(mutated(source, [frame.subarray(headerOctets).toString("latin1")]), "latin1");
    const question = parseLoginQuestion({
      type: source.pick([askLogin.type, findAccount.type, 7]),
      stream: 0,
      payload,
    });
    if (!question) return;
    assert.ok(question.account !== "" && question.account.length <= 512 && !question.account.includes("\0"));
    const { password } = question;
    assert.ok(!password || (password.length > 0 && password.length <= 512 && !password.includes(0)));
  },
};

export const loginRows: readonly Row[] = [exchanges, passwordHashes, passwords, checkpasswordInputs, loginQuestions];
