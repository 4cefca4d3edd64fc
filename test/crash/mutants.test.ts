/** Deliberate faults that the kills and the power cuts must notice, or they prove nothing. By the promise they break. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { unlessLong, unlessRoot, without } from "../support/missing.ts";
import { type Fault, mutant } from "../support/mutant.ts";
import { runPlan } from "./crashes.ts";
import { kill } from "./kills.ts";
import { cutPowerUnderLoad } from "./power-cut.ts";

interface Row {
  readonly name: string;
  /** The program that is killed again and again, or the power that is cut. */
  readonly crash: "queue" | "smtpd" | "deliver" | "power";
  /** How often in one load; 3 unless told otherwise. */
  readonly crashes?: number;
  /** Not caught in every run: only in the long form. */
  readonly isLong?: true;
  readonly exits: readonly string[];
  readonly fault: Fault;
  /** What the ledger, or who waits for the load, says of it. */
  readonly shows: RegExp;
}

const apart = (change: string) =>
  `${change} ((group, then) => setTimeout(() => this.#core.require(active, group, then), 30))`;

const rows: readonly Row[] = [
  {
    name: "stored: queue answers before its commit",
    crash: "queue",
    exits: ["Maildir", "remote"],
    fault: {
      file: "programs/queue/intake.js",
      from: "this.#core.committer.offer(admission.changes, ",
      to:
        "send(stored.encode(stream, { queueId: id })); send = () => {};" +
        "((...offer) => setTimeout(() => this.#core.committer.offer(...offer), 50))(admission.changes, ",
    },
    shows: /was acknowledged.* and is not in/,
  },
  {
    name: "stored: queue's commits are not flushed",
    crash: "power",
    exits: ["Maildir", "forward"],
    fault: { file: "services/storage/sqlite.js", from: 'durable ? "FULL" : "NORMAL"', to: '"OFF"' },
    shows: /was acknowledged.* and is not in/,
  },
  {
    name: "never lost: local does not flush what was delivered",
    crash: "power",
    exits: ["Maildir", "forward"],
    fault: { file: "services/kernel/flush.js", from: "libc().syncfs(fd) < 0", to: "false" },
    shows: /was acknowledged.* and is not in|not whole/,
  },
  {
    name: "never lost: local flushes another file system",
    crash: "power",
    isLong: true,
    exits: ["Maildir", "forward"],
    fault: { file: "services/kernel/flush.js", from: "libc().syncfs(fd) < 0", to: "libc().syncfs(2) < 0" },
    shows: /was acknowledged.* and is not in|not whole/,
  },
  {
    name: "once: deliver writes no mark",
    crash: "queue",
    crashes: 5,
    isLong: true,
    exits: ["Maildir"],
    fault: { file: "services/maildir/store.js", from: "if (!linked(", to: "if (!mark && !linked(" },
    shows: /is in the Maildirs 2 times/,
  },
  {
    name: "once: deliver removes its marks as soon as it has answered",
    crash: "queue",
    crashes: 5,
    isLong: true,
    exits: ["Maildir"],
    fault: {
      file: "programs/deliver/serve.js",
      from: "unsettled.set(id, delivered.marks);",
      to: "unsettled.set(id, delivered.marks); settle(id);",
    },
    shows: /is in the Maildirs 2 times/,
  },
  {
    name: "once: queue commits a result after it has said that it did",
    crash: "queue",
    crashes: 5,
    isLong: true,
    exits: ["Maildir"],
    fault: {
      file: "programs/queue/settle.js",
      from: "this.#core.require(active, changes, () => {",
      to: `${apart("written(); written = () => {};")}(changes, () => {`,
    },
    shows: /is in the Maildirs 2 times/,
  },
  {
    name: "forwarded once: the forward is committed apart from the result",
    crash: "queue",
    exits: ["forward"],
    fault: {
      file: "programs/queue/settle.js",
      from: "this.#core.require(active, changes, () => {",
      to: `${apart("const end = changes.pop(); this.#core.require(active, changes);")}([end], () => {`,
    },
    shows: /is in the (first|second) target \d+ times/,
  },
  {
    name: "whole: what a client broke off is taken",
    crash: "smtpd",
    exits: ["Maildir", "mbox"],
    fault: {
      file: "programs/smtpd/connection.js",
      from: "this.#intake?.abandon();",
      to: "this.#intake?.finish({ ...this.#session.transaction, uid: this.#around.uid });",
    },
    shows: /, unfinished, is in/,
  },
  {
    name: "whole: a mark is believed without its message",
    crash: "power",
    isLong: true,
    exits: ["Maildir", "forward"],
    fault: { file: "services/maildir/store.js", from: "if (holds(", to: "if (mark || holds(" },
    shows: /is not whole/,
  },
  {
    name: "whole: an append to an mbox does not look for an earlier one",
    crash: "deliver",
    crashes: 6,
    exits: ["mbox"],
    fault: { file: "programs/deliver/mbox.js", from: "= readMark(", to: "= !delivery.mark && readMark(" },
    shows: /the mbox is not whole|in the mbox \d+ times/,
  },
  {
    name: "an event, not an outage: supervise does not start again what died",
    crash: "smtpd",
    crashes: 1,
    exits: ["Maildir"],
    fault: {
      file: "programs/supervise/member.js",
      from: "this.#again = setTimeout(() => this.start(), waitMs);",
      to: "",
    },
    shows: /came to a standstill/,
  },
  {
    name: "an event, not an outage: supervise closes the listeners of what died",
    crash: "smtpd",
    crashes: 1,
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

/** Whether one crash falls where the fault shows is chance; that none of so many loads' does is not. */
const mostLoads = 8;
const standstillMs = 20_000;

for (const row of rows) {
  const skip = (row.isLong && unlessLong()) || (row.crash === "power" && (unlessRoot() || without("mkfs.ext4")));
  test(`a mutant is caught: ${row.name}`, { skip }, async (t) => {
    using broken = mutant(row.fault);
    const firstSeed = Date.now() % 1_000_000;
    const seen: string[] = [];
    for (let load = 0; load < mostLoads && !seen.some((line) => row.shows.test(line)); load++) {
      seen.push(...(await brokenPromises(row, broken.tree, firstSeed + load)));
      t.diagnostic(`load ${load + 1}: ${seen.slice(0, 3).join("; ")}`);
    }
    assert.ok(
      seen.some((line) => row.shows.test(line)),
      "it broke no promise: these crashes prove nothing",
    );
  });
}

async function brokenPromises(
  { crash, crashes = 3, exits }: Row,
  tree: string,
  seed: number,
): Promise<readonly string[]> {
  const shared = { seed, exits, messages: 400, sessions: 40, standstillMs };
  try {
    if (crash === "power") {
      return (await cutPowerUnderLoad({ ...shared, fileSystem: "ext4", cuts: crashes, tree })).wrong;
    }
    return (await runPlan({ ...shared, crashes, crash: kill(crash), options: { tree } })).wrong;
  } catch (error) {
    return [String(error)];
  }
}
