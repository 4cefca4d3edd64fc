import assert from "node:assert/strict";
import { test } from "node:test";
import { createAdmission } from "./admission.ts";

test("createAdmission() bounds the connections of one client, and counts an IPv6 /64 as one", () => {
  const admission = createAdmission({ maxConnections: 100, maxConnectionsPerAddress: 2 });
  assert.deepEqual(["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"].map(admission.enter), [
    true,
    true,
    false,
    true,
  ]);
  assert.deepEqual(["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(admission.enter), [true, true, false]);
  admission.leave("2001:db8::1");
  assert.equal(admission.enter("2001:db8::4"), true);
});

test("createAdmission() keeps a fifth for clients without a connection", () => {
  const admission = createAdmission({ maxConnections: 10, maxConnectionsPerAddress: 10 });
  for (let n = 0; n < 8; n++) assert.equal(admission.enter("192.0.2.1"), true);
  assert.deepEqual(["192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map(admission.enter), [
    false,
    true,
    false,
    true,
    false,
  ]);
  admission.limit({ maxConnections: 20, maxConnectionsPerAddress: 10 });
  assert.equal(admission.enter("192.0.2.4"), true);
});
