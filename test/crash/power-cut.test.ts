import assert from "node:assert/strict";
import { test } from "node:test";
import { unlessLong, unlessRoot, without } from "../support/missing.ts";
import { type Fault, mutant } from "../support/mutant.ts";
import { summary } from "./crashes.ts";
import { cutPowerUnderLoad } from "./power-cut.ts";

for (const [fileSystem, maker] of [
  ["ext4", "mkfs.ext4"],
  ["xfs", "mkfs.xfs"],
] as const) {
  test(`power cuts under load on ${fileSystem}: all there, nothing twice, nothing torn`, {
    skip: unlessRoot() || without(maker) || (fileSystem === "xfs" && unlessLong()),
  }, async (t) => {
    const seed = Date.now() % 1_000_000;
    const result = await cutPowerUnderLoad({ fileSystem, cuts: 3, messages: 1_200, seed });
    t.diagnostic(`--seed ${seed}: ${summary(result)}`);
    assert.deepEqual(result.wrong, []);
    assert.ok(result.acknowledged > 600, "most of the load went through");
  });
}

const mostLoads = 6;

/** What must be noticed, or the tests above prove nothing. */
const faults: readonly (Fault & { readonly name: string; readonly exits: readonly string[] })[] = [
  {
    name: "local does not flush what was delivered",
    exits: ["Maildir", "forward"],
    file: "services/kernel/flush.js",
    from: "libc().syncfs(fd) < 0",
    to: "false",
  },
  {
    name: "queue answers before its commit is on disk",
    exits: ["Maildir", "remote"],
    file: "services/storage/sqlite.js",
    from: 'durable ? "FULL" : "NORMAL"',
    to: '"OFF"',
  },
];

for (const { name, exits, ...fault } of faults) {
  test(`a mutant is caught: ${name}`, { skip: unlessRoot() || without("mkfs.ext4") }, async (t) => {
    using broken = mutant(fault);
    let lost = 0;
    // Whether one cut falls where the fault shows is chance; that none of so many does is not.
    for (let load = 0; lost === 0 && load < mostLoads; load++) {
      const seed = (Date.now() % 1_000_000) + load;
      const plan = { fileSystem: "ext4", cuts: 3, messages: 800, seed, exits, tree: broken.tree } as const;
      const result = await cutPowerUnderLoad(plan);
      t.diagnostic(summary(result));
      lost = result.lost;
    }
    assert.ok(lost > 0, "it lost nothing: these power cuts prove nothing");
  });
}
