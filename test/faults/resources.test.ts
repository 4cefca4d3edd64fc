import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { drain } from "../crash/crashes.ts";
import { startDnsServer } from "../support/dns-server.ts";
import { unlessLong, unlessRoot } from "../support/missing.ts";
import { freePort, until } from "../support/server.ts";
import { startSmtpPeer } from "../support/smtp-peer.ts";
import { logOf, startStage } from "./stage.ts";

const pids = "/sys/fs/cgroup/pids";
const memory = "/sys/fs/cgroup/memory";

test("out of processes: what needs one waits, the rest goes on, and it is made up for", {
  skip: unlessRoot() || (!existsSync(pids) && "needs the pids cgroup"),
}, async () => {
  // Else RCPT would say that nobody can tell: who looks for mailboxes is a process too.
  await using stage = await startStage({ control: { recipientcheck: "accept\n" } });
  const group = join(pids, `postern-test-${process.pid}`);
  mkdirSync(group);
  try {
    const [local] = stage.pids("local");
    writeFileSync(join(group, "cgroup.procs"), String(local));
    writeFileSync(join(group, "pids.max"), readFileSync(join(group, "pids.current"), "latin1"));
    assert.match(await stage.send("Maildir"), /^250 /); // no deliver yet, and none to be had
    assert.match(await stage.send("program"), /^250 /);
    await until("both to be deferred", () => logOf(stage).split('"deferral"').length > 2);
    assert.match(await stage.send("remote"), /^250 /);
    await until("other mail", stage.hasArrived);
    assert.deepEqual(stage.pids("local"), [local]);
    writeFileSync(join(group, "pids.max"), "max");
    await stage.serving();
    assert.deepEqual(await stage.count(), []);
  } finally {
    await empty(group, pids);
  }
});

/** The others when there is time. */
const firstLimited: readonly string[] = ["smtpd", "queue", "deliver"];
for (const program of [...firstLimited, "local", "remote", "logger"]) {
  test(`${program} over a limit of memory is killed: it comes back, nothing is lost`, {
    skip:
      unlessRoot() ||
      (!existsSync(memory) && "needs the memory cgroup") ||
      (!firstLimited.includes(program) && unlessLong()),
  }, async () => {
    await using stage = await startStage();
    await stage.send("Maildir"); // there is a deliver
    await stage.count();
    const group = join(memory, `postern-test-${process.pid}`);
    mkdirSync(group);
    try {
      const before = stage.pids(program);
      for (const pid of before) writeFileSync(join(group, "cgroup.procs"), String(pid));
      writeFileSync(join(group, "memory.limit_in_bytes"), "1048576"); // of what they take from now on
      await until("one to be killed", async () => {
        for (const exit of ["Maildir", "remote"]) await stage.send(exit, "large");
        stage.disturbed();
        return before.some((pid) => !stage.pids(program).includes(pid));
      });
      writeFileSync(join(group, "memory.limit_in_bytes"), "-1");
      await stage.serving();
      assert.deepEqual(await stage.count(), []);
    } finally {
      await empty(group, memory);
    }
  });
}

/** Moves who is left in a cgroup up, and removes it. */
async function empty(group: string, parent: string): Promise<void> {
  const left = (): readonly string[] => readFileSync(join(group, "cgroup.procs"), "latin1").split("\n").filter(Boolean);
  await until("the group to be empty", () => {
    for (const pid of left()) {
      try {
        writeFileSync(join(parent, "cgroup.procs"), pid);
      } catch {
        // it has just ended
      }
    }
    return left().length === 0;
  });
  rmdirSync(group);
}

test("a destination that is down rests, and gets its mail when it is back", async () => {
  const port = await freePort();
  await using stage = await startStage({ control: { smtproutes: `:127.0.0.1:${port}\n` } });
  for (let n = 0; n < 4; n++) assert.match(await stage.send("remote"), /^250 /);
  await until("two deferrals", () => logOf(stage).split('"deferral"').length > 2);
  assert.match(await stage.send("Maildir"), /^250 /);
  await until("local mail", stage.hasArrived);
  await using peer = await startSmtpPeer({ port });
  await drain(stage.server);
  const recipients = peer.received.flatMap(({ forwardPaths }) => forwardPaths);
  assert.deepEqual(
    recipients.toSorted(),
    [1, 2, 3, 4].map((n) => `n${n}@sink.test`),
  );
});

test("nobody answers questions for names: local mail goes on, the other waits, says why, and goes when they are back", async () => {
  const port = await freePort();
  await using peer = await startSmtpPeer();
  await using stage = await startStage({
    control: { smtproutes: `:relay.test:${peer.port}\n`, nameservers: `127.0.0.1:${port}\n` },
  });
  assert.match(await stage.send("remote"), /^250 /);
  assert.match(await stage.send("Maildir"), /^250 /);
  await until("local mail", stage.hasArrived);
  await until("the reason", () => logOf(stage).includes("(#4.4.3)\\nno DNS server could be reached"));
  const here = { kind: "answer", records: [{ type: "A", address: "127.0.0.1" }] } as const;
  await using _names = await startDnsServer([["relay.test A", here]], { address: "127.0.0.1", port });
  await drain(stage.server);
  assert.deepEqual(
    peer.received.map(({ forwardPaths }) => forwardPaths),
    [["n1@sink.test"]],
  );
});
