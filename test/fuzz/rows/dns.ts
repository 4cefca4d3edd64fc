import assert from "node:assert/strict";
import { parseTlsa } from "../../../src/protocol/dane/record.ts";
import { daneFault } from "../../../src/protocol/dane/verdict.ts";
import { type DnsType, encodeQuery, parseAnswer, typeNumbers } from "../../../src/protocol/dns/message.ts";
import { findRecords, readAddress, readExchange, readText } from "../../../src/protocol/dns/records.ts";
import { toALabels } from "../../../src/protocol/idna/idna.ts";
import { listsHost, maxPolicyOctets, parseStsPolicy, readStsId } from "../../../src/protocol/mta-sts/policy.ts";
import { readExtensions } from "../../../src/protocol/smtp/extensions.ts";
import { parseTlsRules } from "../../../src/protocol/tls-policy/rules.ts";
import type { Row } from "../explore.ts";
import { mutated } from "../mutate.ts";
import type { Source } from "../source.ts";

const types = Object.keys(typeNumbers) as DnsType[];

/** An answer with records of any kind, and then anything may have happened to it. */
function anyAnswer(source: Source): Buffer {
  const query = encodeQuery(source.below(65_536), source.pick(["a.b", "_25._tcp.mx.example"]), source.pick(types));
  assert.ok(query);
  const question = query.subarray(12, query.length - 11);
  const records = source.list(5, () => {
    const name = source.pick([Buffer.of(0xc0, 12), Buffer.of(1, 97, 1, 98, 0), Buffer.of(0xc0, source.below(256))]);
    const data = source.pick([
      Buffer.of(0xc0, 12),
      Buffer.of(0, 10, 1, 98, 0),
      Buffer.of(3, 1, 1, 9),
      source.octets(30),
    ]);
    const head = Buffer.of(0, typeNumbers[source.pick(types)], 0, 1, 0, 0, 0, source.below(256), 0, data.length);
    return Buffer.concat([name, head, data]);
  });
  const header = Buffer.from([0, 7, 0x81, source.pick([0x80, 0xa0, 0x82, 0x83]), 0, 1, 0, records.length, 0, 0, 0, 0]);
  const whole = Buffer.concat([header, question, ...records]);
  for (let changes = source.below(4); changes > 0; changes--) whole[source.below(whole.length)] = source.below(256);
  return source.oneIn(4) ? whole.subarray(0, source.below(whole.length + 1)) : whole;
}

const dnsMessages: Row = {
  name: "DNS answers",
  cases: 5_000,
  check(source) {
    const answer = parseAnswer(source.oneIn(10) ? source.octets(100) : anyAnswer(source));
    if (!answer) return;
    assert.ok(answer.records.length <= 200 && answer.code < 16);
    for (const record of answer.records) {
      assert.ok(record.ttlSeconds >= 0);
      for (const name of [record.name, record.target ?? ""]) assert.match(name, /^[a-z0-9_?.-]{0,255}$/);
      const address = readAddress(record);
      assert.ok(address === undefined || /^[0-9a-f.:]+$/.test(address));
      readText(record);
      const tlsa = parseTlsa(record.data);
      if (tlsa) assert.notEqual(daneFault([tlsa], [], ["a"], 0), undefined);
    }
    for (const type of types) {
      const found = findRecords(answer, type);
      if (found && type === "MX") for (const record of found.records) readExchange(record);
    }
  },
};

const policies = [
  "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n",
  "version: STSv1\nmode: none\nmax_age: 1",
  "version: STSv1\nmode: testing\nmx: a\nmax_age: 99999999999\n",
];
const stsPolicies: Row = {
  name: "MTA-STS policies",
  cases: 3_000,
  check(source) {
    const id = readStsId(source.list(3, () => mutated(source, ["v=STSv1; id=20160831085700Z;", "v=spf1 -all"])));
    assert.ok(id === undefined || /^[A-Za-z0-9]{1,32}$/.test(id));
    const text = mutated(source, policies);
    const policy = parseStsPolicy(text);
    if (!policy) return;
    assert.ok(text.length <= maxPolicyOctets && policy.maxAgeSeconds >= 0 && policy.maxAgeSeconds <= 31_557_600);
    assert.ok(policy.mode === "none" || policy.mx.length > 0);
    assert.equal(listsHost(policy, "no.such.host.that.is.listed"), false);
  },
};

const offers = ["LIMITS RCPTMAX=20 MAILMAX=5", "SIZE 1000", "AUTH PLAIN LOGIN", "CHUNKING", "BINARYMIME", "DSN"];
const extensions: Row = {
  name: "EHLO replies",
  cases: 3_000,
  check(source) {
    const read = readExtensions(source.list(8, () => mutated(source, offers)));
    for (const limit of Object.values(read.limits)) assert.ok(limit >= 1);
    assert.ok(read.maxOctets === undefined || read.maxOctets >= 1);
  },
};

const domains = ["b\xc3\xbccher.example", "example.org", "\xe4\xbe\x8b.test", "xn--bcher-kva.example"];
const names: Row = {
  name: "domains in UTF-8",
  cases: 3_000,
  check(source) {
    const domain = mutated(source, domains);
    const labels = toALabels(domain);
    if (labels === undefined || labels === domain) return;
    assert.match(labels, /^[a-z0-9_.-]+$/);
  },
};

const levels = ["verify a.example .b.example", "encrypt", "may", "none", "verify"];
const tlsRules: Row = {
  name: "control/tlspolicy",
  cases: 3_000,
  check(source) {
    const rules = parseTlsRules(source.list(4, () => [source.pick(["a", ".b", ""]), mutated(source, levels)] as const));
    if (rules.kind !== "done") return;
    for (const { level, names: given } of rules.value.values()) {
      assert.ok(given.length === 0 || level === "verify");
      for (const name of given) assert.match(name, /^[a-z0-9_.-]+$/);
    }
  },
};

export const dnsRows: readonly Row[] = [dnsMessages, stsPolicies, extensions, names, tlsRules];
