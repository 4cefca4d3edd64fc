import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { a, aaaa, accepted, answer, died, type Given, mx, play, said } from "../../../test/support/remote-play.ts";
import { die, startSmtpPeer } from "../../../test/support/smtp-peer.ts";
import { title } from "../../../test/support/title.ts";

const noConnection = (...reasons: string[]) =>
  `Z4.1 Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n${reasons.map((why) => `${why}\n`).join("")}`;

interface Row extends Given {
  readonly name: string;
  readonly to?: readonly string[];
  readonly reports: readonly string[];
  readonly reached: number;
}

const way: Row[] = [
  {
    name: "§17.163 goes on to the next host when one cannot be reached",
    to: ["c@two.example"],
    peers: { "127.0.0.3": {} },
    reports: [accepted("127.0.0.3")],
    reached: 1,
  },
  ...(["554 no", "421 no"] as const).map(
    (reply): Row => ({
      name: `§17.163 §17.164 goes on to the next host when one greets with ${reply}`,
      to: ["c@two.example"],
      peers: { "127.0.0.2": { script: { connect: reply } }, "127.0.0.3": {} },
      reports: [accepted("127.0.0.3")],
      reached: 1,
    }),
  ),
  {
    name: "goes on to the next host when one dies before it is ready",
    to: ["c@two.example"],
    peers: { "127.0.0.2": { script: { EHLO: die } }, "127.0.0.3": {} },
    reports: [accepted("127.0.0.3")],
    reached: 1,
  },
  {
    name: "does not wait for a host that has answered what was not asked",
    peers: { "127.0.0.2": { script: { connect: "220 hi\r\n250 ok\r\n250 ok" } } },
    reports: [died("a reply came that nothing asked for: 250 ok")],
    reached: 1,
  },
  {
    name: "goes on to the next host when one rejects our name",
    to: ["c@two.example"],
    peers: { "127.0.0.2": { script: { EHLO: "550 no", HELO: "550 no" } }, "127.0.0.3": {} },
    reports: [accepted("127.0.0.3")],
    reached: 1,
  },
  {
    name: "§17.163 takes the word of the host that refused the sender",
    to: ["c@two.example"],
    peers: { "127.0.0.2": { script: { MAIL: "451 no" } }, "127.0.0.3": {} },
    reports: [`Z0.0 Connected to 127.0.0.2 but sender was rejected.\n${said("451 no")}`],
    reached: 1,
  },
  {
    name: "§17.164 fails for good when all hosts refuse for good",
    to: ["c@two.example"],
    peers: { "127.0.0.2": { script: { connect: "554 no" } }, "127.0.0.3": { script: { connect: "554 never" } } },
    reports: [`D0.0 Connected to 127.0.0.2 but greeting failed.\n${said("554 no")}`],
    reached: 1,
  },
  {
    name: "tries again when one host refuses for good and another for now",
    to: ["c@two.example"],
    peers: { "127.0.0.2": { script: { connect: "554 no" } }, "127.0.0.3": { script: { connect: "421 busy" } } },
    reports: [`Z0.0 Connected to 127.0.0.3 but greeting failed.\n${said("421 busy")}`],
    reached: 1,
  },
  {
    name: "tries again when one host refuses for good and another cannot be reached",
    to: ["c@two.example"],
    peers: { "127.0.0.2": { script: { connect: "554 no" } } },
    reports: [`Z0.0 Connected to 127.0.0.2 but greeting failed.\n${said("554 no")}`],
    reached: 1,
  },
  {
    name: "names what could not be reached",
    peers: {},
    to: ["c@two.example"],
    reports: [noConnection("127.0.0.2: connection refused", "127.0.0.3: connection refused")],
    reached: 2,
  },
  {
    name: "§17.158 draws among equals",
    to: ["c@equal.example"],
    rules: { "equal.example MX": answer(mx(10, "mx1.example"), mx(10, "mx2.example")) },
    peers: { "127.0.0.2": {}, "127.0.0.3": {} },
    random: (() => {
      const draws = [0, 0.9, 0.1];
      return () => draws.shift() ?? 0;
    })(),
    reports: [accepted("127.0.0.3")],
    reached: 1,
  },
  {
    name: "goes to the domain's own address without MX",
    to: ["c@bare.example"],
    rules: { "bare.example A": a("127.0.0.2") },
    reports: [accepted()],
    reached: 1,
  },
  {
    name: "follows an alias of the exchanger",
    to: ["c@alias.example"],
    rules: {
      "alias.example MX": answer(mx(10, "www.example")),
      "www.example A": answer(
        { type: "CNAME", target: "mx1.example" },
        { type: "A", name: "mx1.example", address: "127.0.0.2" },
      ),
    },
    reports: [accepted()],
    reached: 1,
  },
  {
    name: "follows an alias of the domain",
    to: ["c@alias.example"],
    rules: {
      "alias.example MX": answer(
        { type: "CNAME", target: "d.example" },
        { type: "MX", name: "d.example", preference: 10, exchange: "mx1.example" },
      ),
    },
    reports: [accepted()],
    reached: 1,
  },
  { name: "goes to an address literal", to: ["c@[127.0.0.2]"], reports: [accepted()], reached: 1 },
  {
    name: "sends nothing to a null MX",
    to: ["c@null.example"],
    rules: { "null.example MX": answer(mx(0, ".")), "null.example A": a("127.0.0.2") },
    reports: ["D1.10 Sorry, null.example takes no mail: its MX is null. (#5.1.10)\n"],
    reached: 0,
  },
  {
    name: "§17.162 fails a domain that does not exist",
    to: ["c@no\xe9.example"],
    reports: ["D1.2 Sorry, I couldn't find any host named no?.example. (#5.1.2)\n"],
    reached: 0,
  },
  {
    name: "fails a domain whose exchangers have no address",
    to: ["c@lost.example"],
    rules: { "lost.example MX": answer(mx(10, "nowhere.example")) },
    reports: ["D4.4 Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n"],
    reached: 0,
  },
  {
    name: "§17.162 waits for DNS that fails",
    to: ["c@servfail.example"],
    rules: { "servfail.example *": { kind: "servfail" } },
    reports: ["Z4.3 Sorry, I couldn't find any host by that name. (#4.4.3)\nDNS servers failed (SERVFAIL)\n"],
    reached: 0,
  },
  {
    name: "waits for DNS that fails for the only exchanger",
    to: ["c@half.example"],
    rules: { "half.example MX": answer(mx(10, "servfail.example")), "servfail.example *": { kind: "servfail" } },
    reports: ["Z4.3 Sorry, I couldn't find any host by that name. (#4.4.3)\nDNS servers failed (SERVFAIL)\n"],
    reached: 0,
  },
  {
    name: "makes do with the exchangers DNS knows",
    to: ["c@half.example"],
    rules: {
      "half.example MX": answer(mx(5, "servfail.example"), mx(10, "mx1.example")),
      "servfail.example *": { kind: "servfail" },
    },
    reports: [accepted()],
    reached: 1,
  },
  {
    name: "§17.160 does not deliver to itself",
    to: ["c@loop.example"],
    rules: { "loop.example MX": answer(mx(10, "self.example"), mx(20, "mx1.example")) },
    reports: [
      "D4.6 Sorry. Although I'm listed as a best-preference MX or A for that host,\nit isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n",
    ],
    reached: 0,
  },
  {
    name: "§17.159 delivers to what is preferred to itself",
    to: ["c@backup.example"],
    rules: { "backup.example MX": answer(mx(10, "mx1.example"), mx(20, "self.example")) },
    reports: [accepted()],
    reached: 1,
  },
  {
    name: "does not know a loop when the better exchanger is not known",
    to: ["c@backup.example"],
    rules: {
      "backup.example MX": answer(mx(10, "servfail.example"), mx(20, "self.example")),
      "servfail.example *": { kind: "servfail" },
    },
    reports: ["Z4.3 Sorry, I couldn't find any host by that name. (#4.4.3)\nDNS servers failed (SERVFAIL)\n"],
    reached: 0,
  },
  {
    name: "waits for a relay that cannot be found",
    config: { routes: new Map([["d.example", { host: "typo.example", port: 25 }]]) },
    reports: ["Z4.4 Sorry, I couldn't find the relay typo.example that smtproutes names. (#4.4.4)\n"],
    reached: 0,
  },
  {
    name: "does not let an address speak SMTP",
    to: ["c\r\nQUIT@d.example", "c@d.example"],
    reports: ["D1.3 The address has control characters or is too long. (#5.1.3)\n", accepted()],
    reached: 1,
  },
];

