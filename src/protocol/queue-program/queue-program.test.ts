import assert from "node:assert/strict";
import { test } from "node:test";
import { done, permanent, temporary } from "../outcome.ts";
import { encodeEnvelope, maxAddressOctets, parseEnvelope } from "./envelope.ts";
import { exitCodeOf, verdictOf } from "./verdict.ts";

const longest = "x".repeat(maxAddressOctets);
const envelope = (reversePath: string, ...forwardPaths: string[]) =>
  ({ kind: "envelope", reversePath, forwardPaths }) as const;

const envelopes = [
  { name: "§17.2 reads sender and recipients", octets: "Fs@x\0Ta@y\0Tb@z\0\0", read: envelope("s@x", "a@y", "b@z") },
  { name: "reads the null sender", octets: "F\0Ta\0\0", read: envelope("", "a") },
  { name: "§17.3 reads an envelope without recipients", octets: "Fs\0\0", read: envelope("s") },
  { name: "looks at nothing behind the envelope", octets: "Fs\0\0Tx\0", read: envelope("s") },
  {
    name: "§17.4 takes 1002 octets of an address",
    octets: `F${longest}\0T${longest}\0\0`,
    read: envelope(longest, longest),
  },
  { name: "§17.4 takes no more", octets: `F${longest}x\0\0`, read: { kind: "address too long" } },
  {
    name: "§17.4 takes no more before their end either",
    octets: `Fs\0T${longest}x`,
    read: { kind: "address too long" },
  },
  { name: "§17.5 knows nothing for an envelope given up", octets: "", read: { kind: "ended early" } },
  { name: "§17.5 knows a sender alone", octets: "Fs@x\0", read: { kind: "ended early" } },
  { name: "§17.5 knows an address without an end", octets: "Fs@x\0Ta", read: { kind: "ended early" } },
  { name: "§17.5 knows an envelope without the last NUL", octets: "Fs@x\0Ta\0", read: { kind: "ended early" } },
  { name: "§17.6 refuses what begins with T", octets: "Ta\0\0", read: { kind: "malformed" } },
  { name: "§17.6 refuses a second F", octets: "Fs\0Fs\0\0", read: { kind: "malformed" } },
  { name: "§17.6 refuses an empty first record", octets: "\0", read: { kind: "malformed" } },
] as const;

for (const { name, octets, read } of envelopes) {
  test(`parseEnvelope() ${name}`, () => assert.deepEqual(parseEnvelope(Buffer.from(octets, "latin1")), read));
}

test("parseEnvelope() reads what encodeEnvelope() writes, octet for octet", () => {
  const forwardPaths = ["\xff\n@x", "", "b"];
  assert.deepEqual(parseEnvelope(encodeEnvelope("s@x", forwardPaths)), envelope("s@x", ...forwardPaths));
});

const queueTrouble = temporary("3.0", "qq trouble creating files in queue");
const ends = [
  { exitCode: 0, verdict: done(undefined) },
  { exitCode: 11, verdict: permanent("1.3", "envelope address too long for qq") },
  { exitCode: 115, verdict: permanent("1.3", "envelope address too long for qq") },
  { row: "16", exitCode: 31, verdict: permanent("3.0", "mail server permanently rejected message") },
  { exitCode: 51, verdict: temporary("3.0", "qq out of memory") },
  { exitCode: 52, verdict: temporary("3.0", "qq timeout") },
  { exitCode: 53, verdict: temporary("3.0", "qq write error or disk full") },
  { exitCode: 54, verdict: temporary("3.0", "qq read error") },
  { exitCode: 55, verdict: temporary("3.0", "qq unable to read configuration") },
  { exitCode: 56, verdict: temporary("3.0", "qq trouble making network connection") },
  { exitCode: 61, verdict: temporary("3.0", "qq trouble in home directory") },
  { exitCode: 62, verdict: queueTrouble },
  { exitCode: 66, verdict: queueTrouble },
  { row: "16", exitCode: 71, verdict: temporary("3.0", "mail server temporarily rejected message") },
  { exitCode: 72, verdict: temporary("4.1", "connection to mail server timed out") },
  { exitCode: 73, verdict: temporary("4.1", "connection to mail server rejected") },
  { exitCode: 74, verdict: temporary("4.2", "communication with mail server failed") },
  { exitCode: 81, verdict: temporary("3.0", "qq internal bug") },
  { exitCode: 91, verdict: temporary("3.0", "qq internal bug") },
  { exitCode: 120, verdict: temporary("3.0", "unable to exec qq") },
  { row: "17", exitCode: 12, verdict: permanent("3.0", "qq permanent problem") },
  { row: "17", exitCode: 40, verdict: permanent("3.0", "qq permanent problem") },
  { row: "17", exitCode: 1, verdict: temporary("3.0", "qq temporary problem") },
  { row: "17", exitCode: 10, verdict: temporary("3.0", "qq temporary problem") },
  { row: "17", exitCode: 41, verdict: temporary("3.0", "qq temporary problem") },
  { row: "17", exitCode: 255, verdict: temporary("3.0", "qq temporary problem") },
  { exitCode: undefined, verdict: temporary("3.0", "qq crashed") },
  { row: "18", exitCode: 82, words: "Dno viruses here (#5.7.1)\n", verdict: permanent("7.1", "no viruses here") },
  { row: "18", exitCode: 82, words: "Zcome back (#4.7.1)", verdict: temporary("7.1", "come back") },
  { row: "18", exitCode: 82, words: "Dno", verdict: permanent("3.0", "no") },
  { row: "18", exitCode: 82, words: `D${"x".repeat(300)}`, verdict: permanent("3.0", "x".repeat(254)) },
  { row: "18", exitCode: 82, words: "D1", verdict: temporary("3.0", "qq temporary problem") },
  { row: "18", exitCode: 82, words: "Kfine", verdict: temporary("3.0", "qq temporary problem") },
  { exitCode: 31, words: "Zother words", verdict: permanent("3.0", "mail server permanently rejected message") },
  { exitCode: 0, words: "Dno", verdict: done(undefined) },
];

for (const { row, exitCode, words = "", verdict } of ends) {
  const said = words === "" ? "" : ` and ${JSON.stringify(words.slice(0, 30))}`;
  test(`${row ? `§17.${row} ` : ""}verdictOf() knows exit ${exitCode ?? "by a signal"}${said}`, () => {
    assert.deepEqual(verdictOf({ exitCode, words }), verdict);
  });
}

const codes = [
  { failure: permanent("1.3", ""), code: 31 },
  { failure: temporary("3.0", ""), code: 71 },
  { failure: temporary("4.2", ""), code: 74 },
] as const;

for (const { failure, code } of codes) {
  test(`exitCodeOf() ${failure.kind} ${failure.status} is ${code}`, () => assert.equal(exitCodeOf(failure), code));
}
