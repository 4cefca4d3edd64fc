import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { unlessRoot, without } from "../support/missing.ts";
import { type Mutant, mutant } from "../support/mutant.ts";
import { type Server, temporaryFolder, tree, until } from "../support/server.ts";
import { isCopied, look, makeVictim, messages } from "./damage.ts";

const skip = unlessRoot() || without("strace");

interface Row {
  readonly call: string;
  readonly error: string;
  /** Below the server's folder. */
  readonly file: string;
}

/** strace that makes a program's first call of this kind on one file fail. */
const failing = ({ call, error, file }: Row, root: string, trace: string): string[] => [
  ...["strace", "-D", "-qq", "-o", trace, "-P", join(root, file)],
  ...["-e", `trace=${call}`, "-e", `inject=${call}:error=${error}:when=1`],
];

/** A server whose first `queue` starts under strace; the next one does not. */
function tracedQueue(strace: readonly string[]): Mutant {
  const from = "return spawn(plan.node, [...quiet";
  const first = 'plan.program === "queue" && !globalThis.traced && (globalThis.traced = true)';
  const to = `const [node, ...before] = ${first} ? [...${JSON.stringify(strace)}, plan.node] : [plan.node];
    return spawn(node, [...before, ...quiet`;
  return mutant({ file: "services/launch/launch.js", from, to });
}

const queueAnswers = (server: Server): Promise<void> =>
  until("the queue to answer", async () => (await server.postern(["queue", "count"])).code === 0);

/** Calls with which `queue` starts. It may end of them; then it is started again, and has lost nothing. */
const ofQueue: readonly Row[] = [
  { call: "openat", error: "EMFILE", file: "queue/queue.sqlite" },
  { call: "openat", error: "EIO", file: "queue/queue.sqlite-wal" },
  { call: "pread64", error: "EIO", file: "queue/queue.sqlite" },
  { call: "pwrite64", error: "ENOSPC", file: "queue/queue.sqlite-wal" },
  { call: "fdatasync,fsync", error: "EIO", file: "queue/queue.sqlite-wal" },
  { call: "openat", error: "ENOSPC", file: "queue/reserve" },
];

test("queue starts on calls that fail, with mail in it: all of it is delivered, and nobody is needed", {
  skip,
}, async (t) => {
  using victim = await makeVictim("killed");
  const base = temporaryFolder();
  for (const row of ofQueue) {
    await t.test(`${row.call} ${row.error} of ${row.file}`, async () => {
      const root = join(base, "root");
      const trace = join(base, "trace");
      cpSync(victim.root, root, { recursive: true, filter: isCopied });
      using traced = tracedQueue(failing(row, root, trace));
      const { wrong, saved, aside } = await look(root, traced.tree, queueAnswers);
      assert.match(readFileSync(trace, "latin1"), /INJECTED/);
      assert.deepEqual(wrong, []);
      assert.equal(saved, messages);
      assert.deepEqual(aside, []);
      rmSync(root, { recursive: true });
    });
  }
  rmSync(base, { recursive: true });
});

/** Calls with which `supervise` starts. It ends with 111 and says why: what started it starts it again. */
const ofSupervise: readonly Row[] = [
  { call: "openat", error: "EMFILE", file: "control" },
  { call: "openat", error: "EIO", file: "control/me" },
  { call: "openat", error: "ENFILE", file: "run/lock.queue" },
];

test("supervise starts on calls that fail: it says which, ends with 111, and starts the next time", {
  skip,
}, async (t) => {
  using victim = await makeVictim("killed");
  const base = temporaryFolder();
  for (const row of ofSupervise) {
    await t.test(`${row.call} ${row.error} of ${row.file}`, async () => {
      const root = join(base, "root");
      cpSync(victim.root, root, { recursive: true, filter: isCopied });
      const trace = join(base, "trace");
      const start = [join(tree, "bin/postern"), "start", "--embedded", "--root", root];
      const [command = "", ...args] = [...failing(row, root, trace), ...start];
      const { status, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 60_000 });
      assert.match(readFileSync(trace, "latin1"), /INJECTED/);
      assert.equal(status, 111, stderr);
      assert.ok(stderr.includes(row.file), stderr);
      const { wrong, saved } = await look(root);
      assert.deepEqual(wrong, []);
      assert.equal(saved, messages);
      rmSync(root, { recursive: true });
    });
  }
  rmSync(base, { recursive: true });
});
