import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../../protocol/outcome.ts";
import type { Options } from "../../protocol/wire/submission.ts";
import type { Change, ClaimedRecipient, Dsn, NewRecipient, Storage, Wanted } from "./storage.ts";

/** How the suite makes a store, and what a crash followed by a start makes of it. */
export interface StorageUnderTest {
  open(): Promise<Storage>;
  crash(storage: Storage): Promise<Storage>;
}

export function value<Value>(outcome: Outcome<Value>): Value {
  assert.equal(outcome.kind, "done");
  return (outcome as Outcome<Value> & { kind: "done" }).value;
}

export const at = 1_000_000;

/** A message to one recipient for each destination given, with a body of its own unless told otherwise. */
export function messageTo(
  id: number,
  destinations: readonly string[],
  options: { claimed?: boolean; body?: number; arrivedMs?: number; asked?: Options; dsn?: Dsn } = {},
): Change & { kind: "message" } {
  const octets = Buffer.from(`body of ${id}\n`);
  const body = options.body ?? id;
  const recipients: NewRecipient[] = destinations.map((destination, number) => ({
    number,
    forwardPath: `user${number}@${destination}`,
    channel: "remote",
    destination,
    claimed: options.claimed ?? false,
    ...(options.dsn && { dsn: options.dsn }),
  }));
  return {
    kind: "message",
    message: {
      id,
      arrivedMs: options.arrivedMs ?? at,
      reversePath: "sender\xff@example.org",
      bodyKind: 1,
      uid: 7,
      prefix: Buffer.from("P"),
      body,
      bodyOctets: octets.length,
      suffix: Buffer.from("S"),
      ...(options.asked && { options: options.asked }),
    },
    recipients,
    ...(body === id && { chunk: { number: 0, octets } }),
  };
}

const claimAll = async (storage: Storage, nowMs: number, limit = 100, perDestination = 100, skip: string[] = []) =>
  value(await storage.claim({ channel: "remote", nowMs, limit, perDestination, skip }));
const names = (claimed: readonly ClaimedRecipient[]) => claimed.map(({ message, number }) => `${message}/${number}`);

