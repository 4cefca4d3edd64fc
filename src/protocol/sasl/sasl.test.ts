import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { test } from "node:test";
import { deriveScramKeys, hmacSha256, type ScramKeys, sha256 } from "../password/scram-keys.ts";
import { beginExchange, type Mechanism, mechanismOf } from "./mechanisms.ts";
import type { Start, Step } from "./step.ts";

const start: Start = { initial: undefined, binding: undefined, nonce: "SERVERNONCE", host: "mx.test" };
const octets = (text: string): Buffer => Buffer.from(text, "latin1");
const begin = (mechanism: Mechanism, initial?: string, more: Partial<Start> = {}): Step =>
  beginExchange(mechanism, { ...start, ...(initial !== undefined && { initial: octets(initial) }), ...more });
const respond = (step: Step, response: string): Step =>
  step.kind === "challenge" ? step.next(octets(response)) : assert.fail(`no challenge but ${step.kind}`);

/** A step in words. */
const words = (step: Step): string => {
  switch (step.kind) {
    case "challenge":
      return `challenge ${step.octets.toString("latin1")}`;
    case "password":
      return `password ${step.account} ${step.password.toString("utf8")}`;
    case "failed":
      return `failed ${step.account}: ${step.why}`;
    default:
      return `${step.kind} ${step.account}`;
  }
};

const plainMessages: readonly (readonly [message: string, is: string])[] = [
  ["\0joe@a.test\0secret", "password joe@a.test secret"],
  ["joe@a.test\0Joe@A.test\0secret", "password joe@a.test secret"],
  ["\0joe@a.test\0sec ret", "password joe@a.test sec ret"],
  ["\0j\xc3\xb6@a.test\0\xc3\xa4", "password j\xc3\xb6@a.test ä"],
  ["root\0joe@a.test\0secret", "failed joe@a.test: acts for another"],
  ["\0joe@a.test\0secret\0", "failed joe@a.test: malformed password"],
  ["\0joe@a.test\0se\0cret", "failed joe@a.test: malformed password"],
  ["\0joe@a.test\0", "failed joe@a.test: malformed password"],
  ["\0joe@a.test\0p\xe4ss", "failed joe@a.test: malformed password"],
  [`\0joe@a.test\0${"x".repeat(1_025)}`, "failed joe@a.test: malformed password"],
  ["\0\0secret", "failed : malformed name"],
  ["\0jo e@a.test\0secret", "failed : malformed name"],
  ["\0joe@a.test\u00ad\0secret", "failed : malformed name"],
  [`\0${"x".repeat(321)}\0secret`, "failed : malformed name"],
  ["joe@a.test\0secret", "failed : malformed"],
  ["", "failed : malformed"],
  ["\0joe@a.test", "failed : malformed"],
];
for (const [message, is] of plainMessages) {
  test(`PLAIN with ${JSON.stringify(message.slice(0, 40))}: ${is}`, () => {
    assert.equal(words(begin("PLAIN", message)), is);
    assert.equal(words(respond(begin("PLAIN"), message)), is, "the same without an initial response");
  });
}

test("LOGIN asks for name and password; the name may come first", () => {
  const asked = begin("LOGIN");
  assert.equal(words(asked), "challenge Username:");
  const again = respond(asked, "Joe@a.test");
  assert.equal(words(again), "challenge Password:");
  assert.equal(words(respond(again, "secret")), "password joe@a.test secret");
  assert.equal(words(respond(begin("LOGIN", "joe@a.test"), "secret")), "password joe@a.test secret");
  assert.equal(words(respond(begin("LOGIN", "joe@a.test"), "")), "failed joe@a.test: malformed password");
});

test("CRAM-MD5: the example of RFC 2195 §2", () => {
  const asked = begin("CRAM-MD5", undefined, { nonce: "1896.697170952", host: "postoffice.reston.mci.net" });
  assert.equal(words(asked), "challenge <1896.697170952@postoffice.reston.mci.net>");
  const answered = respond(asked, "tim b913a602c7eda7a495b4e6e7334d3890");
  assert.ok(answered.kind === "secret" && answered.account === "tim");
  assert.equal(words(answered.next(Buffer.from("tanstaaftanstaaf"))), "proved tim");
  assert.equal(words(answered.next(Buffer.from("tanstaaftanstaaF"))), "failed tim: wrong password");
  assert.equal(words(answered.next(undefined)), "failed tim: wrong password");
  assert.equal(words(begin("CRAM-MD5", "")), "failed : an initial response where none may be");
});

