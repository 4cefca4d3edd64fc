import assert from "node:assert/strict";
import { test } from "node:test";
import { newAuthorization, stepAuthorization, type Terms } from "./authorization.ts";
import { parseCommand } from "./command.ts";

const stamp = "<1.2@mail.example.org>";
const inTls: Terms = { offersTls: false, mechanisms: ["PLAIN", "SCRAM-SHA-256"], stamp: undefined };
const inClear: Terms = { offersTls: true, mechanisms: [], stamp: undefined };
const withApop: Terms = { ...inTls, stamp };

/** Lines one after the other, and what the last one brought. */
function play(lines: readonly string[], terms: Terms): string {
  let state = newAuthorization;
  let last = "";
  for (const line of lines) {
    const step = stepAuthorization(state, parseCommand(line), terms);
    if (step.kind === "reply") state = step.next;
    const initial = step.kind === "login" ? (step.initial?.toString("latin1") ?? "none") : "";
    last = step.kind === "login" ? `${step.once ? "once " : ""}${step.mechanism} ${initial}` : step.reply;
  }
  return last;
}

const cases: readonly (readonly [lines: readonly string[], terms: Terms, last: string])[] = [
  [["USER joe"], inTls, "+OK "],
  [["USER"], inTls, "-ERR syntax error"],
  [["PASS x"], inTls, "-ERR USER first"],
  [["USER joe", "PASS"], inTls, "-ERR syntax error"],
  [["user joe@example.org", "pass a b  c "], inTls, "once PLAIN \0joe@example.org\0a b  c "],
  [["USER joe", "NOOP", "PASS x"], inTls, "once PLAIN \0joe\0x"],
  [["USER joe\0", "PASS x"], inTls, "-ERR USER first"],
  [["USER joe", "PASS x\0y"], inTls, "-ERR syntax error"],
  [["USER joe"], inClear, "-ERR no login without TLS: STLS first, or the other port"],
  [["AUTH PLAIN AGEAYg=="], inClear, "-ERR no login without TLS: STLS first, or the other port"],
  [["STLS"], inClear, "+OK begin TLS negotiation"],
  [["STLS"], inTls, "-ERR STLS is not offered here, or not any more"],
  [["AUTH PLAIN AGEAYg=="], inTls, "PLAIN \0a\0b"],
  [["AUTH plain ="], inTls, "PLAIN "],
  [["AUTH PLAIN"], inTls, "PLAIN none"],
  [["AUTH SCRAM-SHA-256 biwsbj11c2Vy"], inTls, "SCRAM-SHA-256 n,,n=user"],
  [["AUTH PLAIN AGEAYg"], inTls, "-ERR syntax error"],
  [["AUTH PLAIN AGEAYg== x"], inTls, "-ERR syntax error"],
  [["AUTH LOGIN"], inTls, "-ERR no such mechanism"],
  [["AUTH"], inTls, "+OK mechanisms follow\r\nPLAIN\r\nSCRAM-SHA-256\r\n."],
  [["APOP joe 1234"], inTls, "-ERR authorization first"],
  [["APOP joe"], withApop, "-ERR syntax error"],
  [["APOP joe 0123abcd"], withApop, `once APOP ${stamp} joe 0123abcd`],
  [["LANG"], inTls, "+OK language listing follows\r\nen English\r\ni-default Default\r\n."],
  [["LANG en"], inTls, "+OK en English it is"],
  [["LANG tlh"], inTls, "-ERR no such language"],
  [["UTF8"], inTls, "+OK "],
  [["STAT"], inTls, "-ERR authorization first"],
  [["QUIT"], inTls, "+OK "],
];
for (const [lines, terms, last] of cases) {
  test(`stepAuthorization() answers ${JSON.stringify(lines)} with ${JSON.stringify(last)}`, () => {
    assert.equal(play(lines, terms), last);
  });
}

test("§17.182 USER always answers +OK, whoever it is", () => {
  for (const name of ["joe", "nobody@nowhere", "x".repeat(240)]) assert.equal(play([`USER ${name}`], inTls), "+OK ");
});

test("CAPA offers a login only where one is possible, and STLS only before TLS", () => {
  const offered = (terms: Terms): readonly string[] =>
    play(["CAPA"], terms)
      .split("\r\n")
      .filter((line) => /^(USER|SASL|STLS)/.test(line));
  assert.deepEqual(offered(inClear), ["STLS"]);
  assert.deepEqual(offered(inTls), ["USER", "SASL PLAIN SCRAM-SHA-256"]);
});
