/** A server whose clock can be set while it runs: programs read the time through libfaketime, from a file of ours. */
import { existsSync, globSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseQueueRow, type QueueRecipient } from "../../src/services/operator-client/queue-row.ts";
import { makeMaildir } from "../crash/crashes.ts";
import { type Fault, type Mutant, mutant } from "../support/mutant.ts";
import { mailboxOf, readMaildir, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import type { Stage } from "./stage.ts";

export interface ClockTree extends Mutant {
  /** Sets the clock of all programs so many seconds off the real one. */
  set(offSeconds: number): void;
}

const [library] = globSync("/usr/lib/*/faketime/libfaketimeMT.so.1");

/**
 * A copy of the compiled programs whose launcher hands the library on: the real one passes no environment, and stays
 * so. The steady clock is the real one, and so are the times of files.
 */
export function clockTree(...faults: readonly Fault[]): ClockTree {
  const environment = {
    LD_PRELOAD: library,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    NO_FAKE_STAT: "1",
  };
  // What programs may read is their own code: the file is beside it.
  const rest = `FAKETIME_TIMESTAMP_FILE: join(import.meta.dirname, "../../clock"), ...${JSON.stringify(environment)}`;
  const from = 'UV_USE_IO_URING: "0"';
  const made = mutant({ file: "services/launch/launch.js", from, to: `${from}, ${rest}` }, ...faults);
  const set = (offSeconds: number): void =>
    writeFileSync(join(made.tree, "dist/clock"), `${offSeconds < 0 ? "-" : "+"}${Math.abs(offSeconds)}\n`);
  set(0);
  return { ...made, set };
}

const hour = 3_600;
const year = 365 * 24 * hour;
const to = (seconds: number): number => seconds - Math.floor(Date.now() / 1_000);

/** Where the clock is set to, in seconds off the real one. */
export const steps: readonly { readonly name: string; readonly offSeconds: () => number }[] = [
  { name: "an hour back", offSeconds: () => -hour },
  { name: "an hour forward", offSeconds: () => hour },
  { name: "a year forward", offSeconds: () => year },
  { name: "ten years forward", offSeconds: () => 10 * year },
  { name: "ten years back", offSeconds: () => -10 * year },
  { name: "to the last second of 31 bits", offSeconds: () => to(2 ** 31 - 1) },
  { name: "to the second after it", offSeconds: () => to(2 ** 31 + 1) },
  { name: "to the beginning of 1970", offSeconds: () => to(5) },
];

/**
 * Sets the clock while a message waits to be tried again, a delivery runs and a client is in the middle of a session,
 * and back again when all has been looked at. Returns what is wrong, one line each.
 */
export async function stepClock(stage: Stage, clock: ClockTree, offSeconds: number): Promise<string[]> {
  const wrong: string[] = [];
  const expect = (claim: boolean, text: string): void => void (claim || wrong.push(text));
  const { server } = stage;
  const bounces = (): number => readMaildir(mailboxOf(server, "load")).length;
  const bouncesBefore = bounces();
  stage.sink = "busy";
  await stage.send("remote");
  const recipient = `n${stage.last}@sink.test`;
  await until("a first attempt", async () => (await waiting(stage, recipient))?.attempts === 1);
  const running = await startSlowDelivery(stage);
  const session = await SmtpClient.open(server.smtpPort);
  await session.command("EHLO client.test");

  clock.set(offSeconds);
  const nowSeconds = (): number => Date.now() / 1_000 + offSeconds;
  const replies = await session.message("a@b.test", ["session@localhost"], "Subject: over a step\n\nbody\n");
  session.close();
  expect(replies.startsWith("250"), `the open session: ${replies}`);
  const fresh = await stage.send("Maildir");
  expect(fresh.startsWith("250"), `a new message: ${fresh}`);
  await until("new mail to be delivered", stage.hasArrived, 20_000).catch(() =>
    wrong.push("new mail is not delivered"),
  );
  running.end();
  await server.postern(["queue", "retry"]);
  await until("a second attempt, or a bounce", async () => {
    const row = await waiting(stage, recipient);
    return row === undefined || row.attempts > 1;
  });
  const row = await waiting(stage, recipient);
  expect(row !== undefined, "the waiting message was given up");
  const inSeconds = (row?.nextAttemptMs ?? 0) / 1_000 - nowSeconds();
  const ageSeconds = Math.max(0, offSeconds) + hour;
  expect(row === undefined || inSeconds > 60, `tried again in ${inSeconds} s`);
  expect(inSeconds <= mostSeconds(ageSeconds), `tried again in ${inSeconds} s only`);
  expect(bounces() === bouncesBefore, "something bounced");
  // Its first attempt, ours, and one more when the step made it due.
  expect(stage.attempts(recipient) <= 3, `${stage.attempts(recipient)} attempts`);

  clock.set(0);
  stage.sink = "well";
  await server.postern(["queue", "retry"]);
  await until("a retry that was asked for", async () => (await waiting(stage, recipient)) === undefined, 40_000);
  wrong.push(...(await stage.count()));
  expect(running.copies() === 1, `${running.copies()} copies of what was being delivered`);
  return wrong;
}

/** What qmail's rule, (sqrt(age) + 20) squared, waits at most at that age. */
const mostSeconds = (ageSeconds: number): number => 40 * Math.sqrt(ageSeconds) + 400;

async function waiting(stage: Stage, recipient: string): Promise<QueueRecipient | undefined> {
  const { stdout } = await stage.server.postern(["queue", "list", "--recipient", recipient, "--json"]);
  const rows = stdout.split("\n").filter(Boolean);
  return rows.flatMap((row) => parseQueueRow(JSON.parse(row)).recipients)[0];
}

/** A delivery whose program waits for a file of ours, then a Maildir. */
async function startSlowDelivery(stage: Stage): Promise<{ end(): void; copies(): number }> {
  const name = `slow${stage.last}`;
  const home = join(stage.server.root, "mail/localhost", name);
  makeMaildir(join(home, "Maildir"));
  writeFileSync(join(home, ".qmail"), "|touch began; until test -e go; do sleep 0.05; done\n./Maildir/\n");
  const client = await SmtpClient.open(stage.server.smtpPort);
  await client.message("a@b.test", [`${name}@localhost`], "Subject: slow\n\nbody\n");
  client.close();
  await until("the slow delivery to begin", () => existsSync(join(home, "began")));
  return {
    end: () => writeFileSync(join(home, "go"), ""),
    copies: () => readMaildir(mailboxOf(stage.server, name)).length,
  };
}
