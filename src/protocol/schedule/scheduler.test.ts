import assert from "node:assert/strict";
import { test } from "node:test";
import { type Command, type Delivery, type Job, Scheduler, windowRecipients } from "./scheduler.ts";

const limits = { local: 10, remote: 10, destination: 2, transactionRecipients: 3 };
let lastMessage = 0;

function jobs(
  destinations: readonly string[],
  options: Partial<Pick<Job, "shares" | "message" | "priority">> = {},
): Job[] {
  const message = options.message ?? ++lastMessage;
  return destinations.map((destination, number) => ({
    message,
    number,
    forwardPath: `${number}@${destination}`,
    channel: "remote",
    destination,
    arrivedMs: 0,
    attempts: 0,
    shares: options.shares ?? "always",
    priority: options.priority ?? 0,
    askedOctets: 0,
  }));
}
const separate = (destination: string, count: number): Job[] =>
  Array.from({ length: count }, () => jobs([destination])).flat();

function scheduler(changed: Partial<typeof limits> = {}): Scheduler {
  const made = new Scheduler({ ...limits, ...changed });
  made.step({ kind: "peer", channel: "remote", present: true }, 0);
  return made;
}
const starts = (commands: readonly Command[]): Delivery[] =>
  commands.flatMap((command) => (command.kind === "start" ? [command.delivery] : []));
const destinations = (commands: readonly Command[]): string[] => starts(commands).map(({ destination }) => destination);
const ended = (delivery: Delivery, reached = 1, back: readonly Job[] = []) =>
  ({ kind: "ended", delivery, reached, back }) as const;
function first(commands: readonly Command[]): Delivery {
  const [delivery] = starts(commands);
  assert.ok(delivery);
  return delivery;
}

test("Scheduler keeps to the limit of a destination, and starts the next when one ends", () => {
  const s = scheduler();
  const begun = s.step({ kind: "claimed", jobs: separate("a", 5) }, 0);
  assert.equal(starts(begun).length, 2);
  assert.equal(starts(s.step(ended(first(begun)), 1)).length, 1);
  assert.equal(s.running("remote"), 2);
});

test("§17.35 Scheduler keeps to the limit of a channel", () => {
  const s = scheduler({ remote: 3 });
  const begun = s.step({ kind: "claimed", jobs: ["a", "b", "c", "d"].flatMap((name) => separate(name, 1)) }, 0);
  assert.deepEqual(destinations(begun), ["a", "b", "c"]);
  assert.deepEqual(destinations(s.step({ kind: "limits", limits: { ...limits, remote: 4 } }, 0)), ["d"]);
});

test("§17.35 Scheduler holds a channel whose limit is 0, without a peer, paused, or exiting", () => {
  const s = new Scheduler({ ...limits, remote: 0 });
  assert.deepEqual(s.step({ kind: "claimed", jobs: jobs(["a"]) }, 0), []);
  assert.deepEqual(s.step({ kind: "limits", limits }, 0), []);
  s.step({ kind: "pause", paused: true }, 0);
  assert.deepEqual(s.step({ kind: "peer", channel: "remote", present: true }, 0), []);
  assert.equal(starts(s.step({ kind: "pause", paused: false }, 0)).length, 1);
  s.step({ kind: "exit" }, 0);
  assert.deepEqual(s.step({ kind: "claimed", jobs: jobs(["b"]) }, 0), []);
});

test("Scheduler takes destinations in turn", () => {
  const s = scheduler({ remote: 1 });
  let commands = s.step({ kind: "claimed", jobs: [...separate("a", 3), ...separate("b", 2), ...separate("c", 1)] }, 0);
  const order: string[] = [];
  for (let n = 0; n < 6; n++) {
    order.push(...destinations(commands));
    commands = s.step(ended(first(commands)), n);
  }
  assert.deepEqual(order, ["a", "b", "c", "a", "b", "a"]);
  assert.equal(s.room("remote"), windowRecipients);
});

test("Scheduler groups recipients of one message, up to the limit, and none that are to be alone", () => {
  const s = scheduler({ destination: 9 });
  const grouped = s.step({ kind: "claimed", jobs: [...jobs(["a", "a", "a", "a", "b"]), ...jobs(["a"])] }, 0);
  assert.deepEqual(
    starts(grouped).map(({ jobs }) => jobs.map(({ number }) => number)),
    [[0, 1, 2], [4], [3], [0]],
  );
  const alone = s.step({ kind: "claimed", jobs: jobs(["c", "c"], { shares: "never" }) }, 0);
  assert.deepEqual(
    starts(alone).map(({ jobs }) => jobs.length),
    [1, 1],
  );
});

