import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { test } from "node:test";
import type { DnsRule } from "../../../test/support/dns-server.ts";
import { without } from "../../../test/support/missing.ts";
import { accepted, mx, play } from "../../../test/support/remote-play.ts";
import { makeAuthority } from "../../../test/support/test-authority.ts";
import { title } from "../../../test/support/title.ts";
import type { Event } from "../../protocol/event/event.ts";
import type { TlsRule } from "../../protocol/tls-policy/rules.ts";
import { flagTlsOptional } from "../../protocol/wire/submission.ts";

const skip = without("openssl") || without("faketime");
const tls = skip ? { key: "", cert: "" } : makeAuthority().issue("elsewhere.example");
const digest = skip ? "" : createHash("sha256").update(new X509Certificate(tls.cert).raw).digest("hex");

const secure = (...records: Extract<DnsRule, { kind: "answer" }>["records"]): DnsRule => ({
  kind: "answer",
  records,
  secure: true,
});
const insecure = (rule: DnsRule): DnsRule => (rule.kind === "answer" ? { ...rule, secure: false } : rule);
const address = secure({ type: "A", address: "127.0.0.2" });
const good = secure({ type: "TLSA", data: `030001${digest}` });
const wrong = secure({ type: "TLSA", data: `030001${"0".repeat(64)}` });
const useless = secure({ type: "TLSA", data: "010001aa" });
const signed: Readonly<Record<string, DnsRule>> = {
  "d.example MX": secure(mx(10, "mx1.example")),
  "mx1.example A": address,
  "mx1.example AAAA": secure(),
};

const nothingAsked = { envelopeId: "", ret: 0, flags: 0, priority: 9, notify: [0], originalRecipients: [""] };
const mismatch =
  "Z7.5 Connected to 127.0.0.2 but no TLSA record in DNS names its certificate. DANE demands TLS by DANE. (#4.7.5)\n";
const without_ = "Z7.4 Connected to 127.0.0.2 but it does not offer STARTTLS. DANE demands TLS by DANE. (#4.7.4)\n";

interface Row {
  readonly name: string;
  readonly rules: Readonly<Record<string, DnsRule>>;
  /** Of the records at `_PORT._tcp.mx1.example`. */
  readonly tlsa?: DnsRule;
  readonly clear?: boolean;
  readonly rule?: TlsRule;
  /** What was asked for, as in `options` of wire/submission.ts. */
  readonly flags?: number;
  readonly reports: string;
  readonly results?: string;
}

const rows: readonly Row[] = [
  {
    name: "takes the certificate that a record names",
    rules: signed,
    tlsa: good,
    reports: accepted(),
    results: "tlsa success",
  },
  {
    name: "sends nothing to another",
    rules: signed,
    tlsa: wrong,
    reports: mismatch,
    results: "tlsa validation-failure",
  },
  {
    name: "sends nothing in clear where there are records",
    ...{ rules: signed, tlsa: good, clear: true, reports: without_ },
    results: "tlsa starttls-not-supported",
  },
  {
    name: "wants TLS of any kind where the records are of no use",
    ...{ rules: signed, tlsa: useless, clear: true },
    reports: "Z7.4 Connected to 127.0.0.2 but it does not offer STARTTLS. DANE demands TLS. (#4.7.4)\n",
  },
  { name: "takes any certificate where the records are of no use", rules: signed, tlsa: useless, reports: accepted() },
  { name: "passes over records that are not signed", rules: signed, tlsa: insecure(wrong), reports: accepted() },
  {
    name: "passes over records of a host that is found without DNSSEC",
    rules: { ...signed, "mx1.example A": insecure(address) },
    ...{ tlsa: wrong, reports: accepted() },
  },
  {
    name: "passes over records where the MX is not signed",
    rules: { ...signed, "d.example MX": insecure(signed["d.example MX"] as DnsRule) },
    ...{ tlsa: wrong, reports: accepted() },
  },
  { name: "needs no TLS where there are no records", rules: signed, tlsa: secure(), clear: true, reports: accepted() },
  {
    name: "waits where the records cannot be had",
    rules: signed,
    tlsa: { kind: "servfail" },
    reports:
      "Z7.5 Connected to 127.0.0.2 but the TLSA records of mx1.example are not known: DNS servers failed (SERVFAIL). DANE demands TLS by DANE. (#4.7.5)\n",
    results: "tlsa dnssec-invalid",
  },
  {
    name: "waits where the MX is wrongly signed",
    rules: { ...signed, "d.example MX": { kind: "servfail" } },
    reports: "Z4.3 Sorry, I couldn't find any host by that name. (#4.4.3)\nDNS servers failed (SERVFAIL)\n",
  },
  {
    name: "goes by the domain's own address and records without MX",
    rules: { ...signed, "d.example MX": secure(), "d.example A": address, "d.example AAAA": secure() },
    reports: accepted(),
  },
  {
    name: "looks for records where an alias leads",
    rules: {
      ...signed,
      "mx1.example A": secure(
        { type: "CNAME", target: "real.example" },
        { type: "A", name: "real.example", address: "127.0.0.2" },
      ),
      "mx1.example AAAA": secure({ type: "CNAME", target: "real.example" }),
      "real.example AAAA": secure(),
      "real.example TLSA": wrong,
    },
    ...{ tlsa: good, reports: mismatch },
  },
  {
    name: "does as control/tlspolicy says of a domain by name",
    ...{ rules: signed, tlsa: wrong, rule: { level: "may", names: [] }, reports: accepted() },
  },
  {
    name: "sends a message without that wants to arrive in any case",
    ...{ rules: signed, tlsa: good, clear: true, flags: flagTlsOptional, reports: accepted() },
  },
  {
    name: "sends such a message to any certificate",
    ...{ rules: signed, tlsa: wrong, flags: flagTlsOptional, reports: accepted() },
  },
  {
    name: "does as control/tlspolicy says even so",
    ...{ rules: signed, tlsa: good, clear: true, rule: { level: "encrypt", names: [] }, flags: flagTlsOptional },
    reports: "Z7.4 Connected to 127.0.0.2 but it does not offer STARTTLS. control/tlspolicy demands TLS. (#4.7.4)\n",
  },
];

for (const { name, rules, tlsa, clear, rule, flags, reports, results } of rows) {
  test(title("remote with DANE", name), { skip }, async () => {
    const events: Event[] = [];
    const config = { usesDnssec: true, ...(rule && { tlsRules: new Map([["d.example", rule]]) }) };
    {
      await using playing = await play({
        ...{ rules, config, peers: { "127.0.0.2": clear ? {} : { tls } } },
        log: (event) => void events.push(event),
      });
      for (const host of ["mx1.example", "real.example"]) {
        const at = host === "mx1.example" ? tlsa : rules["real.example TLSA"];
        if (at) playing.rules.set(`_${playing.port}._tcp.${host} TLSA`, at);
      }
      const options = flags === undefined ? {} : { options: { ...nothingAsked, flags } };
      const delivered = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"], ...options });
      assert.deepEqual(delivered.reports, [reports]);
    }
    if (results === undefined) return;
    const counted = events.flatMap((event) =>
      event.event === "tls results" ? [`${event.policy} ${event.result}`] : [],
    );
    assert.deepEqual(counted, [results]);
  });
}
