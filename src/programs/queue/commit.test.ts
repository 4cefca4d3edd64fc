import assert from "node:assert/strict";
import { test } from "node:test";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { MemoryStorage } from "../../services/storage/memory.ts";
import type { Change, Storage } from "../../services/storage/storage.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Committer } from "./commit.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("while what has happened cannot be written, new mail is refused and does not wait; who waits hears first that it is", async () => {
  const pauses: (() => unknown)[] = [];
  const clock: Clock = {
    wallMs: () => 0,
    steadyMs: () => 0,
    soon: (call) => void setImmediate(call),
    after: (_ms, call) => {
      pauses.push(call);
      return () => {};
    },
  };
  let isDiskDead = true;
  const applied: number[] = [];
  const storage: Storage = Object.assign(new MemoryStorage(), {
    apply: async (changes: readonly Change[]): Promise<Outcome<undefined>> => {
      if (isDiskDead) return temporary("3.1", "cannot write the queue: disk I/O error");
      for (const change of changes) if (change.kind === "end") applied.push(change.message);
      return done(undefined);
    },
  });
  const verdicts: string[] = [];
  const committer = new Committer(storage, clock, (trouble) => verdicts.push(trouble));
  committer.require([{ kind: "end", message: 1 }], () => verdicts.push("required"));
  await turn();
  committer.offer([{ kind: "end", message: 2 }], ({ kind }) => verdicts.push(kind));
  committer.require([{ kind: "end", message: 3 }]);
  await turn();
  pauses.shift()?.();
  await turn();
  assert.deepEqual(verdicts, ["stuck", "temporary"]);
  isDiskDead = false;
  committer.offer([{ kind: "end", message: 4 }], ({ kind }) => verdicts.push(kind));
  pauses.shift()?.();
  await committer.flushed();
  assert.deepEqual(verdicts, ["stuck", "temporary", "required", "none", "done"]);
  assert.deepEqual(applied, [1, 3, 4]);
});

test("when new mail alone could not be written, it is found out when writing works again", async () => {
  const pauses: (() => unknown)[] = [];
  const clock: Clock = {
    wallMs: () => 5,
    steadyMs: () => 0,
    soon: (call) => void setImmediate(call),
    after: (_ms, call) => {
      pauses.push(call);
      return () => {};
    },
  };
  let isDiskDead = true;
  const storage: Storage = Object.assign(new MemoryStorage(), {
    apply: async (): Promise<Outcome<undefined>> =>
      isDiskDead ? temporary("3.1", "cannot write the queue: disk I/O error") : done(undefined),
  });
  const troubles: string[] = [];
  const committer = new Committer(storage, clock, (trouble) => troubles.push(trouble));
  committer.offer([{ kind: "end", message: 1 }], () => {});
  await turn();
  await turn();
  isDiskDead = false;
  pauses.shift()?.();
  await committer.flushed();
  assert.deepEqual(troubles, ["stuck", "none"]);
});

test("on a full disk new mail is refused, and what has happened is written all the same: nothing pauses", async () => {
  const clock: Clock = {
    wallMs: () => 0,
    steadyMs: () => 0,
    soon: (call) => void setImmediate(call),
    after: () => () => {},
  };
  const store = Object.assign(new MemoryStorage(), {
    isShort: true,
    apply: async (_changes: readonly Change[], refusable?: boolean): Promise<Outcome<undefined>> =>
      refusable && store.isShort ? temporary("3.1", "cannot write the queue: its disk is full") : done(undefined),
  });
  const told: string[] = [];
  const committer = new Committer(store, clock, (trouble, failure) => told.push(`${trouble}: ${failure?.text}`));
  const verdicts: string[] = [];
  const both = async (): Promise<void> => {
    committer.offer([{ kind: "end", message: 1 }], ({ kind }) => verdicts.push(kind));
    committer.require([{ kind: "end", message: 2 }], () => verdicts.push("written"));
    await committer.flushed();
  };
  await both();
  await both();
  store.isShort = false;
  await both();
  assert.deepEqual(verdicts, ["temporary", "written", "temporary", "written", "done", "written"]);
  assert.deepEqual(told, ["refusing: cannot write the queue: its disk is full", "none: undefined"]);
});

test("what nobody waits for goes to disk with what somebody does, or with a hundred of its kind, or soon", async () => {
  const timers = new Set<() => unknown>();
  const clock: Clock = {
    wallMs: () => 0,
    steadyMs: () => 0,
    soon: (call) => void setImmediate(call),
    after: (_ms, call) => {
      timers.add(call);
      return () => timers.delete(call);
    },
  };
  const transactions: number[][] = [];
  const storage: Storage = Object.assign(new MemoryStorage(), {
    apply: async (changes: readonly Change[]): Promise<Outcome<undefined>> => {
      transactions.push(changes.map((change) => (change.kind === "end" ? change.message : 0)));
      return done(undefined);
    },
  });
  const committer = new Committer(storage, clock, () => {});
  const end = (message: number): readonly Change[] => [{ kind: "end", message }];
  const written: number[] = [];
  const soon = (message: number): void => committer.requireSoon(end(message), () => written.push(message));

  soon(1);
  await turn();
  assert.equal(transactions.length, 0);
  committer.offer(end(2), () => written.push(2));
  await committer.flushed();
  assert.deepEqual(transactions.splice(0), [[1, 2]]);
  assert.deepEqual(written, [1, 2]);
  assert.equal(timers.size, 0);

  soon(3);
  for (const call of timers) call();
  await turn();
  assert.deepEqual(transactions.splice(0), [[3]]);

  soon(4);
  await committer.flushed();
  assert.deepEqual(transactions.splice(0), [[4]]);

  let asked = Promise.resolve();
  committer.offer(end(5), () => {
    asked = committer.flushed();
  });
  await committer.flushed();
  await asked;
  assert.deepEqual(transactions.splice(0), [[5]], "to ask whether all is written writes nothing");

  for (let message = 5; message < 105; message++) soon(message);
  await turn();
  assert.deepEqual(
    transactions.map((messages) => messages.length),
    [100],
  );
});

test("answers of a transaction leave first, together for each channel; not when it fails", async () => {
  const outcomes: Outcome<undefined>[] = [temporary("3.1", "no")];
  const storage: Storage = Object.assign(new MemoryStorage(), {
    apply: async (): Promise<Outcome<undefined>> => outcomes.pop() ?? done(undefined),
  });
  const happened: string[] = [];
  const committer = new Committer(storage, systemClock, () => {});
  const channels = ["one", "other"].map((name) => ({ flush: () => void happened.push(`${name} flushed`) }));
  const offer = (name: string, channel = channels[0]): void => {
    const answer = () => {
      happened.push(`${name} answered`);
      return channel ?? assert.fail();
    };
    committer.offer([{ kind: "end", message: 1 }], ({ kind }) => void happened.push(`${name} ${kind}`), answer);
  };
  offer("a");
  await committer.flushed();
  assert.deepEqual(happened.splice(0), ["a temporary"]);
  offer("a");
  committer.require([{ kind: "end", message: 2 }], () => void happened.push("b written"));
  offer("c", channels[1]);
  offer("d");
  await committer.flushed();
  const answers = ["a answered", "c answered", "d answered", "one flushed", "other flushed"];
  assert.deepEqual(happened, [...answers, "a done", "b written", "c done", "d done"]);
});
