import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { without } from "../../../test/support/missing.ts";
import { makeAuthority } from "../../../test/support/test-authority.ts";
import { isUsable, parseTlsa } from "./record.ts";
import { daneFault } from "./verdict.ts";

const skip = without("openssl") || without("faketime");

type Whose = "leaf" | "authority" | "other";

function makeWorld() {
  const authority = makeAuthority();
  const chainOf = (pem: string) =>
    (pem.match(/-----BEGIN[^-]*-----[^-]*-----END CERTIFICATE-----/g) ?? []).map((one) => new X509Certificate(one));
  const [leaf, ca] = chainOf(authority.issue("mx.example").cert);
  const [expired] = chainOf(authority.issue("mx.example", "expired").cert);
  const [other] = chainOf(makeAuthority().pem);
  if (!leaf || !ca || !expired || !other) throw new Error("no certificates");
  const record = (usage: number, selector: number, matching: number, whose: Whose) => {
    const certificate = { leaf, authority: ca, other }[whose];
    const octets = selector === 0 ? certificate.raw : certificate.publicKey.export({ type: "spki", format: "der" });
    const hash = ["", "sha256", "sha512"][matching] ?? "";
    const data = hash === "" ? octets : createHash(hash).update(octets).digest();
    return parseTlsa(Buffer.concat([Buffer.of(usage, selector, matching), data]));
  };
  return { leaf, ca, expired, record };
}

const world = skip ? undefined : makeWorld();
const noRecord = "no TLSA record in DNS names its certificate";
const wrongName = "its certificate does not name www.example";

interface Row {
  readonly record: readonly [number, number, number, Whose];
  readonly name?: string;
  readonly sends?: "whole chain" | "leaf only" | "expired" | "nothing";
  readonly fault?: string;
}

const kinds = [0, 1].flatMap((selector) => [0, 1, 2].map((matching) => [selector, matching] as const));
const rows: readonly Row[] = [
  ...kinds.flatMap(([selector, matching]): Row[] => [
    { record: [3, selector, matching, "leaf"] },
    { record: [3, selector, matching, "authority"], fault: noRecord },
    { record: [3, selector, matching, "other"], fault: noRecord },
    { record: [2, selector, matching, "authority"] },
    { record: [2, selector, matching, "leaf"], fault: noRecord },
    { record: [2, selector, matching, "other"], fault: noRecord },
  ]),
  { record: [3, 1, 1, "leaf"], name: "www.example" },
  { record: [2, 0, 1, "authority"], name: "www.example", fault: wrongName },
  { record: [2, 0, 1, "authority"], sends: "leaf only", fault: noRecord },
  { record: [2, 0, 0, "authority"], sends: "leaf only" },
  { record: [2, 1, 0, "authority"], sends: "leaf only" },
  { record: [2, 1, 0, "other"], sends: "leaf only", fault: noRecord },
  { record: [2, 0, 1, "authority"], sends: "expired", fault: "a certificate is not in force: CN=test" },
  { record: [3, 1, 1, "leaf"], sends: "nothing", fault: "it showed no certificate" },
  { record: [1, 1, 1, "leaf"], fault: noRecord },
];

for (const { record: kind, name = "mx.example", sends = "whole chain", fault } of rows) {
  const title = `${kind.join(" ")} as ${name} with ${sends}`;
  test(`daneFault() ${fault === undefined ? "finds no fault" : "finds fault"}: ${title}`, { skip }, () => {
    assert.ok(world);
    const { leaf, ca, expired } = world;
    const chains = { "whole chain": [leaf, ca], "leaf only": [leaf], expired: [expired, ca], nothing: [] };
    const record = world.record(...kind);
    assert.ok(record);
    assert.equal(daneFault([record], chains[sends], [name], Date.now())?.text, fault);
  });
}

test("daneFault() takes one good record of many", { skip }, () => {
  const records = [world?.record(3, 1, 1, "other"), world?.record(3, 0, 2, "leaf")].filter((one) => one !== undefined);
  assert.ok(world && records.length === 2);
  assert.equal(daneFault(records, [world.leaf], ["x.example"], Date.now()), undefined);
});

for (const [octets, usable] of [
  [[3, 1, 1, ...new Array<number>(32).fill(1)], true],
  [[3, 1, 1, ...new Array<number>(31).fill(1)], false],
  [[3, 1, 2, ...new Array<number>(64).fill(1)], true],
  [[3, 1, 3, 1], false],
  [[3, 2, 0, 1], false],
  [[0, 0, 0, 1], false],
  [[2, 0, 0, 1], true],
] as const) {
  test(`isUsable() of ${octets.slice(0, 3)} and ${octets.length - 3} octets is ${usable}`, () => {
    const record = parseTlsa(Buffer.from(octets));
    assert.equal(record && isUsable(record), usable);
  });
}