test("Scheduler groups recipients with VERP once the destination is known to expand it, and as long as it does", () => {
  const s = scheduler({ destination: 1, transactionRecipients: 2 });
  let [running] = starts(s.step({ kind: "claimed", jobs: jobs(["a", "a", "a", "a", "a"], { shares: "XVERP" }) }, 0));
  const counts: (number | undefined)[] = [];
  for (const expandsVerp of [true, true, false]) {
    counts.push(running?.jobs.length);
    assert.ok(running);
    [running] = starts(s.step({ kind: "ended", delivery: running, reached: 1, back: [], expandsVerp }, 0));
  }
  assert.deepEqual([...counts, running?.jobs.length], [1, 2, 2, undefined]);
  const [first] = starts(s.step({ kind: "claimed", jobs: jobs(["b", "b"], { shares: "never" }) }, 0));
  assert.ok(first);
  const [next] = starts(s.step({ kind: "ended", delivery: first, reached: 1, back: [], expandsVerp: true }, 0));
  assert.equal(next?.jobs.length, 1);
});

test("Scheduler gives a destination no more recipients at once than it took", () => {
  const s = scheduler({ destination: 1, transactionRecipients: 5 });
  const [running] = starts(s.step({ kind: "claimed", jobs: jobs(["a", "a", "a", "a", "a"]) }, 0));
  assert.ok(running);
  const back = running.jobs.slice(2);
  const [next] = starts(s.step({ kind: "ended", delivery: running, reached: 1, back, tookOnly: 2 }, 0));
  assert.ok(next);
  const [last] = starts(s.step({ kind: "ended", delivery: next, reached: 1, back: [] }, 0));
  assert.deepEqual(
    [running, next, last].map((delivery) => delivery?.jobs.map(({ number }) => number)),
    [[0, 1, 2, 3, 4], [2, 3], [4]],
  );
});

test("Scheduler leaves a destination out of reach alone, longer each time, and probes it with one delivery", () => {
  const s = scheduler();
  let now = 0;
  for (const blockedS of [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]) {
    const begun = s.step({ kind: "claimed", jobs: separate("a", 3) }, now);
    assert.equal(starts(begun).length, now === 0 ? 2 : 1);
    const after = s.step(ended(first(begun), 2), now);
    assert.deepEqual(
      after.filter(({ kind }) => kind === "block"),
      [{ kind: "block", channel: "remote", destination: "a", untilMs: now + blockedS * 1_000 }],
    );
    const unclaimed = after.filter(({ kind }) => kind === "unclaim").length;
    assert.equal(unclaimed, now === 0 ? 1 : 2);
    assert.deepEqual(starts(after), []);
    const [, other] = starts(begun);
    // Started before we knew: its failure tells nothing new.
    if (other) assert.deepEqual(s.step(ended(other, 2), now), []);
    assert.equal(s.accepts("remote", "a", 0, now), false);
    assert.equal(s.accepts("remote", "b", 0, now), true);
    now += blockedS * 1_000;
  }
});

test("Scheduler opens a destination with the first success, or when the operator says so", () => {
  const s = scheduler();
  s.step(ended(first(s.step({ kind: "claimed", jobs: separate("a", 1) }, 0)), 2), 0);
  const probe = s.step({ kind: "claimed", jobs: separate("a", 3) }, 60_000);
  assert.equal(starts(probe).length, 1);
  const opened = s.step(ended(first(probe), 1), 60_001);
  assert.deepEqual(opened[0], { kind: "open", channel: "remote", destination: "a" });
  assert.equal(starts(opened).length, 2);
  const [one] = starts(opened);
  assert.ok(one);
  s.step(ended(one, 2), 60_002);
  assert.equal(s.accepts("remote", "a", 0, 60_003), false);
  s.step({ kind: "open", channel: "remote", destination: "a" }, 60_003);
  assert.equal(s.accepts("remote", "a", 0, 60_003), true);
});

