import assert from "node:assert/strict";
import { test } from "node:test";
import { createRouter } from "./router.ts";

const router = createRouter({
  envnoathost: "envnoat.example",
  percenthack: ["Percent.example", "also.example"],
  locals: ["Local.example", "both.example"],
  mailboxdomains: ["mailbox.example", "made.example:create"],
  virtualdomains: [
    ["joe@virtual.example", "joseph"],
    ["out@virtual.example", ""],
    ["virtual.example", "v"],
    ["both.example", "never"],
    [".wild.example", "joe-w"],
    ["exempt.wild.example", ""],
    [".deep.wild.example", "deep"],
  ],
});

const cases = [
  { recipient: "a@local.example", channel: "local", address: "a@local.example" },
  { recipient: "A@LOCAL.example", channel: "local", address: "A@LOCAL.example" },
  { recipient: "a@sub.local.example", channel: "remote", address: "a@sub.local.example" },
  { recipient: "a@mailbox.example", channel: "local", address: "a@mailbox.example" },
  { recipient: "a@made.example", channel: "local", address: "a@made.example" },
  { recipient: "a", channel: "remote", address: "a@envnoat.example" },
  { recipient: "a%local.example@percent.example", channel: "local", address: "a@local.example" },
  { recipient: "a%b%percent.example@percent.example", channel: "remote", address: "a@b" },
  { recipient: "a%c%also.example@percent.example", channel: "remote", address: "a@c" },
  { recipient: "a@percent.example", channel: "remote", address: "a@percent.example" },
  { recipient: "a%b@local.example", channel: "local", address: "a%b@local.example" },
  { recipient: "JOE@virtual.EXAMPLE", channel: "local", address: "joseph-JOE@virtual.EXAMPLE" },
  { recipient: "out@virtual.example", channel: "remote", address: "out@virtual.example" },
  { recipient: "x@virtual.example", channel: "local", address: "v-x@virtual.example" },
  { recipient: "x@both.example", channel: "local", address: "x@both.example" },
  { recipient: "x@a.wild.example", channel: "local", address: "joe-w-x@a.wild.example" },
  { recipient: "x@wild.example", channel: "remote", address: "x@wild.example" },
  { recipient: "x@exempt.wild.example", channel: "remote", address: "x@exempt.wild.example" },
  { recipient: "x@a.deep.wild.example", channel: "local", address: "deep-x@a.deep.wild.example" },
  { recipient: "x@y@local.example", channel: "local", address: "x@y@local.example" },
  { recipient: "x@", channel: "remote", address: "x@" },
] as const;

for (const { recipient, channel, address } of cases) {
  test(`route() sends ${recipient} to ${channel} ${address}`, () => {
    const destination = channel === "local" ? address : address.slice(address.lastIndexOf("@") + 1).toLowerCase();
    assert.deepEqual(router.route(recipient), { channel, address, destination });
  });
}

test("§17.70 route() takes the empty key for what nothing else names, and an exception before it", () => {
  const catchAll = createRouter({
    envnoathost: "e.example",
    percenthack: [],
    locals: [],
    mailboxdomains: [],
    virtualdomains: [
      ["", "all"],
      ["exempt.example", ""],
    ],
  });
  assert.equal(catchAll.route("x@any.example").address, "all-x@any.example");
  assert.equal(catchAll.route("x@exempt.example").channel, "remote");
  assert.equal(catchAll.stripVirtualPrefix("all-x@any.example"), "x@any.example");
});

const stripped = [
  ["v-x@virtual.example", "x@virtual.example"],
  ["v-x@VIRTUAL.example", "x@VIRTUAL.example"],
  ["joe-w-x@a.wild.example", "x@a.wild.example"],
  ["other-x@a.wild.example", "other-x@a.wild.example"],
  ["joseph-joe@virtual.example", "joseph-joe@virtual.example"],
  ["x@exempt.wild.example", "x@exempt.wild.example"],
  ["v@virtual.example", "v@virtual.example"],
] as const;
for (const [address, expected] of stripped) {
  test(`stripVirtualPrefix() makes ${expected} of ${address}`, () => {
    assert.equal(router.stripVirtualPrefix(address), expected);
  });
}

/** One statement each of qmail's checklist: who, what control says, and what becomes of it. */
const checklist = [
  ["§17.64 a recipient without domain gets envnoathost", "joe", "remote joe@envnoat.example"],
  ["§17.65 percenthack, once", "a%b.example@percent.example", "remote a@b.example"],
  ["§17.65 percenthack, repeatedly", "a%b.example%also.example@percent.example", "remote a@b.example"],
  ["§17.66 locals beats virtualdomains", "x@both.example", "local x@both.example"],
  ["§17.67 the whole address beats the domain", "joe@virtual.example", "local joseph-joe@virtual.example"],
  ["§17.67 the longest suffix beats the shorter", "x@a.deep.wild.example", "local deep-x@a.deep.wild.example"],
  ["§17.68 .domain is for what is below it", "x@a.wild.example", "local joe-w-x@a.wild.example"],
  ["§17.68 .domain is not for the domain", "x@wild.example", "remote x@wild.example"],
  ["§17.69 an empty prefix makes an exception", "x@exempt.wild.example", "remote x@exempt.wild.example"],
  ["§17.71 the prefix goes before, the domain stays", "Lo-Cal@Virtual.example", "local v-Lo-Cal@Virtual.example"],
] as const;
for (const [name, recipient, expected] of checklist) {
  test(name, () => {
    const { channel, address } = router.route(recipient);
    assert.equal(`${channel} ${address}`, expected);
  });
}

test("route() tells each rule that it tried, and nothing else changes", () => {
  const told: string[] = [];
  const route = router.route("a%x.wild.example@percent.example", ({ source, entry }) =>
    told.push(`${source} ${entry}`),
  );
  assert.deepEqual(route, router.route("a%x.wild.example@percent.example"));
  assert.deepEqual(told, ["percenthack percent.example", "locals undefined", "virtualdomains .wild.example"]);
});
