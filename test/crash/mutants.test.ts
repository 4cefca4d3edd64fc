/** Deliberate faults that the kills and the power cuts must notice, or they prove nothing. By the promise they break. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { unlessRoot, without } from "../support/missing.ts";
import { type Fault, mutant } from "../support/mutant.ts";
import { type Server, until } from "../support/server.ts";
import { type Plan, runPlan } from "./crashes.ts";
import { behindDeliver, kill } from "./kills.ts";
import { cutPowerUnderLoad } from "./power-cut.ts";

/**
 * What must have happened to more of the load before the next crash comes, however slow the machine. "appending":
 * somebody is in the middle of an append to an mbox. "locked out": whoever did was killed, and others wait for the lock to get stale.
 */
type Moment = "appending" | "locked out" | "delivered" | "settled" | "ended" | "any";

interface Row {
  readonly name: string;
  /** Before each crash, or before each in turn. */
  readonly moment: Moment | readonly Moment[];
  /** The programs that are killed in turn, or the power that is cut. */
  readonly crash: readonly string[] | "power";
  /** How often in one load. */
  readonly crashes: number;
  readonly entrances?: readonly string[];
  readonly exits?: readonly string[];
  readonly standstillMs?: number;
  /** How the machine is slow; `slowly` unless told otherwise. */
  readonly circumstances?: readonly Fault[];
  readonly fault: Fault;
  /** What the ledger, or who waits for the load, says of it. */
  readonly shows: RegExp;
}

/**
 * A slow machine: each moment in which a crash shows a fault is long enough to be met. It breaks no promise, as the
 * loads show that it has without any other fault.
 */
const slowly: readonly Fault[] = [
  { file: "programs/local/flush.js", from: "setImmediate(flush)", to: "setTimeout(flush, 500)" },
  { file: "programs/local/flush.js", from: "patienceMs = 10;", to: "patienceMs = 500;" },
  {
    file: "programs/queue/commit.js",
    from: "const outcome = await this.#storage.apply(changes, refusable)",
    to:
      "await new Promise((resolve) => setTimeout(resolve, 300));" +
      "const outcome = await this.#storage.apply(changes, refusable)",
  },
  {
    file: "programs/deliver/mbox.js",
    from: "writeContent(files, fd, entry);",
    to:
      "for (const piece of entry.pieces()) {" +
      "writeContent(files, fd, { octets: piece.length, pieces: () => [piece] }); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10); }",
  },
];

/**
 * The first appends of a worker to an mbox take so long that a crash meets one of them, and those who wait for its lock
 * look again when chance has it: not always who was interrupted is the first. The rest is as fast as ever.
 */
const slowAtFirst: readonly Fault[] = [
  {
    file: "programs/deliver/mbox.js",
    from: "writeContent(files, fd, entry);",
    to:
      "if (process.uptime() > 5) writeContent(files, fd, entry); else for (const piece of entry.pieces()) {" +
      "writeContent(files, fd, { octets: piece.length, pieces: () => [piece] });" +
      "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000); }",
  },
  {
    file: "programs/deliver/mbox-lock.js",
    from: "await ground.wait(pauseMs(tries), signal);",
    to: "await ground.wait(1_000 * Math.random(), signal);",
  },
];

/** Ends a message so late that a crash, which comes when the file of a delivery is seen, comes before. */
const endsLate = 'setTimeout(() => this.#core.require(active, [{ kind: "end", message }], ended), 3_000);';
const ends = "this.#core.require(active, changes, ended, isRepeatable);";
const withoutEnd = "this.#core.require(active, changes.slice(0, -1));";

const lost = /was acknowledged.* and is not in/;
const lostOrTorn = /was acknowledged.* and is not in|not whole/;

