import assert from "node:assert/strict";
import { test } from "node:test";
import { without } from "../../../test/support/missing.ts";
import { accepted, play } from "../../../test/support/remote-play.ts";
import type { PeerOptions } from "../../../test/support/smtp-peer.ts";
import { makeAuthority } from "../../../test/support/test-authority.ts";
import type { TlsRule } from "../../protocol/tls-policy/rules.ts";

const skip = without("openssl") || without("faketime");
const good = skip ? undefined : makeAuthority();
const other = skip ? undefined : makeAuthority("Another Authority");

/** What the peer does about TLS. */
const peers: Readonly<Record<string, PeerOptions>> = skip
  ? {}
  : ({
      good: { tls: good?.issue("mx1.example") },
      "for the domain": { tls: good?.issue("d.example") },
      "for others": { tls: good?.issue("elsewhere.example") },
      expired: { tls: good?.issue("mx1.example", "expired") },
      unknown: { tls: other?.issue("mx1.example") },
      none: {},
      garbage: { extensions: ["STARTTLS"], script: { STARTTLS: "220 go ahead\r\nnot TLS" } },
      refused: { extensions: ["STARTTLS"], script: { STARTTLS: "454 4.7.0 not now" } },
    } as Record<string, PeerOptions>);

const verify: TlsRule = { level: "verify", names: [] };
const failed = (status: string, why: string, demands: string, source = "control/tlspolicy"): string =>
  `Z${status} Connected to 127.0.0.2 but ${why}. ${source} demands ${demands}. (#4.${status})\n`;
const withCertificate = "TLS with a certificate";
const names = "its certificate does not name mx1.example or d.example";
const untrusted = "its certificate is signed by an unknown authority";
const noOffer = "it does not offer STARTTLS";

const rows: readonly { rule: TlsRule; peer: string; ends: "secure" | "clear" | RegExp | string }[] = [
  ...["good", "for the domain", "for others", "expired", "unknown"].flatMap(
    (peer) =>
      [
        { rule: { level: "none", names: [] }, peer, ends: "clear" },
        { rule: { level: "may", names: [] }, peer, ends: "secure" },
        { rule: { level: "encrypt", names: [] }, peer, ends: "secure" },
      ] as const,
  ),
  ...["none", "garbage", "refused"].map(
    (peer) => ({ rule: { level: "may", names: [] }, peer, ends: "clear" }) as const,
  ),
  { rule: { level: "encrypt", names: [] }, peer: "none", ends: failed("7.4", noOffer, "TLS") },
  { rule: { level: "encrypt", names: [] }, peer: "garbage", ends: /^Z7\.5 Connected to 127\.0\.0\.2 but / },
  {
    rule: { level: "encrypt", names: [] },
    peer: "refused",
    ends: failed("7.5", "its answer to STARTTLS was 454 4.7.0 not now", "TLS"),
  },
  { rule: verify, peer: "good", ends: "secure" },
  { rule: verify, peer: "for the domain", ends: "secure" },
  { rule: verify, peer: "for others", ends: failed("7.5", names, withCertificate) },
  { rule: verify, peer: "expired", ends: failed("7.5", "its certificate has expired", withCertificate) },
  { rule: verify, peer: "unknown", ends: failed("7.5", untrusted, withCertificate) },
  { rule: verify, peer: "none", ends: failed("7.4", noOffer, withCertificate) },
  { rule: { level: "verify", names: [".example"] }, peer: "for others", ends: "secure" },
  {
    rule: { level: "verify", names: ["a.example", ".b.example"] },
    peer: "good",
    ends: failed("7.5", "its certificate does not name a.example or .b.example", withCertificate),
  },
];

for (const { rule, peer, ends } of rows) {
  test(`remote, told ${rule.level} ${rule.names}, with a peer whose TLS is ${peer}`, { skip }, async () => {
    const config = { tlsRules: new Map([["d.example", rule]]), authorities: [good?.pem ?? ""] };
    await using playing = await play({ config, peers: { "127.0.0.2": peers[peer] ?? {} } });
    const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
    if (ends instanceof RegExp) assert.match(reports[0] ?? "", ends);
    else assert.deepEqual(reports, [ends === "secure" || ends === "clear" ? accepted() : ends]);
    const secure = playing.peer().received.map((message) => message.secure);
    assert.deepEqual(secure, ends === "secure" ? [true] : ends === "clear" ? [false] : []);
  });
}

test("remote believes what Node brings when it is told of no authority", { skip }, async () => {
  await using playing = await play({
    config: { tlsRules: new Map([["", verify]]) },
    peers: { "127.0.0.2": peers.good ?? {} },
  });
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
  assert.deepEqual(reports, [failed("7.5", untrusted, withCertificate)]);
});

test("remote goes on to a host whose TLS is good", { skip }, async () => {
  await using playing = await play({
    config: { tlsRules: new Map([["", verify]]), authorities: [good?.pem ?? ""] },
    peers: {
      "127.0.0.2": peers.expired ?? {},
      "127.0.0.3": { tls: good?.issue("mx2.example") ?? { key: "", cert: "" } },
    },
  });
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@two.example"] });
  assert.deepEqual(reports, [accepted("127.0.0.3")]);
});

test("remote uses no connection for a domain that wants more of it than it has", { skip }, async () => {
  await using playing = await play({
    rules: {
      "strict.example MX": { kind: "answer", records: [{ type: "MX", preference: 1, exchange: "mx1.example" }] },
    },
    config: { tlsRules: new Map([["strict.example", verify]]), authorities: [good?.pem ?? ""] },
    peers: { "127.0.0.2": peers["for others"] ?? {} },
  });
  const { queue } = playing;
  assert.deepEqual((await queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] })).reports, [accepted()]);
  const { reports } = await queue.deliver({ body: "x\n", forwardPaths: ["c@strict.example"] });
  assert.match(reports[0] ?? "", /^Z7\.5 /);
});

const login = { user: "us", password: "secret" };
const routed = (host: string, port: number) => new Map([["", { host, port }]]);
const wantsLogin = (tls: PeerOptions["tls"]): PeerOptions => ({
  extensions: ["PIPELINING", "AUTH PLAIN"],
  ...(tls && { tls }),
});

for (const { name, peer, level, ends } of [
  { name: "whose certificate names it", peer: wantsLogin(good?.issue("mx1.example")), ends: "logged in" },
  {
    name: "with another's certificate",
    peer: wantsLogin(good?.issue("d.example")),
    ends: failed("7.5", "its certificate does not name mx1.example", withCertificate, "control/smtplogins"),
  },
  {
    name: "without TLS",
    peer: wantsLogin(undefined),
    ends: failed("7.4", noOffer, withCertificate, "control/smtplogins"),
  },
  { name: "without TLS that control/tlspolicy allows", peer: wantsLogin(undefined), level: "may", ends: "logged in" },
] as const) {
  test(`remote and its password at a relay ${name}`, { skip }, async () => {
    await using playing = await play({
      peers: { "127.0.0.2": peer },
      config: {
        authorities: [good?.pem ?? ""],
        logins: new Map([["mx1.example", login]]),
        ...(level && { tlsRules: new Map([["mx1.example", { level, names: [] }]]) }),
      },
      routeTo: (port) => routed("mx1.example", port),
    });
    const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
    const sent = playing.peer().lines.filter((line) => line.startsWith("AUTH"));
    assert.deepEqual(reports, [ends === "logged in" ? accepted() : ends]);
    assert.deepEqual(sent, ends === "logged in" ? ["AUTH PLAIN AHVzAHNlY3JldA=="] : []);
  });
}
