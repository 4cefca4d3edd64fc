import assert from "node:assert/strict";
import { test } from "node:test";
import { noExtensions, noLimits, readExtensions } from "./extensions.ts";

const rows = [
  { lines: ["size 10", "PIPELINING", "X-NEW"], found: { maxOctets: 10, pipelining: true } },
  { lines: ["SIZE"], found: { maxOctets: Number.POSITIVE_INFINITY } },
  { lines: ["SIZE 1 2"], found: { maxOctets: Number.POSITIVE_INFINITY } },
  { lines: ["CHUNKING"], found: {} },
  { lines: ["CHUNKING", "BINARYMIME", "DSN"], found: { binary: true, dsn: true } },
  { lines: ["AUTH plain LOGIN"], found: { loginMechanisms: ["PLAIN", "LOGIN"] } },
  { lines: ["AUTH=LOGIN"], found: {} },
  {
    lines: ["LIMITS RCPTMAX=20 mailmax=5 OTHER=x"],
    found: { limits: { ...noLimits, maxRecipients: 20, maxMessages: 5 } },
  },
  { lines: ["LIMITS RCPTDOMAINMAX=1"], found: { limits: { ...noLimits, maxDomains: 1 } } },
  { lines: ["LIMITS RCPTMAX=0 MAILMAX=-1 RCPTDOMAINMAX=1e9 RCPTMAX"], found: {} },
  { lines: ["LIMITS"], found: {} },
] as const;

for (const { lines, found } of rows) {
  test(`readExtensions() of ${lines.join(", ")}`, () => {
    assert.deepEqual(readExtensions(lines), { ...noExtensions, ...found });
  });
}