const rows: readonly Row[] = [
  {
    name: "stored: queue answers before its commit",
    moment: "any",
    crash: ["queue"],
    crashes: 2,
    exits: ["Maildir", "remote"],
    fault: {
      file: "programs/queue/intake.js",
      from: "this.#core.committer.offer(admission.changes, settled, answer);",
      to: "answer(); this.#core.committer.offer(admission.changes, settled);",
    },
    shows: lost,
  },
  {
    name: "stored: queue's commits are not flushed",
    moment: "any",
    crash: "power",
    crashes: 1,
    exits: ["Maildir", "forward"],
    fault: { file: "services/storage/sqlite.js", from: 'durable ? "FULL" : "NORMAL"', to: '"OFF"' },
    shows: lost,
  },
  {
    name: "never lost: local does not flush what was delivered",
    moment: "ended",
    circumstances: [],
    crash: "power",
    crashes: 1,
    exits: ["Maildir", "forward"],
    fault: { file: "services/kernel/flush.js", from: "libc().syncfs(fd) < 0", to: "false" },
    shows: lostOrTorn,
  },
  {
    name: "never lost: local flushes another file system",
    moment: "ended",
    circumstances: [],
    crash: "power",
    crashes: 1,
    exits: ["Maildir", "forward"],
    fault: { file: "services/kernel/flush.js", from: "libc().syncfs(fd) < 0", to: "libc().syncfs(2) < 0" },
    shows: lostOrTorn,
  },
  {
    name: "once: deliver writes no mark in a Maildir",
    moment: "delivered",
    crash: ["queue"],
    crashes: 2,
    exits: ["Maildir"],
    fault: { file: "services/maildir/store.js", from: "if (!linked(", to: "if (!mark && !linked(" },
    shows: /is in the Maildirs \d+ times/,
  },
  {
    name: "once: deliver removes its marks as soon as it has answered",
    moment: "delivered",
    crash: ["queue"],
    crashes: 2,
    exits: ["Maildir"],
    fault: {
      file: "programs/deliver/serve.js",
      from: "unsettled.set(id, delivered.marks);",
      to: "unsettled.set(id, delivered.marks); settle(id);",
    },
    shows: /is in the Maildirs \d+ times/,
  },
  {
    name: "once: queue commits a result after it has said that it did",
    moment: "settled",
    crash: ["queue"],
    crashes: 2,
    exits: ["Maildir"],
    fault: {
      file: "programs/queue/settle.js",
      from: ends,
      to: `written(); written = () => {}; ${withoutEnd} ${endsLate}`,
    },
    shows: /is in the Maildirs \d+ times/,
  },
  {
    name: "once: deliver writes no mark for an mbox",
    moment: "delivered",
    crash: ["queue"],
    crashes: 2,
    exits: ["mbox"],
    fault: { file: "programs/deliver/mbox.js", from: "isMarked = writeMark(", to: "isMarked = false && writeMark(" },
    shows: /is in the mbox \d+ times/,
  },
  {
    name: "once: an append to an mbox does not look for an earlier one",
    moment: "delivered",
    crash: ["queue"],
    crashes: 2,
    exits: ["mbox"],
    fault: {
      file: "programs/deliver/mbox.js",
      from: "earlier = readMark(",
      to: "earlier = !delivery.mark && readMark(",
    },
    shows: /is in the mbox \d+ times/,
  },
  {
    name: "once: a delivery that was abandoned goes on waiting for the lock of an mbox",
    moment: ["appending", "locked out"],
    circumstances: slowAtFirst,
    crash: ["deliver", "queue"],
    crashes: 2,
    exits: ["mbox"],
    fault: { file: "programs/deliver/serve.js", from: "stream?.abandoned.abort();", to: "" },
    shows: /is in the mbox \d+ times/,
  },
  {
    name: "once: deliver outlives local, and goes on with what it was given",
    moment: "any",
    crash: [behindDeliver],
    crashes: 2,
    exits: ["Maildir"],
    circumstances: [],
    fault: { file: "programs/launcher/become-program.js", from: "() => endWith(order.parent),", to: "" },
    shows: /is in the Maildirs \d+ times/,
  },
  {
    name: "forwarded once: the forward is committed apart from the result",
    moment: "delivered",
    crash: ["queue"],
    crashes: 1,
    exits: ["forward"],
    fault: {
      file: "programs/queue/settle.js",
      from: ends,
      to: `${withoutEnd} ${endsLate}`,
    },
    shows: /is in the (first|second) target \d+ times/,
  },
  {
    name: "forwarded once: the forward goes out before it is committed",
    moment: "delivered",
    crash: ["queue"],
    crashes: 2,
    exits: ["forward"],
    fault: {
      file: "programs/queue/settle.js",
      from: "this.#end(active, forwarded, written, { isRepeatable });",
      to: "for (const each of admissions.splice(0)) each.admit(); this.#end(active, forwarded, written, { isRepeatable });",
    },
    shows: /is in the (first|second) target \d+ times/,
  },
  {
    name: "whole: what a client broke off is taken",
    moment: "any",
    crash: ["smtpd"],
    crashes: 1,
    exits: ["Maildir", "mbox"],
    fault: {
      file: "programs/smtpd/reception.js",
      from: "this.#intake?.abandon();",
      to: "this.#intake?.finish({ ...this.#talk.session.transaction, uid: this.#talk.around.uid });",
    },
    shows: /, unfinished, is in/,
  },
  {
    name: "whole: a mark is believed without its message",
    moment: "delivered",
    crash: "power",
    crashes: 1,
    exits: ["Maildir", "forward"],
    fault: { file: "services/maildir/store.js", from: "if (holds(", to: "if (mark || holds(" },
    shows: /is not whole/,
  },
  {
    name: "whole: what a killed append left in an mbox stays there",
    moment: "appending",
    circumstances: slowAtFirst,
    crash: ["deliver"],
    crashes: 1,
    exits: ["mbox"],
    fault: { file: "programs/deliver/mbox.js", from: "isLeft = isCutShort(", to: "isLeft = !mark && isCutShort(" },
    shows: /the mbox is not whole/,
  },
  {
    name: "an event, not an outage: supervise does not start again what died",
    moment: "any",
    crash: ["smtpd"],
    crashes: 1,
    entrances: ["SMTP"],
    exits: ["Maildir"],
    standstillMs: 10_000,
    fault: {
      file: "programs/supervise/member.js",
      from: "this.#again = setTimeout(() => this.start(), waitMs);",
      to: "",
    },
    shows: /came to a standstill/,
  },
  {
    name: "an event, not an outage: supervise closes the listeners of what died",
    moment: "any",
    crash: ["smtpd"],
    crashes: 1,
    entrances: ["SMTP"],
    exits: ["Maildir"],
    fault: {
      file: "programs/supervise/member.js",
      from: "this.#again = setTimeout(",
      to:
        "for (const fd of Object.values(this.#options.listeners).flat()) process.getBuiltinModule('fs').closeSync(fd);" +
        "this.#again = setTimeout(",
    },
    shows: /nobody listened/,
  },
];

