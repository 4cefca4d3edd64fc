import type { Queue } from "../../src/programs/queue/queue.ts";
import { done, temporary } from "../../src/protocol/outcome.ts";
import { deliverOptions, ended, relayed, settled } from "../../src/protocol/wire/delivery.ts";
import type { Frame } from "../../src/protocol/wire/frame.ts";
import type { Change, ClaimedRecipient, Storage } from "../../src/services/storage/storage.ts";
import type { Mutant } from "./mutant.ts";
import type { World } from "./world.ts";

type Kind = Change["kind"];

/** A store that passes everything on but what `over` says. */
const but = (over: (storage: Storage) => Partial<Storage>): Mutant => ({
  storage: (storage) => ({ ...storage, ...over(storage) }),
});

/** A store that writes down something else. */
const writes = (change: (changes: readonly Change[]) => readonly Change[]): Mutant =>
  but((storage) => ({ apply: (changes) => storage.apply(change(changes)) }));

const without = (kind: Kind): Mutant => writes((changes) => changes.filter((change) => change.kind !== kind));

/** Changes each change of one kind. */
function altered<K extends Kind>(kind: K, change: (each: Extract<Change, { kind: K }>) => Change): Mutant {
  const is = (each: Change): each is Extract<Change, { kind: K }> => each.kind === kind;
  return writes((changes) => changes.map((each) => (is(each) ? change(each) : each)));
}

/** Splits a batch: what `isLate` picks is a transaction of its own. */
const apart = (isLate: (change: Change) => boolean): Mutant =>
  but((storage) => ({
    async apply(changes) {
      const outcome = await storage.apply(changes.filter((change) => !isLate(change)));
      return outcome.kind === "done" ? await storage.apply(changes.filter(isLate)) : outcome;
    },
  }));

type NewMessage = Extract<Change, { kind: "message" }>;
const isOwnMessage = (change: Change): change is NewMessage =>
  change.kind === "message" && change.message.prefix.length > 0;
const isForward = (change: Change): change is NewMessage =>
  isOwnMessage(change) && Buffer.from(change.message.prefix).includes("invoked by local");
const isNotice = (change: Change): change is NewMessage => isOwnMessage(change) && !isForward(change);
const isBounce = (change: Change): boolean =>
  isNotice(change) && Buffer.from(change.message.prefix).includes("\nAction: failed");
const isReport = (change: Change): change is NewMessage => isNotice(change) && !isBounce(change);

/** The recipients of a store come back without what was asked for them. */
const unasked = (each: ClaimedRecipient): ClaimedRecipient => {
  const { dsn: _, ...rest } = each;
  return rest;
};

/** True every twentieth time. */
function nowAndThen(): () => boolean {
  let turn = 0;
  return () => ++turn % 20 === 0;
}

/** A queue whose channels are something else to it. */
const connects = (over: (queue: Queue) => Queue["connect"]): Mutant => ({
  queue: (queue) => ({ ...queue, connect: over(queue) }),
});

/** A queue that hears something else. */
const hears = (change: (frame: Frame) => Frame): Mutant =>
  connects((queue) => (name, connect) => {
    queue.connect(name, (events) => connect({ ...events, onFrame: (frame) => events.onFrame(change(frame)) }));
  });

/** What was claimed in a world, whoever had it. */
const claimsOf = new WeakMap<World, Set<string>>();

