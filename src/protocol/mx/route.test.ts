import assert from "node:assert/strict";
import { test } from "node:test";
import { findRelay, parseRoutes } from "./route.ts";

const routes = parseRoutes([
  ["d.example", "relay.example"],
  [".d.example", "192.0.2.1:2525"],
  [".x.d.example", ""],
  ["open.example", ""],
  ["six.example", "[2001:db8::1]:26"],
  ["seven.example", "2001:db8::2"],
  ["[192.0.2.9]", "literal.example"],
]);
const withDefault = parseRoutes([
  ["", "[192.0.2.2]"],
  ["open.example", ""],
]);

const cases = [
  { in: routes, domain: "d.example", relay: "relay.example 25" },
  { in: routes, domain: "D.Example", relay: "relay.example 25" },
  { in: routes, domain: "a.d.example", relay: "192.0.2.1 2525" },
  { in: routes, domain: "a.b.d.example", relay: "192.0.2.1 2525" },
  { in: routes, domain: "a.x.d.example", relay: "" },
  { in: routes, domain: "xd.example", relay: "" },
  { in: routes, domain: "open.example", relay: "" },
  { in: routes, domain: "six.example", relay: "2001:db8::1 26" },
  { in: routes, domain: "seven.example", relay: "2001:db8::2 25" },
  { in: routes, domain: "[192.0.2.9]", relay: "literal.example 25" },
  { in: withDefault, domain: "any.example", relay: "192.0.2.2 25" },
  { in: withDefault, domain: "open.example", relay: "" },
] as const;

for (const { in: table, domain, relay } of cases) {
  test(`§17.161 findRelay() of ${domain} is ${relay || "none"}`, () => {
    assert.equal(table.kind, "done");
    const found = table.kind === "done" ? findRelay(table.value, domain) : undefined;
    assert.equal(found ? `${found.host} ${found.port}` : "", relay);
  });
}

for (const value of ["a b", "a:0", "a:65536", "a:25x", ":25", "[192.0.2.1", "a:1:2", "[x y]:25"]) {
  test(`parseRoutes() refuses "${value}"`, () => {
    assert.equal(parseRoutes([["d.example", value]]).kind, "permanent");
  });
}