test("Scheduler takes an answer for news as of when it came, though its delivery ends after a later failure", () => {
  const s = scheduler();
  const [answered, failed] = starts(s.step({ kind: "claimed", jobs: separate("a", 2) }, 0));
  assert.ok(answered && failed);
  assert.deepEqual(s.step({ kind: "heard", delivery: answered, reached: 1 }, 1), []);
  const block = { kind: "block", channel: "remote", destination: "a", untilMs: 60_002 } as const;
  assert.deepEqual(s.step(ended(failed, 2), 2), [block]);
  assert.deepEqual(s.step(ended(answered, 0), 3), []);
  assert.deepEqual(starts(s.step({ kind: "claimed", jobs: separate("a", 1) }, 60_001)), []);
  assert.equal(s.running("remote"), 0);
});

/** All of these could not be reached, and have been left alone long enough. */
function troubled(made: Scheduler, names: readonly string[]): void {
  for (const name of names) made.step(ended(first(made.step({ kind: "claimed", jobs: jobs([name]) }, 0)), 2), 0);
}

test("Scheduler leaves half of the places to destinations that are not in trouble", () => {
  const s = scheduler({ remote: 4 });
  const names = ["a", "b", "c", "d"];
  troubled(s, names);
  const trials = s.step({ kind: "claimed", jobs: names.flatMap((name) => separate(name, 2)) }, 60_000);
  assert.deepEqual(destinations(trials), ["a", "b"]);
  const well = s.step({ kind: "claimed", jobs: separate("well", 3) }, 60_001);
  assert.deepEqual(destinations(well), ["well", "well"]);
  assert.deepEqual(destinations(s.step(ended(first(trials), 2), 60_002)), ["c"]);
  assert.deepEqual(destinations(s.step(ended(first(well), 1), 60_003)), ["well"]);
});

test("Scheduler lets destinations in trouble have every other turn, however much there is for others", () => {
  const s = scheduler({ remote: 1, destination: 1 });
  troubled(s, ["a", "b"]);
  const busy = ["v", "w", "x"].flatMap((name) => separate(name, 2));
  let commands = s.step({ kind: "claimed", jobs: [...busy, ...jobs(["a", "b"])] }, 60_000);
  const order: string[] = [];
  for (let n = 0; n < 5; n++) {
    order.push(...destinations(commands));
    commands = s.step(ended(first(commands), order.at(-1) === "a" || order.at(-1) === "b" ? 2 : 1), 60_000 + n);
  }
  assert.deepEqual(order, ["a", "v", "b", "w", "x"]);
});

test("Scheduler gives a destination that answers its place among the others at once", () => {
  const s = scheduler({ remote: 2, destination: 2 });
  troubled(s, ["a", "b"]);
  const trials = s.step({ kind: "claimed", jobs: [...separate("a", 3), ...separate("b", 3)] }, 60_000);
  assert.deepEqual(destinations(trials), ["a"]);
  assert.deepEqual(destinations(s.step(ended(first(trials), 1), 60_001)), ["a", "b"]);
});

test("Scheduler gives back what is claimed for a blocked destination", () => {
  const s = scheduler();
  s.step(ended(first(s.step({ kind: "claimed", jobs: separate("a", 1) }, 0)), 2), 0);
  const [job] = jobs(["a"]);
  assert.ok(job);
  assert.deepEqual(s.step({ kind: "claimed", jobs: [job] }, 1), [{ kind: "unclaim", job }]);
  assert.equal(s.room("remote"), windowRecipients);
});

test("Scheduler starts again first what was broken off", () => {
  const s = scheduler({ remote: 1 });
  const begun = s.step({ kind: "claimed", jobs: [...jobs(["a"]), ...jobs(["a"])] }, 0);
  const delivery = first(begun);
  s.step({ kind: "peer", channel: "remote", present: false }, 1);
  assert.deepEqual(s.step(ended(delivery, 0, delivery.jobs), 1), []);
  const again = s.step({ kind: "peer", channel: "remote", present: true }, 2);
  assert.deepEqual(first(again).jobs, delivery.jobs);
});

const prioritised = (destination: string, count: number, priority: number): Job[] =>
  Array.from({ length: count }, () => jobs([destination], { priority })).flat();