const mostLoads = 6;
const shared = {
  latest: 0.5,
  messages: 150,
  sessions: 40,
  entrances: ["SMTP", "submission", "QMTP", "QMQP"],
};

const sound = [
  { crash: ["queue", "deliver", "smtpd"], moment: "delivered", circumstances: slowly },
  {
    crash: ["local", "deliver", "queue"],
    moment: ["appending", "appending", "locked out"],
    circumstances: slowAtFirst,
  },
  { crash: "power", moment: "delivered", circumstances: slowly },
] as const;

// These servers are slow by waiting: two at once are not much slower than one.
describe("crashes notice each deliberate fault, and nothing else", { concurrency: 2 }, () => {
  for (const row of rows) {
    test(`a mutant is caught: ${row.name}`, { skip: unlessPossible(row.crash) }, async (t) => {
      using broken = mutant(row.fault, ...(row.circumstances ?? slowly));
      const firstSeed = Date.now() % 1_000_000;
      const seen: string[] = [];
      for (let load = 0; load < mostLoads && !seen.some((line) => row.shows.test(line)); load++) {
        const plan = { ...shared, ...row, seed: firstSeed + load };
        seen.push(...(await brokenPromises(plan, broken.tree).catch((error: unknown) => [String(error)])));
        t.diagnostic(`load ${load + 1}: ${seen.slice(0, 3).join("; ")}`);
      }
      assert.ok(
        seen.some((line) => row.shows.test(line)),
        "it broke no promise: these crashes prove nothing",
      );
    });
  }

  for (const { circumstances, ...row } of sound) {
    test(`nothing is taken for a mutant: slow, ${row.crash}`, { skip: unlessPossible(row.crash) }, async (t) => {
      using slow = mutant(...circumstances);
      const plan = { ...shared, ...row, seed: Date.now() % 1_000_000, crashes: 3 };
      t.diagnostic(`--seed ${plan.seed}`);
      assert.deepEqual(await brokenPromises(plan, slow.tree), []);
    });
  }
});