/** What every store must do. */
export function testStorage(name: string, { open, crash }: StorageUnderTest): void {
  const check = (criterion: string, work: (storage: Storage) => Promise<void>): void => {
    test(`${name} ${criterion}`, async () => {
      const storage = await open();
      await work(storage);
      await storage.close();
    });
  };

  check("gives back a message as it was put in, also after a crash", async (before) => {
    value(await before.apply([messageTo(before.nextId(), ["a.org", "b.org"], { claimed: true })]));
    const storage = await crash(before);
    const message = value(await storage.message(1));
    assert.equal(message?.reversePath, "sender\xff@example.org");
    assert.deepEqual([message?.arrivedMs, message?.bodyKind, message?.uid, message?.remaining], [at, 1, 7, 2]);
    assert.equal(Buffer.from(message?.prefix ?? []).toString(), "P");
    assert.equal(Buffer.from(value(await storage.chunk(1, 0)) ?? []).toString(), "body of 1\n");
    assert.deepEqual(value(await storage.counts()), { messages: 1, recipients: 2, held: 0 });
    await storage.close();
  });

  check("never gives an id twice, also after a crash", async (before) => {
    const first = before.nextId();
    value(await before.apply([messageTo(first, ["a.org"])]));
    const storage = await crash(before);
    assert.ok(storage.nextId() > first);
    await storage.close();
  });

  check("claims what is due, once, until it is deferred or a crash comes", async (before) => {
    value(await before.apply([messageTo(1, ["a.org", "b.org"])]));
    assert.deepEqual(names(await claimAll(before, at - 1)), []);
    assert.deepEqual(names(await claimAll(before, at)), ["1/0", "1/1"]);
    assert.deepEqual(names(await claimAll(before, at)), []);
    assert.equal(value(await before.nextDueMs("remote")), undefined);
    const later = at + 400_000;
    const deferred = { kind: "deferred", message: 1, number: 0, attempts: 1, nextAttemptMs: later } as const;
    value(await before.apply([{ ...deferred, lastReply: "later" }]));
    assert.equal(value(await before.nextDueMs("remote")), later);
    const storage = await crash(before);
    const [claimed] = await claimAll(storage, later - 1);
    assert.deepEqual([claimed?.number, claimed?.attempts], [1, 0]);
    const [again] = await claimAll(storage, later);
    assert.deepEqual([again?.number, again?.attempts, again?.arrivedMs], [0, 1, at]);
    await storage.close();
  });

  check("claims from every destination in turn", async (storage) => {
    value(await storage.apply([messageTo(1, ["big.org", "big.org", "big.org", "big.org"])]));
    value(await storage.apply([messageTo(2, ["small.org"], { arrivedMs: at + 1 })]));
    assert.deepEqual(names(await claimAll(storage, at + 5, 3, 2)).sort(), ["1/0", "1/1", "2/0"]);
    assert.deepEqual(names(await claimAll(storage, at + 5, 3, 2)), ["1/2", "1/3"]);
  });

  check("leaves a skipped destination alone for a while", async (storage) => {
    value(await storage.apply([messageTo(1, ["a.org", "b.org"])]));
    assert.deepEqual(names(await claimAll(storage, at, 9, 9, ["a.org"])), ["1/1"]);
    assert.deepEqual(names(await claimAll(storage, at + 1_000)), ["1/0"]);
  });

  check("claims nothing of a blocked destination, but what is overdue", async (storage) => {
    const block = { kind: "block", channel: "remote", destination: "a.org", untilMs: at + 60_000 } as const;
    value(await storage.apply([messageTo(1, ["a.org"]), block, messageTo(2, ["a.org"], { arrivedMs: at + 10 })]));
    assert.deepEqual(names(await claimAll(storage, at + 59_999)), []);
    assert.equal(value(await storage.nextDueMs("remote")), at + 60_000);
    const overdue = { channel: "remote", destination: "a.org", nowMs: at + 20, limit: 9 } as const;
    assert.deepEqual(names(value(await storage.claimOverdue({ ...overdue, arrivedBeforeMs: at + 10 }))), ["1/0"]);
    assert.deepEqual(names(await claimAll(storage, at + 60_000)), ["2/0"]);
  });

  check("tells which destinations are blocked", async (storage) => {
    const block = (destination: string, untilMs: number): Change => ({
      ...{ kind: "block", channel: "remote" },
      ...{ destination, untilMs },
    });
    value(
      await storage.apply([
        messageTo(1, ["a.org", "b.org", "c.org"]),
        ...[block("a.org", at + 60_000), block("b.org", at + 90_000), block("c.org", at + 10)],
      ]),
    );
    value(await storage.apply([{ kind: "open", channel: "remote", destination: "a.org", nowMs: at }]));
    const b = { channel: "remote", destination: "b.org", untilMs: at + 90_000 };
    const c = { channel: "remote", destination: "c.org", untilMs: at + 10 };
    assert.deepEqual(value(await storage.blocked(at, 9)), [b, c]);
    assert.deepEqual(value(await storage.blocked(at, 1)), [b]);
    assert.deepEqual(value(await storage.blocked(at + 10, 9)), [b]);
  });

  check("opens a blocked destination", async (storage) => {
    const destination = { channel: "remote", destination: "a.org" } as const;
    value(await storage.apply([messageTo(1, ["a.org"]), { kind: "block", ...destination, untilMs: at + 60_000 }]));
    value(await storage.apply([{ kind: "open", ...destination, nowMs: at + 5 }]));
    assert.deepEqual(names(await claimAll(storage, at + 5)), ["1/0"]);
  });

  check("blocks a destination before anything waits for it", async (storage) => {
    const destination = { channel: "remote", destination: "a.org" } as const;
    value(await storage.apply([messageTo(1, ["a.org"], { claimed: true })]));
    value(await storage.apply([{ kind: "block", ...destination, untilMs: at + 60_000 }]));
    value(await storage.apply([{ kind: "unclaim", message: 1, number: 0 }]));
    assert.deepEqual(names(await claimAll(storage, at + 50_000)), []);
    assert.deepEqual(names(await claimAll(storage, at + 60_000)), ["1/0"]);
  });

  check("counts down, keeps failures in order, and ends", async (storage) => {
    value(await storage.apply([messageTo(1, ["a.org", "b.org", "c.org"], { claimed: true })]));
    const failed = (number: number): Change => {
      return { kind: "failed", message: 1, number, forwardPath: `${number}@x`, status: "1.1", text: `no ${number}` };
    };
    value(await storage.apply([failed(2), failed(0), failed(0), { kind: "delivered", message: 1, number: 1 }]));
    assert.equal(value(await storage.message(1))?.remaining, 0);
    assert.equal(value(await storage.message(1))?.failed, true);
    const failures = value(await storage.failures(1, 0, 9));
    assert.deepEqual(
      failures.map(({ number, text }) => [number, text]),
      [
        [2, "no 2"],
        [0, "no 0"],
      ],
    );
    assert.equal(value(await storage.failures(1, failures[0]?.sequence ?? 0, 9)).length, 1);
    value(await storage.apply([{ kind: "end", message: 1 }]));
    assert.equal(value(await storage.message(1)), undefined);
    assert.equal(value(await storage.chunk(1, 0)), undefined);
    assert.deepEqual(value(await storage.failures(1, 0, 9)), []);
  });

  check("keeps a shared body until its last message ends, whichever that is", async (storage) => {
    value(await storage.apply([messageTo(1, ["a.org"]), messageTo(2, ["a.org"], { body: 1 })]));
    value(await storage.apply([messageTo(3, ["a.org"], { body: 1 }), { kind: "end", message: 2 }]));
    assert.ok(value(await storage.chunk(1, 0)));
    value(await storage.apply([{ kind: "end", message: 1 }]));
    assert.ok(value(await storage.chunk(1, 0)));
    value(await storage.apply([{ kind: "end", message: 3 }]));
    assert.equal(value(await storage.chunk(1, 0)), undefined);
  });

  check("forgets bodies that were dropped, or unfinished at a crash", async (before) => {
    const chunk = (body: number): Change => ({ kind: "chunk", body, number: 0, octets: Buffer.from("x") });
    const [first, second] = [before.nextId(), before.nextId()];
    value(await before.apply([chunk(first), chunk(second)]));
    value(await before.apply([{ kind: "drop", body: first }]));
    assert.equal(value(await before.chunk(first, 0)), undefined);
    assert.ok(value(await before.chunk(second, 0)));
    const storage = await crash(before);
    assert.equal(value(await storage.chunk(second, 0)), undefined);
    await storage.close();
  });

  check("holds a message across deferrals and crashes, and releases it", async (before) => {
    value(await before.apply([messageTo(1, ["a.org", "b.org", "c.org"])]));
    const [claimed] = await claimAll(before, at, 1, 1);
    value(await before.apply([{ kind: "hold", message: 1 }]));
    const number = claimed?.number ?? 0;
    const deferred = { kind: "deferred", message: 1, number, attempts: 1, lastReply: "" } as const;
    value(await before.apply([{ ...deferred, nextAttemptMs: at + 5 }]));
    assert.deepEqual(names(await claimAll(before, at + 9)), []);
    const storage = await crash(before);
    assert.deepEqual(value(await storage.counts()), { messages: 1, recipients: 3, held: 1 });
    assert.deepEqual(names(await claimAll(storage, at + 9)), []);
    value(await storage.apply([{ kind: "release", message: 1, claimed: [2] }]));
    assert.deepEqual(names(await claimAll(storage, at + 9)).sort(), ["1/0", "1/1"]);
    await storage.close();
  });

  check("releases nothing of a message that is not held: what is claimed stays so", async (storage) => {
    value(await storage.apply([messageTo(1, ["a.org", "b.org"])]));
    assert.equal((await claimAll(storage, at, 1)).length, 1);
    value(await storage.apply([{ kind: "release", message: 1, claimed: [] }]));
    assert.equal((await claimAll(storage, at)).length, 1);
    await storage.close();
  });

  check("makes what waits due now, and clamps times that are too far", async (storage) => {
    value(await storage.apply([messageTo(1, ["a.org"])]));
    await claimAll(storage, at);
    const deferred = { kind: "deferred", message: 1, number: 0, attempts: 1, lastReply: "" } as const;
    value(
      await storage.apply([
        { ...deferred, nextAttemptMs: at * 1_000 },
        { kind: "clamp", nowMs: at, latestMs: at * 10 },
      ]),
    );
    assert.equal(value(await storage.nextDueMs("remote")), at * 10);
    value(await storage.apply([{ kind: "retry", message: 1, nowMs: at + 1 }]));
    assert.deepEqual(names(await claimAll(storage, at + 1)), ["1/0"]);
  });

  check("lists by pages, with the first recipients of each", async (storage) => {
    const many = Array.from({ length: 8 }, (_, at) => `d${at}.org`);
    value(await storage.apply([messageTo(1, many), messageTo(2, []), messageTo(3, ["a.org"])]));
    const page = value(await storage.list(0, 2, 5));
    assert.deepEqual(
      page.map(({ id, recipientCount, recipients }) => [id, recipientCount, recipients.length]),
      [
        [1, 8, 5],
        [2, 0, 0],
      ],
    );
    assert.equal(page[0]?.octets, 12);
    const [third] = value(await storage.list(2, 2, 5));
    const expected = { number: 0, forwardPath: "user0@a.org", channel: "remote", destination: "a.org", attempts: 0 };
    assert.deepEqual(third?.recipients, [{ ...expected, nextAttemptMs: at, lastReply: "" }]);
    assert.deepEqual(
      value(await storage.recipients(1, 5, 9)).map(({ number }) => number),
      [6, 7],
    );
  });

  check("finds what may fit, a few at a time, to the end", async (storage) => {
    const many = Array.from({ length: 1_200 }, (_, at) => messageTo(at + 1, [at % 400 === 7 ? "Rare.org" : "a.org"]));
    for (let at = 0; at < many.length; at += 300) value(await storage.apply(many.slice(at, at + 300)));
    const none = { sender: undefined, recipient: undefined, destination: undefined, arrivedByMs: undefined };
    const found = async (wanted: Partial<Wanted>): Promise<number[]> => {
      const ids: number[] = [];
      for (let after = 0; ; ) {
        const page = value(await storage.search(after, { ...none, ...wanted }));
        ids.push(...page.ids);
        if (page.last === undefined) return ids;
        assert.ok(page.last > after);
        after = page.last;
      }
    };
    const rare = [8, 408, 808];
    for (const wanted of [
      { destination: "rare.org" },
      { recipient: "user0@rare.org" },
      { recipient: "@rare.org" },
      { destination: "rare.org", sender: "@example.org", arrivedByMs: at },
    ]) {
      assert.deepEqual(await found(wanted), rare, JSON.stringify(wanted));
    }
    for (const wanted of [{ sender: "nobody@example.org" }, { recipient: "user1@rare.org" }, { arrivedByMs: at - 1 }]) {
      assert.deepEqual(await found(wanted), [], JSON.stringify(wanted));
    }
    assert.equal((await found({ sender: "@example.org" })).length, many.length);
  });

  check("remembers a mark across a crash, together with what it was written with", async (before) => {
    assert.equal(value(await before.isMarked("here 1")), false);
    value(await before.apply([messageTo(1, []), { kind: "mark", name: "here 1" }]));
    value(await before.apply([{ kind: "mark", name: "here 1" }]));
    const storage = await crash(before);
    assert.equal(value(await storage.isMarked("here 1")), true);
    assert.equal(value(await storage.isMarked("here 2")), false);
    assert.ok(value(await storage.message(1)));
    await storage.close();
  });

  const asked: Options = { envelopeId: "QQ+3D1", ret: 2, flags: 3, priority: 12, holdUntilMs: 0 };
  const dsn: Dsn = { notify: 7, originalRecipient: "rfc822;joe+40a.org" };

  check("keeps what was asked for, also after a crash, until the message ends", async (before) => {
    value(await before.apply([messageTo(1, ["a.org", "b.org"], { asked, dsn }), messageTo(2, ["c.org"])]));
    value(await before.apply([messageTo(3, ["d.org"], { dsn })]));
    const storage = await crash(before);
    assert.deepEqual(value(await storage.message(1))?.options, asked);
    for (const id of [2, 3]) assert.equal(value(await storage.message(id))?.options, undefined);
    const listed = value(await storage.list(0, 9, 9));
    assert.deepEqual(
      listed.map(({ options, recipients }) => [options, recipients.map((recipient) => recipient.dsn)]),
      [
        [asked, [dsn, dsn]],
        [undefined, [undefined]],
        [undefined, [dsn]],
      ],
    );
    assert.deepEqual(value(await storage.recipients(1, 0, 9))[0]?.dsn, dsn);
    const claimed = await claimAll(storage, at);
    assert.deepEqual(claimed.map((recipient) => [recipient.message, recipient.dsn]).sort(), [
      [1, dsn],
      [1, dsn],
      [2, undefined],
      [3, dsn],
    ]);
    const failed = { kind: "failed", number: 0, forwardPath: "x", status: "1.1", text: "no" } as const;
    value(await storage.apply([1, 2].map((message) => ({ ...failed, message }))));
    assert.deepEqual(value(await storage.failures(1, 0, 9))[0]?.dsn, dsn);
    assert.equal(value(await storage.failures(2, 0, 9))[0]?.dsn, undefined);
    value(await storage.apply([1, 3].map((message) => ({ kind: "end", message }) as const)));
    value(await storage.apply([messageTo(1, ["a.org"]), messageTo(3, ["a.org"])]));
    assert.equal(value(await storage.message(1))?.options, undefined);
    assert.deepEqual(
      (await claimAll(storage, at)).map((recipient) => recipient.dsn),
      [undefined, undefined],
    );
    await storage.close();
  });

  check("remembers that a delay was reported, of any message that is there", async (before) => {
    value(await before.apply([messageTo(1, ["a.org"]), messageTo(2, ["a.org"], { asked }), messageTo(3, ["a.org"])]));
    value(await before.apply([1, 2, 9].map((message) => ({ kind: "warned", message }) as const)));
    const storage = await crash(before);
    const messages = [1, 2, 3].map(async (id) => value(await storage.message(id)));
    const found = await Promise.all(messages);
    assert.deepEqual(
      found.map((message) => [message?.warned, message?.options]),
      [
        [true, undefined],
        [true, asked],
        [false, undefined],
      ],
    );
    value(await storage.apply([messageTo(9, ["a.org"])]));
    assert.equal(value(await storage.message(9))?.warned, false);
    await storage.close();
  });

  const day = 86_400_000;
  const later = { ...asked, holdUntilMs: at + day };

  check("gives out nothing before it may be delivered, also after a crash; from then on it ages", async (before) => {
    value(await before.apply([messageTo(1, ["a.org"], { asked: later }), messageTo(2, ["a.org"])]));
    assert.deepEqual(names(await claimAll(before, at + day - 1)), ["2/0"]);
    const storage = await crash(before);
    value(await storage.apply([{ kind: "end", message: 2 }]));
    assert.deepEqual(names(await claimAll(storage, at + day - 1)), []);
    assert.equal(value(await storage.nextDueMs("remote")), at + day);
    const overdue = { channel: "remote", destination: "a.org", nowMs: at + 2 * day, limit: 9 } as const;
    assert.deepEqual(value(await storage.claimOverdue({ ...overdue, arrivedBeforeMs: at + day })), []);
    const [claimed] = await claimAll(storage, at + day);
    assert.deepEqual([claimed?.message, claimed?.arrivedMs], [1, at + day]);
    await storage.close();
  });

  check("lets a clock that went back end no wait early, nor make it longer than it was to be", async (storage) => {
    value(await storage.apply([messageTo(1, ["a.org"], { asked: later })]));
    const clamp = (nowMs: number) => storage.apply([{ kind: "clamp", nowMs, latestMs: nowMs + 1_000 }]);
    value(await clamp(at + 1_000)); // it came before: nothing to put right
    assert.deepEqual(names(await claimAll(storage, at + day - 1)), []);
    assert.equal(value(await storage.nextDueMs("remote")), at + day);
    value(await clamp(at - 500_000)); // half an hour of the wait is over, however often the clock is looked at
    value(await clamp(at - 400_000));
    assert.deepEqual(names(await claimAll(storage, at - 500_000 + day - 1)), []);
    value(await storage.apply([{ kind: "retry", message: 1, nowMs: at - 400_000 }]));
    assert.deepEqual(names(await claimAll(storage, at - 500_000 + day - 1)), []);
    assert.deepEqual(names(await claimAll(storage, at - 500_000 + day)), ["1/0"]);
    const deferred = { kind: "deferred", message: 1, number: 0, attempts: 1, lastReply: "" } as const;
    value(await storage.apply([{ ...deferred, nextAttemptMs: at + 9 * day }]));
    value(await clamp(at - 100_000)); // it was tried: that time has come
    assert.equal(value(await storage.nextDueMs("remote")), at - 99_000);
    assert.deepEqual(names(await claimAll(storage, at - 99_000)), ["1/0"]);
    value(await clamp(at - 200_000)); // claimed, and given back: it does not wait for that time again
    value(await storage.apply([{ kind: "unclaim", message: 1, number: 0 }]));
    assert.deepEqual(names(await claimAll(storage, at - 199_000)), ["1/0"]);
  });

  check("gives out the important first, but not before what has waited for long", async (storage) => {
    const old = messageTo(1, ["a.org"], { arrivedMs: at - 1_000_000 });
    const low = messageTo(2, ["a.org"], { asked: { ...asked, priority: 3 } });
    const normal = messageTo(3, ["a.org"]);
    const high = messageTo(4, ["a.org"], { asked: { ...asked, priority: 12 } });
    const highest = messageTo(5, ["a.org"], { asked: { ...asked, priority: 18 } });
    const lately = messageTo(6, ["a.org"], { arrivedMs: at + 1, asked: { ...asked, priority: 18 } });
    value(await storage.apply([old, low, normal, high, highest, lately]));
    assert.deepEqual(names(await claimAll(storage, at)), ["5/0", "6/0", "1/0", "4/0", "2/0", "3/0"]);
  });

  check("remembers the clock across a crash", async (before) => {
    value(await before.apply([messageTo(1, []), { kind: "clock", nowMs: at }]));
    const storage = await crash(before);
    assert.equal(storage.lastClockMs, at);
    await storage.close();
  });
}