for (const { name, to = ["c@d.example"], reports, reached, ...given } of way) {
  test(title("remote", name), async () => {
    await using playing = await play(given);
    const answered = await playing.queue.deliver({ body: "Subject: x\n\n.\nbody\n", forwardPaths: to });
    assert.deepEqual(answered, { reports, reached });
  });
}

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"));

for (const { offers, taken, reached } of [
  { offers: ["XVERP"], taken: [["l@s.example", ["c@d.example", "e@d.example"]]], reached: 4 },
  { offers: [], taken: [["l-c=d.example@s.example", ["c@d.example"]]], reached: 1 },
]) {
  const how = offers.length > 0 ? "at once to a peer that offers XVERP" : "the first only to one that does not";
  test(`§17.223 remote gives recipients with VERP ${how}`, async () => {
    await using playing = await play({ peers: { "127.0.0.2": { extensions: offers } } });
    const forwardPaths = ["c@d.example", "e@d.example"];
    const answered = await playing.queue.deliver({ body: "x\n", forwardPaths, reversePath: "l-@s.example-@[]" });
    const [, expected] = taken[0] ?? [];
    assert.deepEqual(answered, { reports: [...(expected ?? [])].map(() => accepted()), reached });
    const received = playing.peer().received.map(({ reversePath, forwardPaths: paths }) => [reversePath, paths]);
    assert.deepEqual(received, taken);
  });
}

test("remote delivers to a host with IPv6 only", { skip: !hasIpv6 && "needs ::1" }, async () => {
  const rules = { "six.example MX": answer(mx(10, "six.example")), "six.example AAAA": aaaa("::1") };
  await using playing = await play({ rules, peers: { "::1": {} } });
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@six.example"] });
  assert.deepEqual(reports, [accepted("::1")]);
});

test("remote falls back to IPv4", async () => {
  const rules = { "mx1.example AAAA": aaaa("::1") };
  await using playing = await play({ rules, config: { prefersIpv6: true } });
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
  assert.deepEqual(reports, [accepted()]);
});

test("§17.161 remote goes where smtproutes says, though it be this host", async () => {
  await using peer = await startSmtpPeer();
  const routes = new Map([["d.example", { host: "127.0.0.1", port: peer.port }]]);
  await using playing = await play({ peers: {}, config: { routes } });
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
  assert.deepEqual(reports, [accepted("127.0.0.1")]);
  assert.deepEqual(playing.asked, []);
});

test("remote knows DNS that does not answer in time", async () => {
  await using playing = await play({ rules: { "d.example MX": { kind: "timeout" } } });
  const answered = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
  const text = "Z4.3 Sorry, I couldn't find any host by that name. (#4.4.3)\nDNS servers did not answer in time\n";
  assert.deepEqual(answered, { reports: [text], reached: 0 });
});