function unlessPossible(crash: Row["crash"]): string | false {
  return crash === "power" && (unlessRoot() || without("mkfs.ext4"));
}

type Load = Pick<Row, "crash" | "moment"> & Omit<Plan, "crash">;

async function brokenPromises({ crash, moment, ...plan }: Load, tree: string): Promise<readonly string[]> {
  const moments = [moment].flat();
  let crashes = 0;
  const before = (server: Server) => comes(moments[crashes++ % moments.length] ?? "any", server);
  if (crash === "power") {
    const beforeCut = async (server: Server): Promise<void> => {
      await before(server);
      writeFileSync(join(server.root, "of-another-program"), "", { flush: true }); // puts the names in the journal
    };
    return (await cutPowerUnderLoad({ ...plan, fileSystem: "ext4", cuts: plan.crashes, tree, before: beforeCut }))
      .wrong;
  }
  let next = 0;
  const result = await runPlan({
    ...plan,
    crash: async (server, ...rest) => {
      await before(server);
      return await kill(crash[next++ % crash.length] ?? "")(server, ...rest);
    },
    options: { tree },
  });
  return result.wrong;
}

/** So many more messages end before the power is cut on what was said to be delivered. */
const moreEnded = 20;
const longestWaitMs = 60_000;

/** When the load is over first, the crash comes without it. */
async function comes(moment: Moment, { root }: Server): Promise<void> {
  if (moment === "any") return;
  if (moment === "appending") return await orNever(moment, () => isLocked(root, 500));
  if (moment === "locked out") return await orNever(moment, () => isLocked(root, 2_000));
  const count = { ended, delivered, settled: (home: string) => delivered(home) - marks(home) }[moment];
  const wanted = count(root) + (moment === "ended" ? moreEnded : 1);
  await orNever(moment, () => count(root) >= wanted);
}

const orNever = (moment: Moment, condition: () => boolean): Promise<void> =>
  until(moment, condition, longestWaitMs).catch(() => {});

/** Whether the lock of an mbox is there for so long. */
const isLocked = (root: string, sinceMs: number): boolean =>
  homes(root).some((home) => {
    const lock = statSync(join(home, "mbox.lock"), { throwIfNoEntry: false });
    return lock !== undefined && Date.now() - lock.mtimeMs >= sinceMs;
  });

const ended = (root: string): number =>
  readFileSync(join(root, "log/current"), "latin1").split('"event":"end"').length - 1;

/** What is in the Maildirs, and the octets in mboxes. */
const delivered = (root: string): number =>
  homes(root).reduce((sum, home) => {
    const mbox = join(home, "mbox");
    return sum + names(home, "new").length + names(home, "cur").length + (existsSync(mbox) ? statSync(mbox).size : 0);
  }, 0);

/** Deliveries into Maildirs of which `deliver` has not been told that they are written down. */
const marks = (root: string): number =>
  homes(root).reduce((sum, home) => sum + names(home, "tmp").filter((name) => name.endsWith(".q")).length, 0);

function homes(root: string): string[] {
  const domain = join(root, "mail/localhost");
  return existsSync(domain) ? readdirSync(domain).map((home) => join(domain, home)) : [];
}

function names(home: string, part: string): string[] {
  const folder = join(home, "Maildir", part);
  return existsSync(folder) ? readdirSync(folder) : [];
}
