import assert from "node:assert/strict";
import { test } from "node:test";
import { type Crash, crashAt, kinds } from "./crashes.ts";
import { mutants } from "./mutants.ts";

const isLong = Boolean(process.env.POSTERN_LONG);
/** How many events after the first crash the second one may come. */
const deepest = isLong ? 200 : 6;
/** The short form has a second crash only where both leave as much, or as little, behind as they can. */
const extremes = kinds.filter(({ power, found, loses }) => (power && found && loses) || !(power || found));
const pairable = isLong ? kinds : extremes;

const describe = (crashes: readonly Crash[]): string =>
  crashes
    .map(
      ({ at, power, found, loses }) =>
        `${at}${power ? " power" : " kill"}${found ? " found" : ""}${loses ? " loses" : ""}`,
    )
    .join(", ");

async function check(crashes: readonly Crash[]): Promise<number> {
  const { violation, events } = await crashAt(crashes);
  if (violation === undefined) return events;
  await crashAt(crashes, { trace: (line) => console.log(line) });
  return assert.fail(`crashes at ${describe(crashes)}: ${violation}`);
}

test("a crash before any event leaves nothing lost or done twice, nor does another during the recovery", async (t) => {
  const eventsOfAll = await check([]);
  let runs = 1;
  let events = eventsOfAll;
  for (let at = 0; at < eventsOfAll; at++) {
    for (const kind of kinds) {
      const first = { at, ...kind };
      const length = await check([first]);
      events += length;
      runs++;
      if (!pairable.includes(kind)) continue;
      for (let again = at + 1; again < Math.min(length, at + deepest); again++) {
        for (const second of pairable) events += await check([first, { at: again, ...second }]);
        runs += pairable.length;
      }
    }
  }
  t.diagnostic(`${runs} runs, ${events} events`);
  assert.ok(eventsOfAll > 50);
});

for (const name of ["says stored before it is", "queues forwards after their result", "keeps no marks"]) {
  test(`crashes at every event find a queue that ${name}`, async () => {
    const mutant = mutants.find((each) => each.name === name)?.mutant ?? assert.fail();
    for (let at = 0; at < 100; at++) {
      for (const kind of kinds) {
        if ((await crashAt([{ at, ...kind }], { mutant })).violation !== undefined) return;
      }
    }
    assert.fail("not noticed");
  });
}
