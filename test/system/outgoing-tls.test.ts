/** DANE and MTA-STS with a resolver that checks DNSSEC, a signed zone, and servers at the far end of a wire. */
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { rmSync } from "node:fs";
import { test } from "node:test";
import { deferred, handIn } from "../network/waiting.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { startResolver, type Zone } from "../support/resolver.ts";
import { startServer, temporaryFolder, until } from "../support/server.ts";
import { makeAuthority } from "../support/test-authority.ts";
import { Far, Wire } from "../support/wire.ts";

const skip = unlessRoot() || without("ip", "openssl", "faketime", "unbound", "ldns-signzone");

const noRecord = /no TLSA record in DNS names its certificate\. DANE demands TLS by DANE\. \(#4\.7\.5\)/;
const cases: readonly { readonly to: string; readonly name: string; readonly ends: "delivered" | RegExp }[] = [
  { to: "u@good.signed.test", name: "a certificate that DNS names (DANE-EE)", ends: "delivered" },
  { to: "u@anchor.signed.test", name: "a certificate whose authority DNS names (DANE-TA)", ends: "delivered" },
  { to: "u@wrong.signed.test", name: "another certificate than DNS names", ends: noRecord },
  {
    to: "u@clear.signed.test",
    name: "no TLS where DNS names a certificate",
    ends: /it does not offer STARTTLS\. DANE demands TLS by DANE\. \(#4\.7\.4\)/,
  },
  {
    to: "u@bogus.signed.test",
    name: "records that are wrongly signed",
    ends: /the TLSA records of mx-bogus\.signed\.test are not known: DNS servers failed \(SERVFAIL\)/,
  },
  { to: "u@none.signed.test", name: "no records, and no TLS", ends: "delivered" },
  { to: "u@alias.signed.test", name: "records where an alias leads", ends: "delivered" },
  { to: "u@wrong.plain.test", name: "records that nobody signed", ends: "delivered" },
  { to: "u@sts.plain.test", name: "a policy that is met", ends: "delivered" },
  {
    to: "u@sts-wrong.plain.test",
    name: "a policy that another's certificate does not meet",
    ends: /its certificate does not name mx-clear\.plain\.test\. MTA-STS demands TLS with a certificate\. \(#4\.7\.5\)/,
  },
];

const [dressed, bare, policies, policies2] = ["10.99.0.3", "10.99.0.4", "10.99.0.5", "10.99.0.6"];

function zonesFor(leaf: X509Certificate, authority: X509Certificate): readonly Zone[] {
  const sha256 = (octets: Buffer): string => createHash("sha256").update(octets).digest("hex");
  const good = `3 1 1 ${sha256(leaf.publicKey.export({ type: "spki", format: "der" }))}`;
  const wrong = `3 1 1 ${"00".repeat(32)}`;
  const mail = (name: string, address: string, tlsa?: string): string =>
    `${name} MX 10 mx-${name}\nmx-${name} A ${address}\n${tlsa ? `_25._tcp.mx-${name} TLSA ${tlsa}\n` : ""}`;
  const sts = (name: string, host: string, at: string): string =>
    `${name} MX 10 ${host}\n_mta-sts.${name} TXT "v=STSv1; id=1;"\nmta-sts.${name} A ${at}\n`;
  const signed = [
    mail("good", dressed, good),
    mail("anchor", dressed, `2 0 1 ${sha256(authority.raw)}`),
    mail("wrong", dressed, wrong),
    mail("clear", bare, good),
    mail("bogus", dressed, good.replace("3 1 1", "3 1 2") + "ab".repeat(32)),
    mail("none", bare),
    "alias MX 10 mx-alias\nmx-alias CNAME mx-good\n",
  ];
  const plain = [
    mail("wrong", dressed, wrong),
    sts("sts", "mx1", policies),
    sts("sts-wrong", "mx-clear", policies2),
    `mx1 A ${dressed}\nmx-clear A ${dressed}\n`,
  ];
  return [
    {
      ...{ name: "signed.test", records: signed.join(""), isSigned: true },
      spoil: (file) => file.replace(/(\sTLSA\s+3 1 2 .*)ab\b/, "$1ac"),
    },
    { name: "plain.test", records: plain.join(""), isSigned: false },
  ];
}

test("mail over a wire meets", { skip }, async (t) => {
  await using stack = new AsyncDisposableStack();
  const root = temporaryFolder();
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const wire = stack.use(new Wire());
  const addresses = [dressed, bare, policies, policies2];
  for (const address of addresses) wire.addFar(address);
  const authority = makeAuthority();
  // DANE-TA wants the name of the host, the policy that of another one: both are in no other certificate.
  const tls = authority.issue("mx-anchor.signed.test,DNS:mx1.plain.test");
  const zones = zonesFor(new X509Certificate(tls.cert), new X509Certificate(authority.pem));
  stack.use(await startResolver(wire.near, zones));
  const far = stack.use(await Far.start(wire, []));
  far.order({ order: "smtp", address: dressed, tls });
  far.order({ order: "smtp", address: bare });
  for (const [name, address, mx] of [
    ["sts", policies, "mx1.plain.test"],
    ["sts-wrong", policies2, "*.plain.test"],
  ] as const) {
    const text = `version: STSv1\nmode: enforce\nmx: ${mx}\nmax_age: 86400\n`;
    far.order({ order: "policy", address, tls: authority.issue(`mta-sts.${name}.plain.test`), text });
  }
  const server = await startServer({
    folder: root,
    within: ["ip", "netns", "exec", wire.near],
    control: {
      nameservers: "127.0.0.1\n",
      dnssec: "on\n",
      mtasts: "1\n",
      tlscas: authority.pem,
      timeoutconnect: "5\n",
    },
  });
  stack.defer(async () => void (await server.stop()));
  for (const { to } of cases) await handIn(server, [to]);
  for (const { name, to, ends } of cases) {
    await t.test(`${name}: ${ends === "delivered" ? ends : "deferred"}`, async () => {
      if (ends === "delivered") {
        await until("its arrival", () => far.takenFor(to) === 1);
        return;
      }
      const waits = (await deferred(server, [to])).find(({ forwardPath }) => forwardPath === to);
      assert.match(waits?.lastReply ?? "", ends);
      assert.equal(far.takenFor(to), 0);
    });
  }
});