/** Deliberate faults, by name, and what each would break: the promises are those of docs/reliability.md. */
const byPromise: Readonly<Record<string, Readonly<Record<string, Mutant>>>> = {
  "P1, a message is acknowledged when it is stored": {
    "says stored before it is": but((storage) => ({
      async apply(changes) {
        void storage.apply(changes);
        return done(undefined);
      },
    })),
    "loses a batch": but((storage) => {
      const isHit = nowAndThen();
      return { apply: async (changes) => (isHit() ? done(undefined) : storage.apply(changes)) };
    }),
    "leaves the last batch in memory": but((storage) => {
      let last: readonly Change[] = [];
      return {
        async apply(changes) {
          const outcome = await storage.apply(last);
          last = outcome.kind === "done" ? changes : last;
          return outcome;
        },
      };
    }),
  },
  "P2, nothing is lost and nothing doubled": {
    "queues forwards after their result": apart(isOwnMessage),
    "queues forwards twice": {
      storage: (storage) => ({
        ...storage,
        apply: (changes) =>
          storage.apply([
            ...changes,
            ...changes
              .filter(isForward)
              .map((each) => ({ ...each, message: { ...each.message, id: storage.nextId() } })),
          ]),
      }),
    },
    "forgets the last recipient": altered("message", (each) => ({ ...each, recipients: each.recipients.slice(0, -1) })),
    "gives an id again": but((storage) => ({ nextId: () => (storage.nextId() >> 3) + 1 })),
    "does not write down what was delivered": without("delivered"),
    "does not write down what was put off": without("deferred"),
    "gives nothing back": { ...without("unclaim"), needs: "down" },
    "ends no message": without("end"),
    "ends another message": altered("end", (each) => ({ ...each, message: each.message + 1 })),
    "claims nothing remote": but((storage) => ({
      claim: async (claim) => (claim.channel === "remote" ? done([]) : storage.claim(claim)),
      nextDueMs: async (channel) => (channel === "remote" ? done(undefined) : storage.nextDueMs(channel)),
    })),
    "claims what is finished": {
      storage: (storage, world) => ({
        ...storage,
        async claim(claim) {
          const claimed = await storage.claim(claim);
          if (claimed.kind !== "done" || claimed.value.length === 0) return claimed;
          const siblings = world.oracle.messages.get(claimed.value[0]?.message ?? 0)?.recipients.values() ?? [];
          const finished = [...siblings].find(({ state, channel }) => state !== "queued" && channel === claim.channel);
          if (!finished) return claimed;
          const { message, number, forwardPath, channel, destination } = finished;
          const again = { message: message.id, number, forwardPath, channel, destination };
          return done([...claimed.value, { ...again, arrivedMs: message.arrivedMs, attempts: 0 }]);
        },
      }),
    },
    "calls settled what is not": { onEnded: (link, stream) => link.forge(settled.encode(stream, {})) },
    "keeps no marks": { forgetsMarks: true },
    "marks what it has not delivered": { marksFirst: true, needs: "crash" },
    "starves one destination": but((storage) => ({
      claim: (claim) => storage.claim({ ...claim, skip: [...claim.skip, "d1.example"] }),
    })),
  },
  "P3, nothing half done is visible": {
    "writes half a batch": but((storage) => {
      const isHit = nowAndThen();
      return { apply: (changes) => storage.apply(isHit() ? changes.slice(0, changes.length >> 1) : changes) };
    }),
    "mixes up bodies": but((storage) => ({
      apply: (changes) =>
        storage.apply(
          changes.map((each) =>
            each.kind === "message" && each.chunk
              ? { ...each, chunk: { ...each.chunk, octets: Buffer.from(each.chunk.octets).reverse() } }
              : each,
          ),
        ),
    })),
    "writes no bounce": writes((changes) => changes.filter((change) => !isBounce(change))),
    "ends a message before its bounce is written": apart(isBounce),
  },
  "P4, a failed write is a temporary failure": {
    "fails, having written": but((storage) => {
      const isHit = nowAndThen();
      return {
        async apply(changes) {
          const outcome = await storage.apply(changes);
          return isHit() ? temporary("3.0", "cannot say whether it is written") : outcome;
        },
      };
    }),
    "says stored when the disk is full": but((storage) => ({
      async apply(changes) {
        await storage.apply(changes);
        return done(undefined);
      },
    })),
  },
  "P5, a start after a crash needs nobody": {
    "starts without what it had": {
      storage(storage, world) {
        const known = new Set(world.oracle.alive.values().map(({ id }) => id));
        return {
          ...storage,
          async claim(claim) {
            const claimed = await storage.claim(claim);
            return claimed.kind === "done" ? done(claimed.value.filter(({ message }) => !known.has(message))) : claimed;
          },
        };
      },
    },
    "keeps its claims through a crash": {
      needs: "crash",
      storage(storage, world) {
        const claims = claimsOf.get(world) ?? new Set<string>();
        claimsOf.set(world, claims);
        const before = new Set(claims);
        const keyOf = (each: { message: number; number: number }): string => `${each.message} ${each.number}`;
        return {
          ...storage,
          async claim(claim) {
            const claimed = await storage.claim(claim);
            if (claimed.kind !== "done") return claimed;
            const mine = claimed.value.filter((each) => !before.has(keyOf(each)));
            for (const each of mine) claims.add(keyOf(each));
            return done(mine);
          },
          apply(changes) {
            for (const each of changes) {
              if (each.kind === "deferred" || each.kind === "unclaim") claims.delete(keyOf(each));
            }
            return storage.apply(changes);
          },
        };
      },
    },
  },
  "P6, everything has a bound": {
    "claims more than fits in memory": {
      ...but((storage) => ({
        claim: (claim) => storage.claim({ ...claim, limit: Infinity, perDestination: Infinity }),
      })),
      needsFlood: true,
    },
    "never hears the end of some deliveries, and keeps them": connects((queue) => (name, connect) => {
      const isLost = nowAndThen();
      queue.connect(name, (events) =>
        connect({
          ...events,
          onFrame: (frame) => (frame.type === ended.type && isLost() ? undefined : events.onFrame(frame)),
        }),
      );
    }),
    "waits for ever for a flush, while all it has to write piles up": but((storage) => {
      const isHit = nowAndThen();
      return { apply: (changes) => (isHit() ? new Promise(() => {}) : storage.apply(changes)) };
    }),
    "allows too many at once": {
      needs: "reload",
      settings: (settings) => ({ ...settings, concurrencylocal: settings.concurrencylocal + 1 }),
    },
    "allows too many to one destination": {
      needs: "reload",
      settings: (settings) => ({ ...settings, concurrencydestination: settings.concurrencydestination + 1 }),
    },
    "puts too many into one transaction": {
      needs: "reload",
      settings: (settings) => ({ ...settings, maxtransactionrecipients: settings.maxtransactionrecipients + 1 }),
    },
  },
  "P10, a crash of one program is an event": {
    "does not notice that a program died": connects((queue) => (name, connect) => {
      queue.connect(name, (events) => connect({ ...events, onClose: () => {} }));
    }),
    "ignores a program that comes back": connects((queue) => {
      const known: string[] = [];
      return (name, connect) => {
        known.push(name);
        const isBack = name === "local" && known.filter((each) => each === name).length > 1;
        if (isBack) connect({ onFrame: () => undefined, onClose: () => {} });
        else queue.connect(name, connect);
      };
    }),
  },
  "P11, clocks lie": {
    "takes the time of day for a steady clock": {
      needs: "jump",
      clock: (clock) => ({ ...clock, steadyMs: () => clock.wallMs() }),
    },
    "does not see the clock go back": {
      needs: "jump",
      clock(clock) {
        let latestMs = 0;
        const wallMs = (): number => {
          latestMs = Math.max(latestMs, clock.wallMs());
          return latestMs;
        };
        return { ...clock, wallMs };
      },
    },
  },
  "P12, whoever wrote it is told, once, and nobody else": {
    "tells a stranger of failures": altered("message", (each) => ({
      ...each,
      recipients: isBounce(each)
        ? each.recipients.map((recipient) => ({ ...recipient, forwardPath: "user3@here.org" }))
        : each.recipients,
    })),
    "sends bounces that can bounce for ever": altered("message", (each) => ({
      ...each,
      message: isBounce(each) ? { ...each.message, reversePath: "s@here.org" } : each.message,
    })),
  },
  "what is asked beyond the envelope is done, and no more": {
    "forgets what was asked for a recipient": altered("message", (each) => ({
      ...each,
      recipients: each.recipients.map(({ dsn: _, ...recipient }) => recipient),
    })),
    "forgets that a message is to wait": altered("message", (each) => {
      const { options: _, ...message } = each.message;
      return { ...each, message };
    }),
    "forgets what was asked when mail comes back from disk": but((storage) => ({
      async claim(claim) {
        const claimed = await storage.claim(claim);
        return claimed.kind === "done" ? done(claimed.value.map(unasked)) : claimed;
      },
    })),
    "reports no success": writes((changes) => changes.filter((change) => !isReport(change))),
    "reports success apart from it": apart(isReport),
    "reports success twice": {
      storage: (storage) => ({
        ...storage,
        apply: (changes) => {
          const again = changes.filter(isReport);
          const copies = again.map((each) => ({ ...each, message: { ...each.message, id: storage.nextId() } }));
          return storage.apply([...changes, ...copies]);
        },
      }),
    },
    "takes every server for one that reports itself": hears((frame) =>
      frame.type === relayed.type
        ? { ...frame, payload: Buffer.concat([frame.payload.subarray(0, -1), Buffer.from([1])]) }
        : frame,
    ),
    "reports what the next server will report": hears((frame) =>
      frame.type === relayed.type
        ? { ...frame, payload: Buffer.concat([frame.payload.subarray(0, -1), Buffer.from([0])]) }
        : frame,
    ),
    "keeps from remote what was asked": connects((queue) => (name, connect) => {
      queue.connect(name, (events) => {
        const channel = connect(events);
        return {
          get pendingOctets() {
            return channel.pendingOctets;
          },
          flush: () => channel.flush(),
          send: (octets) => (octets[4] === deliverOptions.type ? undefined : channel.send(octets)),
          pass: channel.pass,
          close: () => channel.close(),
        };
      });
    }),
    "does not write down that a delay was reported": { ...without("warned"), needs: "down" },
    "forgets that a delay was reported": {
      ...but((storage) => ({
        async message(id) {
          const message = await storage.message(id);
          return message.kind === "done" && message.value ? done({ ...message.value, warned: false }) : message;
        },
      })),
      needs: "down",
    },
    "has what is to wait for a time wait for it though the clock was set back by years": {
      ...altered("clamp", (each) => ({ ...each, nowMs: each.nowMs + 86_400_000 * 3_650 })),
      needs: "jump",
    },
  },
  "what is written in the manual about times": {
    "tries again too soon": altered("deferred", (each) => ({ ...each, nextAttemptMs: each.nextAttemptMs - 1_000 })),
    "tries again too late": altered("deferred", (each) => ({
      ...each,
      nextAttemptMs: each.nextAttemptMs + 86_400_000,
    })),
    "does not count attempts": altered("deferred", (each) => ({ ...each, attempts: 1 })),
    "never waits": but((storage) => ({
      claim: (claim) => storage.claim({ ...claim, nowMs: claim.nowMs + 600_000 }),
    })),
    "leaves nobody alone": hears((frame) =>
      frame.type === ended.type && frame.payload[0] === 2 ? { ...frame, payload: Buffer.from([0]) } : frame,
    ),
    "leaves a destination alone too long": altered("block", (each) => ({
      ...each,
      untilMs: each.untilMs + 3_600_000,
    })),
    "gives up too early": {
      needs: "down",
      settings: (settings) => ({ ...settings, queuelifetime: settings.queuelifetime >> 2 }),
    },
    "gives up too late": { settings: (settings) => ({ ...settings, queuelifetime: settings.queuelifetime * 4 }) },
    "holds nothing": { ...without("hold"), needs: "operator" },
    "releases nothing": { ...without("release"), needs: "operator" },
  },
};

export interface Named {
  readonly name: string;
  readonly promise: string;
  readonly mutant: Mutant;
}

export const mutants: readonly Named[] = Object.entries(byPromise).flatMap(([promise, its]) =>
  Object.entries(its).map(([name, mutant]) => ({ name, promise, mutant })),
);
