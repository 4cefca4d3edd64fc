import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { unlessRoot } from "../support/missing.ts";
import { until } from "../support/server.ts";
import { startStage } from "./stage.ts";

const pids = "/sys/fs/cgroup/pids";

test("out of processes: what needs one waits, the rest goes on, and it is made up for", {
  skip: unlessRoot() || (!existsSync(pids) && "needs the pids cgroup"),
}, async () => {
  await using stage = await startStage();
  const group = join(pids, `postern-test-${process.pid}`);
  mkdirSync(group);
  try {
    const [local] = stage.pids("local");
    writeFileSync(join(group, "cgroup.procs"), String(local));
    writeFileSync(join(group, "pids.max"), readFileSync(join(group, "pids.current"), "latin1"));
    assert.match(await stage.send("Maildir"), /^250 /); // no deliver yet, and none to be had
    assert.match(await stage.send("program"), /^250 /);
    const log = () => readFileSync(join(stage.server.root, "log/current"), "latin1");
    await until("both to be deferred", () => log().split('"deferral"').length > 2);
    assert.match(await stage.send("remote"), /^250 /);
    await until("other mail", stage.hasArrived);
    assert.deepEqual(stage.pids("local"), [local]);
    writeFileSync(join(group, "pids.max"), "max");
    await stage.serving();
    assert.deepEqual(await stage.count(), []);
  } finally {
    for (const pid of readFileSync(join(group, "cgroup.procs"), "latin1").split("\n").filter(Boolean)) {
      writeFileSync(join(pids, "cgroup.procs"), pid);
    }
    await until("the group to be empty", () => readFileSync(join(group, "cgroup.procs"), "latin1") === "");
    rmdirSync(group);
  }
});

test("nobody answers questions for names: local mail goes on, the other waits and says why", async () => {
  await using stage = await startStage({ control: { smtproutes: "", nameservers: "127.0.0.1:9\n" } });
  assert.match(await stage.send("remote"), /^250 /);
  assert.match(await stage.send("Maildir"), /^250 /);
  await until("local mail", stage.hasArrived);
  const log = () => readFileSync(join(stage.server.root, "log/current"), "latin1");
  await until("the reason", () => log().includes("(#4.4.3)\\nno DNS server could be reached"));
});