test("nobody without a secret can be guessed", () => {
  const none = createHmac("md5", Buffer.alloc(16)).update("<SERVERNONCE@mx.test>").digest("hex");
  const answered = respond(begin("CRAM-MD5"), `joe ${none}`);
  assert.ok(answered.kind === "secret");
  assert.equal(words(answered.next(undefined)), "failed joe: wrong password");
});

test("APOP: the example of RFC 1939 §7", () => {
  const challenge = "<1896.697170952@dbc.mtview.ca.us>";
  const answered = begin("APOP", `${challenge} mrose c4c9334bac560ecc979e58001b3e22fb`);
  assert.ok(answered.kind === "secret" && answered.account === "mrose");
  assert.equal(words(answered.next(Buffer.from("tanstaaf"))), "proved mrose");
  assert.equal(createHash("md5").update(`${challenge}tanstaaf`).digest("hex"), "c4c9334bac560ecc979e58001b3e22fb");
  for (const bad of [
    "",
    "x",
    `${challenge} mrose`,
    `${challenge} mrose c4c9`,
    " mrose c4c9334bac560ecc979e58001b3e22fb",
  ]) {
    assert.equal(begin("APOP", bad).kind, "failed");
  }
});

const rfc7677 = {
  salt: Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"),
  first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
  nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
};

