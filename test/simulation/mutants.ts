import { done, temporary } from "../../src/protocol/outcome.ts";
import { settled } from "../../src/protocol/wire/delivery.ts";
import type { Change, Storage } from "../../src/services/storage/storage.ts";
import type { Mutant } from "./mutant.ts";

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
const isBounce = (change: Change): boolean => isOwnMessage(change) && !isForward(change);

/** True every twentieth time. */
function nowAndThen(): () => boolean {
  let turn = 0;
  return () => ++turn % 20 === 0;
}

/** Deliberate faults, by name. */
export const mutants: ReadonlyMap<string, Mutant> = new Map<string, Mutant>([
  [
    "says stored before it is",
    but((storage) => ({
      async apply(changes) {
        void storage.apply(changes);
        return done(undefined);
      },
    })),
  ],
  [
    "loses a batch",
    but((storage) => {
      const isHit = nowAndThen();
      return { apply: async (changes) => (isHit() ? done(undefined) : storage.apply(changes)) };
    }),
  ],
  [
    "writes half a batch",
    but((storage) => {
      const isHit = nowAndThen();
      return { apply: (changes) => storage.apply(isHit() ? changes.slice(0, changes.length >> 1) : changes) };
    }),
  ],
  [
    "fails, having written",
    but((storage) => {
      const isHit = nowAndThen();
      return {
        async apply(changes) {
          const outcome = await storage.apply(changes);
          return isHit() ? temporary("3.0", "cannot say whether it is written") : outcome;
        },
      };
    }),
  ],
  ["queues forwards after their result", apart(isOwnMessage)],
  [
    "queues forwards twice",
    {
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
  ],
  ["writes no bounce", writes((changes) => changes.filter((change) => !isBounce(change)))],
  ["forgets the last recipient", altered("message", (each) => ({ ...each, recipients: each.recipients.slice(0, -1) }))],
  ["gives an id again", but((storage) => ({ nextId: () => (storage.nextId() >> 3) + 1 }))],
  ["does not write down what was delivered", without("delivered")],
  ["does not write down what was put off", without("deferred")],
  ["gives nothing back", without("unclaim")],
  ["ends no message", without("end")],
  ["holds nothing", without("hold")],
  ["releases nothing", without("release")],
  ["tries again too soon", altered("deferred", (each) => ({ ...each, nextAttemptMs: each.nextAttemptMs - 1_000 }))],
  [
    "tries again too late",
    altered("deferred", (each) => ({ ...each, nextAttemptMs: each.nextAttemptMs + 86_400_000 })),
  ],
  ["does not count attempts", altered("deferred", (each) => ({ ...each, attempts: 1 }))],
  ["never waits", but((storage) => ({ claim: (claim) => storage.claim({ ...claim, nowMs: claim.nowMs + 600_000 }) }))],
  [
    "claims nothing remote",
    but((storage) => ({ claim: async (claim) => (claim.channel === "remote" ? done([]) : storage.claim(claim)) })),
  ],
  [
    "claims what is finished",
    {
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
  ],
  [
    "claims more than fits in memory",
    {
      ...but((storage) => ({
        claim: (claim) => storage.claim({ ...claim, limit: Infinity, perDestination: Infinity }),
      })),
      needsFlood: true,
    },
  ],
  [
    "mixes up bodies",
    but((storage) => ({
      apply: (changes) =>
        storage.apply(
          changes.map((each) =>
            each.kind === "message" && each.chunk
              ? { ...each, chunk: { ...each.chunk, octets: Buffer.from(each.chunk.octets).reverse() } }
              : each,
          ),
        ),
    })),
  ],
  ["calls settled what is not", { onEnded: (link, stream) => link.forge(settled.encode(stream, {})) }],
  ["keeps no marks", { forgetsMarks: true }],
  [
    "allows too many at once",
    { settings: (settings) => ({ ...settings, concurrencylocal: settings.concurrencylocal + 1 }) },
  ],
  [
    "allows too many to one destination",
    { settings: (settings) => ({ ...settings, concurrencydestination: settings.concurrencydestination + 1 }) },
  ],
  [
    "puts too many into one transaction",
    { settings: (settings) => ({ ...settings, maxtransactionrecipients: settings.maxtransactionrecipients + 1 }) },
  ],
  ["gives up too early", { settings: (settings) => ({ ...settings, queuelifetime: settings.queuelifetime >> 2 }) }],
  ["gives up too late", { settings: (settings) => ({ ...settings, queuelifetime: settings.queuelifetime * 4 }) }],
]);
