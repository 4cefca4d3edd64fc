import assert from "node:assert/strict";
import { test } from "node:test";
import { type AcceptanceSettings, createAcceptance } from "./acceptance.ts";

const settings: AcceptanceSettings = {
  rcpthosts: [],
  morercpthosts: [],
  locals: ["local.example"],
  mailboxdomains: ["mailbox.example:create"],
  virtualdomains: [
    ["virtual.example", "v"],
    [".wild.example", "w"],
    ["exempt.wild.example", ""],
    ["one@partly.example", "p"],
    ["", "all"],
  ],
  percenthack: ["Local.example"],
  envnoathost: "local.example",
  present: [],
};

const byHosts = createAcceptance({
  ...settings,
  rcpthosts: ["Listed.example", ".below.example"],
  morercpthosts: ["more.example"],
  present: ["rcpthosts"],
});
const byDeliveries = createAcceptance(settings);
const byNothing = createAcceptance({ ...settings, present: ["rcpthosts"] });

const cases = [
  { accepts: byHosts, name: "rcpthosts", address: "a@listed.EXAMPLE", expected: true },
  { accepts: byHosts, name: "rcpthosts", address: "a@sub.listed.example", expected: false },
  { accepts: byHosts, name: "rcpthosts", address: "a@x.y.below.example", expected: true },
  { accepts: byHosts, name: "rcpthosts", address: "a@below.example", expected: false },
  { accepts: byHosts, name: "rcpthosts", address: "a@more.example", expected: true },
  { accepts: byHosts, name: "rcpthosts", address: "a@local.example", expected: false },
  { accepts: byHosts, name: "rcpthosts", address: "a%listed.example@other.example", expected: false },
  { accepts: byHosts, name: "rcpthosts", address: "postmaster", expected: true },
  { accepts: byHosts, name: "rcpthosts", address: "a@", expected: false },
  { accepts: byDeliveries, name: "no rcpthosts", address: "a@local.example", expected: true },
  { accepts: byDeliveries, name: "no rcpthosts", address: "a@mailbox.example", expected: true },
  { accepts: byDeliveries, name: "no rcpthosts", address: "a@virtual.example", expected: true },
  { accepts: byDeliveries, name: "no rcpthosts", address: "a@x.wild.example", expected: true },
  { accepts: byDeliveries, name: "no rcpthosts", address: "a@exempt.wild.example", expected: false },
  { accepts: byDeliveries, name: "no rcpthosts", address: "one@partly.example", expected: true },
  { accepts: byDeliveries, name: "no rcpthosts", address: "two@partly.example", expected: false },
  { accepts: byDeliveries, name: "no rcpthosts", address: "a@other.example", expected: false },
  { accepts: byDeliveries, name: "no rcpthosts", address: "a@", expected: false },
  { accepts: byHosts, name: "rcpthosts", address: "a%listed.example@local.example", expected: true },
  { accepts: byHosts, name: "rcpthosts", address: "a%evil.example@local.example", expected: false },
  { accepts: byDeliveries, name: "no rcpthosts", address: "a%evil.example@local.example", expected: false },
  {
    accepts: byDeliveries,
    name: "no rcpthosts",
    address: "a%evil.example%local.example@local.example",
    expected: false,
  },
  { accepts: byDeliveries, name: "no rcpthosts", address: "a%mailbox.example@local.example", expected: true },
  { accepts: byDeliveries, name: "no rcpthosts", address: "a%evil.example@mailbox.example", expected: true },
  { accepts: byDeliveries, name: "no rcpthosts", address: "a%evil.example", expected: false },
  { accepts: byNothing, name: "an empty rcpthosts", address: "a@local.example", expected: false },
  { accepts: byNothing, name: "an empty rcpthosts", address: "postmaster", expected: true },
] as const;

for (const { accepts, name, address, expected } of cases) {
  test(`createAcceptance() with ${name} ${expected ? "accepts" : "refuses"} ${address}`, () => {
    assert.equal(accepts(address), expected);
  });
}

const checklist = [
  ["§17.72 `.x` is for what is below x", byHosts, "a@y.below.example", true],
  ["§17.72 `.x` is not for x", byHosts, "a@below.example", false],
  ["§17.72 `x` is for x", byHosts, "a@listed.example", true],
  ["§17.72 `x` is not for what is below it", byHosts, "a@y.listed.example", false],
  ["§17.73 an empty rcpthosts lets nobody in", byNothing, "a@local.example", false],
  ["§17.73 an empty rcpthosts lets in who has no domain", byNothing, "postmaster", true],
  [
    "§17.73 without rcpthosts what is delivered here is let in, and nothing else",
    byDeliveries,
    "a@other.example",
    false,
  ],
  ["§17.74 morercpthosts counts beside rcpthosts", byHosts, "a@more.example", true],
  [
    "§17.74 morercpthosts does not count without rcpthosts",
    createAcceptance({ ...settings, morercpthosts: ["more.example"] }),
    "a@more.example",
    false,
  ],
] as const;
for (const [name, accepts, address, expected] of checklist) {
  test(name, () => assert.equal(accepts(address), expected));
}
