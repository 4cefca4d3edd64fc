import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings } from "../control/parse.ts";
import { accessFor, type Way } from "./access.ts";
import { decodeBase64, parseAuth, parseResponse, withoutSecret } from "./auth.ts";

for (const [argument, mechanism, initial] of [
  ["PLAIN", "PLAIN", undefined],
  ["plain AGEAYg==", "PLAIN", "\0a\0b"],
  ["SCRAM-SHA-256 =", "SCRAM-SHA-256", ""],
  ["LOGIN  YQ==", "LOGIN", "a"],
] as const) {
  test(`parseAuth() reads "${argument}"`, () => {
    const read = parseAuth(argument);
    assert.ok(typeof read !== "string");
    assert.deepEqual([read.mechanism, read.initial?.toString("latin1")], [mechanism, initial]);
  });
}

for (const [argument, reply] of [
  ["", "501 5.5.4"],
  ["PLAIN AGEAYg== more", "501 5.5.4"],
  ["PLA\u00c4N", "501 5.5.4"],
  [`${"A".repeat(21)}`, "501 5.5.4"],
  ["PLAIN AGEAYg", "501 5.5.2"],
  ["PLAIN *", "501 5.5.2"],
  ["PLAIN ====", "501 5.5.2"],
] as const) {
  test(`parseAuth() answers ${reply} to "${argument}"`, () => {
    const read = parseAuth(argument);
    assert.ok(typeof read === "string" && read.startsWith(reply), String(read));
  });
}

for (const [text, octets] of [
  ["", ""],
  ["YQ==", "a"],
  ["YWI=", "ab"],
  ["YWJj", "abc"],
  ["YR==", undefined], // bits that mean nothing
  ["YQ=", undefined],
  ["YQ", undefined],
  ["Y Q=", undefined],
  ["YQ==YQ==", undefined],
  ["Y-_=", undefined],
  ["=", undefined],
  ["*", undefined],
] as const) {
  test(`decodeBase64() makes ${octets === undefined ? "nothing" : `"${octets}"`} of "${text}"`, () => {
    assert.equal(decodeBase64(text)?.toString("latin1"), octets);
  });
}

test("decodeBase64() takes what fits a line of a login, and no more", () => {
  assert.equal(decodeBase64("A".repeat(12_288))?.length, 9_216);
  assert.equal(decodeBase64("A".repeat(12_292)), undefined);
});

test("parseResponse() knows the end of a login from an empty response", () => {
  assert.deepEqual(parseResponse("*"), { reply: "501 5.7.0 the login is cancelled" });
  assert.deepEqual(parseResponse(""), { octets: Buffer.alloc(0) });
  assert.deepEqual(parseResponse("="), { reply: "501 5.5.2 that is not base64" });
});

for (const [line, shown] of [
  ["AUTH PLAIN AGEAYg==", "AUTH PLAIN"],
  ["auth  login  YQ==", "auth  login"],
  ["AUTH PLAIN", "AUTH PLAIN"],
  ["MAIL FROM:<auth plain@b>", "MAIL FROM:<auth plain@b>"],
] as const) {
  test(`withoutSecret() shows "${shown}"`, () => assert.equal(withoutSecret(line), shown));
}

const strong = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"];
const way: Way = { service: "submission", address: "192.0.2.1", tls: "on", hasExporter: true };
for (const [name, change, files, expected] of [
  ["submission with TLS 1.3", {}, {}, { mechanisms: strong, isRequired: true }],
  ["TLS 1.2", { hasExporter: false }, {}, { mechanisms: strong.slice(1) }],
  ["submission in the clear", { tls: "offered" }, {}, { mechanisms: [], needsTls: true, isRequired: true }],
  ["no certificate", { tls: "none" }, {}, { mechanisms: [], needsTls: false, isRequired: true }],
  ["implicit TLS", { service: "smtps" }, {}, { mechanisms: strong, isRequired: true }],
  ["port 25", { service: "smtp" }, {}, { mechanisms: [], isRequired: false }],
  ["port 25, switched on", { service: "smtp" }, { authonport25: "1" }, { mechanisms: strong, isRequired: false }],
  [
    "port 25, switched on, in the clear",
    { service: "smtp", tls: "offered" },
    { authonport25: "1" },
    { mechanisms: [] },
  ],
  ["LMTP", { service: "lmtp" }, { authonport25: "1" }, { mechanisms: [], isRequired: false }],
  ["loopback in the clear", { address: "127.0.0.1", tls: "none" }, {}, { mechanisms: [] }],
  [
    "loopback in the clear, switched on",
    { address: "::1", tls: "none", hasExporter: false },
    { authwithouttls: "1" },
    { mechanisms: strong.slice(1) },
  ],
  ["others in the clear, switched on for loopback", { tls: "none" }, { authwithouttls: "1" }, { mechanisms: [] }],
  ["mechanisms by file", {}, { authmechanisms: "plain\ncram-md5" }, { mechanisms: ["PLAIN", "CRAM-MD5"] }],
] as const) {
  test(`accessFor() ${name}`, () => {
    const settings = readSettings(new Map(Object.entries(files)));
    assert.ok(settings.kind === "done");
    assert.partialDeepStrictEqual(accessFor({ ...way, ...change }, settings.value), expected);
  });
}