test("SCRAM-SHA-256: the example of RFC 7677 §3", async () => {
  const keys = await deriveScramKeys(Buffer.from("pencil"), rfc7677.salt, 4_096);
  const asked = begin("SCRAM-SHA-256", rfc7677.first, { nonce: rfc7677.nonce });
  assert.ok(asked.kind === "keys" && asked.account === "user");
  const challenged = asked.next(keys);
  assert.equal(
    words(challenged),
    "challenge r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  );
  const ended = respond(challenged, rfc7677.final);
  assert.ok(ended.kind === "proved");
  assert.equal(ended.additional.toString(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
});

const keys: ScramKeys = await deriveScramKeys(Buffer.from("pencil"), rfc7677.salt, 4_096);
const binding = { type: "tls-exporter", octets: Buffer.from("0123456789abcdef0123456789abcdef") };

/** A client that says what it is told to; `password` its own. */
async function clientSays(client: {
  readonly mechanism?: Mechanism;
  readonly header?: string;
  readonly bound?: Buffer;
  readonly bare?: string;
  readonly nonce?: string;
  readonly final?: (honest: string) => string;
  readonly binding?: Start["binding"];
  readonly password?: string;
}): Promise<string> {
  const { mechanism = "SCRAM-SHA-256", header = "n,,", bare = "n=joe@a.test,r=abc" } = client;
  const asked = begin(mechanism, header + bare, { binding: client.binding });
  if (asked.kind !== "keys") return words(asked);
  const challenged = asked.next(keys);
  assert.ok(challenged.kind === "challenge");
  const { iterations, salt } = keys;
  const mine = await deriveScramKeys(Buffer.from(client.password ?? "pencil"), salt, iterations);
  const first = challenged.octets.toString("latin1");
  const c = Buffer.concat([octets(header), client.bound ?? Buffer.alloc(0)]).toString("base64");
  const bareFinal = `c=${c},r=${client.nonce ?? "abcSERVERNONCE"}`;
  // The client key itself is not kept: made here from the password, as a client does.
  const { pbkdf2Sync } = await import("node:crypto");
  const clientKey = hmacSha256(pbkdf2Sync(client.password ?? "pencil", salt, iterations, 32, "sha256"), "Client Key");
  assert.deepEqual(sha256(clientKey), mine.storedKey);
  const signature = hmacSha256(mine.storedKey, `${bare},${first},${bareFinal}`);
  const proof = Buffer.from(clientKey.map((octet, at) => octet ^ (signature[at] ?? 0))).toString("base64");
  const honest = `${bareFinal},p=${proof}`;
  return words(respond(challenged, client.final?.(honest) ?? honest));
}

const plus = { mechanism: "SCRAM-SHA-256-PLUS", header: "p=tls-exporter,,", bound: binding.octets, binding } as const;
const scrams: readonly (readonly [why: string, client: Parameters<typeof clientSays>[0], is: string])[] = [
  ["the right password", {}, "proved joe@a.test"],
  ["the wrong password", { password: "pencils" }, "failed joe@a.test: wrong password"],
  ["the right password, bound", plus, "proved joe@a.test"],
  ["the name again as authzid", { header: "n,a=Joe@a.test," }, "proved joe@a.test"],
  ["another authzid", { header: "n,a=root," }, "failed joe@a.test: acts for another"],
  ["no binding offered, and the client knows", { header: "y,," }, "proved joe@a.test"],
  [
    "a client that was lied to about binding",
    { header: "y,,", binding },
    "failed joe@a.test: downgraded: the client was not told of channel binding",
  ],
  ["a client that cannot bind", { binding }, "proved joe@a.test"],
  [
    "PLUS without binding",
    { ...plus, header: "n,,", bound: Buffer.alloc(0) },
    "failed joe@a.test: channel binding does not fit the mechanism",
  ],
  [
    "binding without PLUS",
    { header: "p=tls-exporter,,", binding },
    "failed joe@a.test: channel binding does not fit the mechanism",
  ],
  [
    "binding of another type",
    { ...plus, header: "p=tls-unique,," },
    "failed joe@a.test: channel binding of another type",
  ],
  ["PLUS without TLS", { ...plus, binding: undefined }, "failed joe@a.test: channel binding of another type"],
  [
    "another connection's binding",
    { ...plus, bound: Buffer.alloc(32) },
    "failed joe@a.test: channel binding does not match",
  ],
  ["another nonce", { nonce: "abcSERVERNONC" }, "failed joe@a.test: another nonce"],
  ["a proof cut short", { final: (honest) => honest.slice(0, -1) }, "failed joe@a.test: malformed"],
  ["no proof", { final: (honest) => honest.replace(/,p=.*/, "") }, "failed joe@a.test: malformed"],
  ["NUL at the end", { final: (honest) => `${honest}\0` }, "failed joe@a.test: malformed"],
  ["an empty proof", { final: (honest) => honest.replace(/p=.*/, "p=") }, "failed joe@a.test: malformed"],
  ["a name with a comma", { bare: "n=joe=2Ca@a.test,r=abc" }, "proved joe,a@a.test"],
  ["a name with an equals sign", { bare: "n=joe=3Da@a.test,r=abc" }, "proved joe=a@a.test"],
  ["a name with half an escape", { bare: "n=joe=2@a.test,r=abc" }, "failed : malformed"],
  ["an extension that must be understood", { bare: "m=x,n=joe,r=abc" }, "failed : malformed"],
  ["an extension nobody knows", { bare: "n=joe@a.test,r=abc,x=y" }, "proved joe@a.test"],
  ["no nonce", { bare: "n=joe,r=" }, "failed : malformed"],
  ["an overlong nonce", { bare: `n=joe,r=${"x".repeat(257)}` }, "failed : malformed"],
  ["NUL in the name", { bare: "n=j\0oe,r=abc" }, "failed : malformed"],
  ["a name that is no UTF-8", { bare: "n=j\xe4,r=abc" }, "failed : malformed"],
  ["a strange flag", { header: "z,," }, "failed : malformed"],
  ["no header", { header: "" }, "failed : malformed"],
];
for (const [why, client, is] of scrams) {
  test(`SCRAM-SHA-256 with ${why}: ${is}`, async () => assert.equal(await clientSays(client), is));
}

test("mechanismOf() knows names in any case, and no others", () => {
  assert.equal(mechanismOf("scram-sha-256-plus"), "SCRAM-SHA-256-PLUS");
  for (const name of ["", "SCRAM-SHA-1", "ANONYMOUS", "EXTERNAL", "constructor", "PLAIN\0"]) {
    assert.equal(mechanismOf(name), undefined);
  }
});
