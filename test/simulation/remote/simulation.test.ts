import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate } from "./simulate.ts";

/** Seed, steps, and what was wrong: with `remote`, or with a judge that went by what a peer meant by its replies. */
const found = [
  [20, 12, "went on with a peer that had answered what it was yet to be asked"],
  [11, 12, "sent mail in clear after 354 to STARTTLS"],
  [127, 12, "sent mail in clear after 250 to STARTTLS"],
  [63, 12, "was blamed for giving up on a refusal meant for another recipient"],
  [134, 12, "was blamed for the same"],
  [67, 12, "was blamed for going on in clear after a refusal of STARTTLS"],
  [93, 12, "was blamed for the same"],
  [104, 12, "was blamed for the same"],
  [153, 12, "was blamed for believing a success"],
  [186, 12, "was blamed for waiting for a reply it had"],
  [365, 12, "was blamed for sending the message after 354"],
] as const;

const runs = process.env.POSTERN_LONG === "1" ? 5_000 : 20;

test("remote answers as the peers do, says nothing it should not, and waits no longer than it may", async (t) => {
  const total = { deliveries: 0, simulatedMs: 0 };
  for (let seed = 1; seed <= runs; seed++) {
    const { violation, deliveries, simulatedMs } = await simulate(seed, { steps: 20, without: new Set() });
    assert.equal(violation, undefined, `node test/simulation/remote/run.ts --seed ${seed}`);
    total.deliveries += deliveries;
    total.simulatedMs += simulatedMs;
  }
  t.diagnostic(JSON.stringify(total));
  assert.ok(total.deliveries > runs);
});

for (const [seed, steps, what] of found) {
  test(`remote is right in run ${seed}, where it once ${what}`, async () => {
    const { violation } = await simulate(seed, { steps, without: new Set() });
    assert.equal(violation, undefined);
  });
}

test("simulate() does the same again for the same seed", async () => {
  const stories: string[][] = [[], []];
  for (const story of stories) {
    await simulate(2, { steps: 10, without: new Set(), trace: (line) => void story.push(line) });
  }
  assert.ok((stories[0]?.length ?? 0) > 50);
  assert.deepEqual(stories[0], stories[1]);
});
