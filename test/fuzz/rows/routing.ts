import assert from "node:assert/strict";
import { parseControl } from "../../../src/protocol/control/parse.ts";
import type { Settings } from "../../../src/protocol/control/table.ts";
import { cutOwn, isNullMx, literalAddress, maxExchanges, orderExchanges } from "../../../src/protocol/mx/choose.ts";
import { findRelay, parseRoutes } from "../../../src/protocol/mx/route.ts";
import { createAcceptance } from "../../../src/protocol/routing/acceptance.ts";
import { createRouter } from "../../../src/protocol/routing/router.ts";
import { expandVerp, isVerp, stripVerp } from "../../../src/protocol/verp.ts";
import type { Row } from "../explore.ts";
import { mutated, readSeeds } from "../mutate.ts";
import type { Source } from "../source.ts";

const recipients = readSeeds("recipients");
const domains = [
  "here.example",
  "sub.here.example",
  ".here.example",
  "virtual.example",
  "",
  "x",
  "user@virtual.example",
];
const words = [
  "@",
  "%",
  ".",
  "-",
  "HERE.example",
  "here.example",
  "virtual.example",
  "far.example",
  "user",
  "%here.example",
];

function settingsOf(source: Source): Settings {
  const map = source.list(5, () => `${source.pick(domains)}:${source.pick(["alias", "", "a-b", "p:q"])}`).join("\n");
  const virtual = parseControl("virtualdomains", map);
  assert.equal(virtual.kind, "done");
  return {
    envnoathost: "here.example",
    percenthack: source.oneIn(3) ? ["here.example"] : [],
    locals: source.list(2, () => source.pick(domains)),
    mailboxdomains: source.list(2, () => `${source.pick(domains)}${source.pick(["", ":create"])}`),
    virtualdomains: virtual.kind === "done" ? virtual.value : [],
    rcpthosts: [],
    morercpthosts: [],
    present: [],
  } as unknown as Settings;
}

const routing: Row = {
  name: "routing",
  cases: 4_000,
  check(source) {
    const settings = settingsOf(source);
    const router = createRouter(settings);
    const address = mutated(source, recipients, words).slice(0, 1_000);
    const { channel, address: routed, destination } = router.route(address);
    assert.ok(routed.includes("@") && routed.length <= address.length + 100);
    assert.equal(destination, channel === "local" ? routed : destination.replace(/[A-Z]/g, "").replace(/@.*/s, ""));
    assert.ok(router.stripVirtualPrefix(routed).length <= routed.length);
    // Not open: what is taken from anybody stays here, unless the administrator asked for percent signs.
    if (settings.percenthack.length > 0 || !createAcceptance(settings)(address)) return;
    assert.equal(channel, address.includes("@") || settings.locals.includes("here.example") ? "local" : channel);
  },
};

const routes: Row = {
  name: "smtproutes",
  cases: 3_000,
  check(source) {
    const lines = [
      "example.org:relay.example:2525",
      ":[2001:db8::1]:25",
      ".net:192.0.2.1",
      "x:",
      "a:b:0",
      "c:d:65536",
      "e:[::1",
      "f:::1",
    ];
    const parsed = parseControl("smtproutes", source.list(4, () => mutated(source, lines)).join("\n"));
    if (parsed.kind !== "done" || !Array.isArray(parsed.value)) return;
    const table = parseRoutes(parsed.value);
    if (table.kind !== "done") return assert.equal(table.kind, "permanent");
    for (const relay of table.value.values()) {
      if (relay === null) continue;
      assert.ok(Number.isInteger(relay.port) && relay.port >= 1 && relay.port <= 65_535);
      assert.match(relay.host, /^[A-Za-z0-9._:-]+$/);
    }
    findRelay(table.value, mutated(source, ["example.org", "a.b.net", "", "."]));
  },
};

const exchangers: Row = {
  name: "MX records",
  cases: 1_500,
  check(source) {
    const name = (): string =>
      mutated(source, ["mx.example", ".", "", "MX.example", "[192.0.2.1]", "[IPv6:::1]", "192.0.2.1"]);
    const records = source.list(60, () => ({ name: name(), preference: source.below(65_536) }));
    const ordered = orderExchanges(records, () => source.below(100) / 100);
    assert.ok(ordered.length <= maxExchanges);
    assert.deepEqual(
      ordered.map(({ preference }) => preference),
      ordered.map(({ preference }) => preference).toSorted((a, b) => a - b),
    );
    assert.ok(!ordered.some((exchange) => exchange.name === "" || exchange.name === "."));
    isNullMx(records);
    for (const record of records) literalAddress(record.name);
    const hosts = ordered.map((exchange) => ({ ...exchange, address: exchange.name }));
    const left = cutOwn(hosts, (address) => address === hosts[3]?.address);
    const own = hosts[3];
    assert.ok(!own || left.every(({ preference }) => preference < own.preference));
  },
};

const verp: Row = {
  name: "VERP",
  cases: 2_000,
  check(source) {
    const reversePath = mutated(source, [
      "list-@example.org-@[]",
      "user@example.org",
      "",
      "#@[]",
      "-@[]",
      "@-@[]",
      "a-@[]",
      "list-@example.org-@[+]",
    ]);
    const forwardPath = mutated(source, recipients);
    const expanded = expandVerp(reversePath, forwardPath);
    assert.ok(expanded.length <= reversePath.length + forwardPath.length + 1);
    if (!isVerp(reversePath)) assert.deepEqual([expanded, stripVerp(reversePath)], [reversePath, reversePath]);
    else if (forwardPath.includes("@")) {
      const at = forwardPath.lastIndexOf("@");
      const host = stripVerp(reversePath).lastIndexOf("@");
      const [user, domain] = [forwardPath.slice(0, at), forwardPath.slice(at + 1)];
      const within = reversePath.at(-2) === "[" ? "=" : reversePath.at(-2); // XVERP may ask for another
      const plain = stripVerp(reversePath);
      assert.equal(expanded, `${plain.slice(0, host)}${user}${within}${domain}${plain.slice(host)}`);
    }
  },
};

export const routingRows: readonly Row[] = [routing, routes, exchangers, verp];