/** The priorities of what starts, one delivery after the other, until nothing does. */
function order(s: Scheduler, waiting: readonly Job[]): string {
  const priorities: number[] = [];
  let [running] = starts(s.step({ kind: "claimed", jobs: waiting }, 0));
  while (running) {
    priorities.push(running.jobs[0]?.priority ?? 0);
    [running] = starts(s.step(ended(running), 1));
  }
  return priorities.join("");
}

test("Scheduler delivers the important first at one destination, those alike as they came", () => {
  const waiting = [0, 0, -3, 5, 0, 5, 9, -3, 1].flatMap((priority) => prioritised("a", 1, priority));
  assert.equal(order(scheduler({ remote: 1 }), waiting), "9551000-3-3");
});

test("Scheduler lets a hundred go first, not more", () => {
  const s = scheduler({ remote: 1 });
  const waiting = [...prioritised("a", 1, 0), ...prioritised("a", 1, -9), ...prioritised("a", 150, 9)];
  assert.equal(order(s, waiting), `${"9".repeat(100)}0-9${"9".repeat(50)}`);
});

test("Scheduler serves destinations with urgent mail first, three times of four", () => {
  const s = scheduler({ remote: 1 });
  const plain = Array.from({ length: 9 }, (_, at) => prioritised(`plain${at}`, 1, 0)).flat();
  const urgent = Array.from({ length: 8 }, (_, at) => prioritised(`urgent${at}`, 1, 4)).flat();
  assert.equal(order(s, [...plain, ...urgent]), "44404440440000000");
});

test("Scheduler gives a destination one turn, however often urgent mail for it came in between", () => {
  const s = scheduler({ remote: 1 });
  let [running] = starts(s.step({ kind: "claimed", jobs: ["a", "b"].flatMap((name) => separate(name, 20)) }, 0));
  const next = (): string => {
    assert.ok(running);
    [running] = starts(s.step(ended(running), 1));
    return running?.destination ?? "";
  };
  for (let step = 0; step < 12; step++) {
    if (step % 2 === 0) s.step({ kind: "claimed", jobs: prioritised("a", 1, 9) }, 0);
    next();
  }
  const turns = Array.from({ length: 10 }, next).join("");
  assert.match(turns, /^(ab){5}$|^(ba){5}$/);
});

test("Scheduler forgets what is dropped", () => {
  const s = scheduler({ remote: 1, destination: 1 });
  const [one, two, three] = [jobs(["a"]), jobs(["a", "b"]), jobs(["a"])];
  const begun = s.step({ kind: "claimed", jobs: [...one, ...two, ...three] }, 0);
  s.step({ kind: "drop", jobs: two }, 0);
  assert.equal(s.room("remote"), windowRecipients - 2);
  assert.deepEqual(first(s.step(ended(first(begun)), 1)).jobs, three);
});

test("Scheduler lets new mail have most of the window, and no destination all of it", () => {
  const s = new Scheduler(limits);
  s.step({ kind: "claimed", jobs: separate("big", windowRecipients / 2) }, 0);
  assert.equal(s.accepts("remote", "big", 0, 0), false);
  assert.deepEqual(s.full("remote"), ["big"]);
  assert.equal(s.accepts("remote", "small", 0, 0), true);
  assert.equal(s.accepts("remote", "small", windowRecipients * 0.3, 0), false);
  assert.equal(s.accepts("local", "small", 0, 0), true);
});

test("Scheduler forgets destinations it has nothing to do with, down to the last", () => {
  const s = scheduler({ remote: 100, destination: 1 });
  const begun = s.step({ kind: "claimed", jobs: Array.from({ length: 50 }, (_, at) => jobs([`d${at}`])).flat() }, 0);
  for (const delivery of starts(begun)) s.step(ended(delivery), 1);
  assert.equal(s.running("remote"), 0);
  assert.equal(s.room("remote"), windowRecipients);
});

test("Scheduler does not leave a destination alone for longer because the clock went back", () => {
  const made = scheduler();
  const delivery = first(made.step({ kind: "claimed", jobs: jobs(["a.org"]) }, 1_000_000));
  made.step(ended(delivery, 2), 1_000_000);
  made.step({ kind: "clamp", latestMs: 500 }, 100);
  assert.equal(made.accepts("remote", "a.org", 0, 499), false);
  assert.equal(made.accepts("remote", "a.org", 0, 500), true);
});
