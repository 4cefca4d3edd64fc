import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { DnsRule } from "../../../test/support/dns-server.ts";
import { without } from "../../../test/support/missing.ts";
import { accepted, play } from "../../../test/support/remote-play.ts";
import type { PeerOptions } from "../../../test/support/smtp-peer.ts";
import { makeAuthority } from "../../../test/support/test-authority.ts";
import type { Event } from "../../protocol/event/event.ts";

const skip = without("openssl") || without("faketime");
const authority = skip ? undefined : makeAuthority();
const other = skip ? undefined : makeAuthority();
const issue = (name: string, by = authority) => by?.issue(name) ?? { key: "", cert: "" };

interface Served {
  status: number;
  type: string;
  text: string;
}
const policy = (mode: string, ...hosts: string[]): string =>
  `version: STSv1\r\nmode: ${mode}\r\n${hosts.map((host) => `mx: ${host}\r\n`).join("")}max_age: 86400\r\n`;
const id = (text: string): DnsRule => ({ kind: "answer", records: [{ type: "TXT", text: `v=STSv1; id=${text}` }] });

/** A server of policies at 127.0.0.4, which says what `served` is now, and how often it was asked. */
async function servePolicies(served: Served, name = "mta-sts.d.example", by = authority) {
  let asked = 0;
  const server: Server = createServer(issue(name, by), (request, response) => {
    asked++;
    assert.deepEqual([request.method, request.url], ["GET", "/.well-known/mta-sts.txt"]);
    response.writeHead(served.status, { "content-type": served.type, location: "https://d.example/" }).end(served.text);
  });
  server.listen(0, "127.0.0.4");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get asked() {
      return asked;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function playWith(httpsPort: number, peer: PeerOptions, events: Event[] = []) {
  return await play({
    rules: {
      "_mta-sts.d.example TXT": id("1"),
      "mta-sts.d.example A": { kind: "answer", records: [{ type: "A", address: "127.0.0.4" }] },
    },
    config: { usesSts: true, httpsPort, authorities: [authority?.pem ?? ""] },
    peers: { "127.0.0.2": peer },
    log: (event) => void events.push(event),
  });
}

const good: PeerOptions = { tls: issue("mx1.example") };
const refused = (status: string, why: string): string =>
  `Z${status} Connected to 127.0.0.2 but ${why}. MTA-STS demands TLS with a certificate. (#4.${status})\n`;
const wrongName = "its certificate does not name mx1.example";
const notListed = "the policy of its domain does not list mx1.example";
const whole = { status: 200, type: "text/plain; charset=utf-8" };

const rows: readonly {
  readonly name: string;
  readonly served: Served;
  readonly peer: PeerOptions;
  readonly report: string;
  readonly results: readonly string[];
  readonly https?: string;
}[] = [
  {
    name: "enforced, met",
    served: { ...whole, text: policy("enforce", "*.example") },
    ...{ peer: good, report: accepted(), results: ["sts success"] },
  },
  {
    name: "enforced, with another's certificate",
    served: { ...whole, text: policy("enforce", "mx1.example") },
    ...{ peer: { tls: issue("d.example") }, report: refused("7.5", wrongName) },
    results: ["sts certificate-host-mismatch"],
  },
  {
    name: "enforced, with a certificate of nobody we know",
    served: { ...whole, text: policy("enforce", "mx1.example") },
    peer: { tls: issue("mx1.example", other) },
    report: refused("7.5", "its certificate is signed by an unknown authority"),
    results: ["sts certificate-not-trusted"],
  },
  {
    name: "enforced, without TLS",
    served: { ...whole, text: policy("enforce", "mx1.example") },
    ...{ peer: {}, report: refused("7.4", "it does not offer STARTTLS"), results: ["sts starttls-not-supported"] },
  },
  {
    name: "enforced, and the host is not in it",
    served: { ...whole, text: policy("enforce", "mx2.example") },
    ...{ peer: good, report: refused("7.5", notListed), results: ["sts validation-failure"] },
  },
  {
    name: "in testing, not met",
    served: { ...whole, text: policy("testing", "mx1.example") },
    ...{ peer: { tls: issue("d.example") }, report: accepted(), results: ["sts certificate-host-mismatch"] },
  },
  {
    name: "in testing, and the host is not in it",
    served: { ...whole, text: policy("testing", "mx2.example") },
    ...{ peer: good, report: accepted(), results: ["sts validation-failure", "sts success"] },
  },
  { name: "none", served: { ...whole, text: policy("none") }, peer: {}, report: accepted(), results: [] },
  ...(
    [
      ["not there", { ...whole, status: 404, text: policy("enforce", "x.example") }, "sts-policy-fetch-error"],
      ["somewhere else", { ...whole, status: 301, text: policy("enforce", "x.example") }, "sts-policy-fetch-error"],
      ["a page", { status: 200, type: "text/html", text: policy("enforce", "x.example") }, "sts-policy-fetch-error"],
      ["nonsense", { ...whole, text: "hello" }, "sts-policy-invalid"],
      ["without end", { ...whole, text: "x: y\r\n".repeat(20_000) }, "sts-policy-fetch-error"],
    ] as const
  ).map(([name, served, fault]) => ({ name, served, peer: {}, report: accepted(), results: [`sts ${fault}`] })),
  {
    name: "from a server with another's certificate",
    served: { ...whole, text: policy("enforce", "x.example") },
    ...{ peer: {}, report: accepted(), results: ["sts sts-webpki-invalid"], https: "d.example" },
  },
];

for (const { name, served, peer, report, results, https } of rows) {
  test(`remote and a policy of MTA-STS: ${name}`, { skip }, async () => {
    const events: Event[] = [];
    await using server = await servePolicies(served, https);
    {
      await using playing = await playWith(server.port, peer, events);
      const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] });
      assert.deepEqual(reports, [report]);
    }
    const counted = events.flatMap((event) =>
      event.event === "tls results" ? [`${event.policy} ${event.result}`] : [],
    );
    assert.deepEqual(counted, results);
  });
}

