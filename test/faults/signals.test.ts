import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { entrances, textOf } from "../crash/table.ts";
import { until } from "../support/server.ts";
import { type Stage, startStage } from "./stage.ts";

const inject = (stage: Stage) =>
  entrances.find(({ name }) => name === "inject")?.send(stage.server, "injected@localhost", textOf(999_999));

/** Each program, and what goes on while it stands still. */
const rows: readonly { readonly program: string; readonly goesOn: (stage: Stage) => Promise<void> }[] = [
  { program: "smtpd", goesOn: async (stage) => assert.equal(await inject(stage), "acknowledged") },
  { program: "qmqpd", goesOn: (stage) => arrives(stage, "Maildir") },
  { program: "queue", goesOn: async (stage) => assert.match((await stage.server.postern(["status"])).stdout, /queue/) },
  { program: "local", goesOn: (stage) => arrives(stage, "remote") },
  { program: "deliver", goesOn: (stage) => arrives(stage, "remote") },
  { program: "remote", goesOn: (stage) => arrives(stage, "Maildir") },
  { program: "logger", goesOn: (stage) => arrives(stage, "Maildir") },
];

async function arrives(stage: Stage, exit: string): Promise<void> {
  assert.match(await stage.send(exit), /^250 /);
  await until("its arrival", stage.hasArrived, 20_000);
}

test("each program stopped (STOP): the rest goes on; told to end (TERM) and killed (KILL): it comes back", async (t) => {
  await using stage = await startStage();
  await arrives(stage, "Maildir");
  for (const { program, goesOn } of rows) {
    await t.test(program, async () => {
      for (const pid of stage.pids(program)) process.kill(pid, "SIGSTOP");
      try {
        await goesOn(stage);
      } finally {
        for (const pid of stage.pids(program)) process.kill(pid, "SIGCONT");
      }
      for (const signal of ["SIGTERM", "SIGKILL"] as const) {
        const before = stage.pids(program);
        stage.disturbed();
        for (const pid of before) process.kill(pid, signal);
        await until(`${program} to end`, () => !stage.pids(program).some((pid) => before.includes(pid)), 20_000);
        await stage.serving(); // new mail needs all of them but two
        if (program !== "deliver") await until(`${program} again`, () => stage.pids(program).length > 0, 20_000);
      }
      assert.deepEqual(await stage.count(), []);
    });
  }
});

test("HUP with a bad control file: the settings stay as they were, and it says which file and why", async () => {
  await using stage = await startStage();
  const { server } = stage;
  const limit = join(server.root, "control/concurrencylocal");
  const log = () => readFileSync(join(server.root, "log/current"), "utf8");
  writeFileSync(limit, "many\n");
  server.process.kill("SIGHUP");
  await until("a complaint", () => server.output().includes("not reloaded: control/concurrencylocal"));
  await arrives(stage, "Maildir");
  assert.match(log(), /not reloaded/);
  writeFileSync(limit, "0\n");
  server.process.kill("SIGHUP");
  await until("the reload", () => log().includes('"reloaded"'));
  assert.match(await stage.send("Maildir"), /^250 /);
  assert.equal(stage.hasArrived(), false, "now it is heeded");
  writeFileSync(limit, "10\n");
  server.process.kill("SIGHUP");
  assert.deepEqual(await stage.count(), []);
});
