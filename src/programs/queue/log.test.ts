import assert from "node:assert/strict";
import { test } from "node:test";
import { renderClassic } from "../../protocol/event/classic.ts";
import type { Event } from "../../protocol/event/event.ts";
import { LogReport } from "../../protocol/log-report/report.ts";
import { MemoryStorage } from "../../services/storage/memory.ts";
import { Deliverer, delivers, type Fate, settingsOf, startQueue } from "./queue.testing.ts";

const fateOf = (forwardPath: string): Fate => {
  if (forwardPath.startsWith("no@")) return { letter: "D", status: "1.1", text: "no\n" };
  return forwardPath.startsWith("later@") ? { letter: "Z", text: "busy\n", reached: 1 } : delivers();
};
const recipients = ["a@here.example", "no@here.example", "later@here.example", "b@far.example", "no@far.example"];

async function runToEnd(reversePath: string): Promise<readonly Event[]> {
  const storage = new MemoryStorage();
  const settings = settingsOf({ locals: "here.example", queuelifetime: "0", bounceformat: "qsbmf" });
  const { clock, queue, events, smtpd } = startQueue(storage, settings);
  new Deliverer(queue, "local", fateOf);
  new Deliverer(queue, "remote", fateOf);
  smtpd.submit("Subject: x\n\nbody\n", recipients, reversePath);
  await clock.settle();
  await clock.advance(600_000);
  await queue.stop();
  return events;
}
const lines = (events: readonly Event[]): readonly string[] =>
  events.map((event) => renderClassic({ timeMs: 0, program: "queue", ...event }));

test("§17.228 a status line follows every start and end of a delivery, and the start of the queue", async () => {
  const events = await runToEnd("s@here.example");
  assert.equal(events[0]?.event, "status");
  let changes = 0;
  for (const [at, { event }] of events.entries()) {
    if (event !== "starting" && event !== "delivery") continue;
    changes++;
    const next = events.slice(at + 1).find((later) => !["bounce", "end", "new", "info"].includes(later.event));
    assert.ok(next && ["status", event].includes(next.event), `after ${event} came ${next?.event}`);
  }
  assert.ok(changes >= 12);
});

test("§17.230 delivery numbers start at 1 and are never used twice, whatever the channel", async () => {
  const events = await runToEnd("s@here.example");
  const numbers = events.flatMap((event) => (event.event === "starting" ? [event.delivery] : []));
  assert.deepEqual(
    numbers,
    numbers.map((_, at) => at + 1),
  );
});

test("§17.225 §17.231 `info msg` has the whole size as it is stored, and the sender before VERP", async () => {
  const [info] = lines(await runToEnd("list-@far.example-@[]")).filter((line) => line.startsWith("info msg 1:"));
  assert.match(info ?? "", /^info msg 1: bytes 17 from <list-@far.example-@\[\]> qp 1 uid [0-9]+$/);
});

test("§17.26 §17.232 `bounce msg` comes before `end msg`, and the bounce is a new message from <>", async () => {
  const all = lines(await runToEnd("s@here.example"));
  const bounce = all.indexOf("bounce msg 1 qp 2");
  assert.ok(bounce >= 0 && bounce < all.indexOf("end msg 1"));
  assert.ok(all.some((line) => /^info msg 2: bytes [0-9]+ from <> qp 2 /.test(line)));
  assert.equal(all.at(-1)?.startsWith("status: "), true);
});

test("§17.233 no line of the queue's log is unmatched", async () => {
  const report = new LogReport();
  for (const line of lines(await runToEnd("s@here.example"))) report.take(`1000000 ${line}`);
  assert.deepEqual([report.unread, report.unmatched, report.openMessages, report.openDeliveries], [0, 0, 0, 0]);
  assert.equal(report.bounces, 1);
});

test("§17.33 a lifetime of 0 still gives a message an attempt, and the next one is the last", async () => {
  const all = lines(await runToEnd("s@here.example"));
  const busy = all.filter((line) => line.includes(": busy/"));
  assert.equal(busy.filter((line) => line.includes("not_going_to_try_again")).length, 1);
  assert.ok(busy.length <= 2);
});