test("remote fetches a policy when DNS shows a new one, and keeps the old while it cannot", { skip }, async () => {
  const served = { ...whole, text: policy("enforce", "mx2.example") };
  await using server = await servePolicies(served);
  await using playing = await playWith(server.port, good);
  const deliver = async () => (await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] })).reports;
  const show = (rule: DnsRule | undefined) => {
    if (rule) playing.rules.set("_mta-sts.d.example TXT", rule);
    else playing.rules.delete("_mta-sts.d.example TXT");
    playing.forgetDns();
  };
  const rolled: (readonly [string, () => void, readonly string[], number])[] = [
    ["it is fetched", () => {}, [refused("7.5", notListed)], 1],
    ["once", () => {}, [refused("7.5", notListed)], 1],
    ["the record is gone", () => show(undefined), [refused("7.5", notListed)], 1],
    ["DNS fails", () => show({ kind: "servfail" }), [refused("7.5", notListed)], 1],
    [
      "a new one is broken",
      () => {
        served.text = "broken";
        show(id("2"));
      },
      [refused("7.5", notListed)],
      2,
    ],
    [
      "and not asked for again at once",
      () => {
        served.text = policy("enforce", "mx1.example");
      },
      [refused("7.5", notListed)],
      2,
    ],
  ];
  for (const [step, before, reports, asked] of rolled) {
    before();
    assert.deepEqual(await deliver(), reports, step);
    assert.equal(server.asked, asked, step);
  }
});

test("remote takes a new policy", { skip }, async () => {
  const served = { ...whole, text: policy("enforce", "mx2.example") };
  await using server = await servePolicies(served);
  await using playing = await playWith(server.port, good);
  const deliver = async () => (await playing.queue.deliver({ body: "x\n", forwardPaths: ["c@d.example"] })).reports;
  assert.deepEqual(await deliver(), [refused("7.5", notListed)]);
  served.text = policy("enforce", "mx1.example");
  playing.rules.set("_mta-sts.d.example TXT", id("2"));
  playing.forgetDns();
  assert.deepEqual(await deliver(), [accepted()]);
});
