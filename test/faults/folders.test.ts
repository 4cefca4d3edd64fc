import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { unlessRoot } from "../support/missing.ts";
import { temporaryFolder, until } from "../support/server.ts";
import { logOf, type Stage, startStage } from "./stage.ts";

/** What is done to a folder while the server runs, and undone: nothing is taken that is not kept, and nobody restarts it. */
const rows: readonly {
  readonly name: string;
  readonly spoil: (root: string) => void;
  readonly repair: (root: string) => void;
  readonly meanwhile: (stage: Stage) => Promise<void>;
}[] = [
  {
    name: "queue/ is renamed away: its open files are the queue still",
    spoil: (root) => renameSync(join(root, "queue"), join(root, "away")),
    repair: (root) => renameSync(join(root, "away"), join(root, "queue")),
    async meanwhile(stage) {
      for (const exit of ["Maildir", "forward", "remote"]) assert.match(await stage.send(exit), /^(?:250|4\d\d) /);
    },
  },
  {
    name: "mail/ is renamed away: mail waits, others' goes on",
    spoil: (root) => renameSync(join(root, "mail"), join(root, "away")),
    repair: (root) => renameSync(join(root, "away"), join(root, "mail")),
    meanwhile: mailWaits,
  },
  {
    name: "the disk of mail/ becomes read-only: mail waits, others' goes on",
    spoil: (root) => remount(root, "ro"),
    repair: (root) => remount(root, "rw"),
    meanwhile: mailWaits,
  },
];

async function mailWaits(stage: Stage): Promise<void> {
  assert.match(await stage.send("mbox"), /^250 /);
  assert.match(await stage.send("Maildir"), /^250 /);
  await until("both to be deferred", () => logOf(stage).split('"deferral"').length > 2);
  assert.match(await stage.send("remote"), /^250 /);
  await until("other mail", stage.hasArrived);
}

function remount(root: string, how: "ro" | "rw"): void {
  execFileSync("mount", ["-o", `remount,${how}`, join(root, "mail")]);
}

for (const { name, spoil, repair, meanwhile } of rows) {
  test(name, { skip: unlessRoot() }, async () => {
    const root = temporaryFolder();
    const isMount = name.includes("disk");
    mkdirSync(join(root, "mail"));
    if (isMount) execFileSync("mount", ["-t", "tmpfs", "tmpfs", join(root, "mail")]);
    chmodSync(join(root, "mail"), 0o700);
    try {
      await using stage = await startStage({ folder: root });
      assert.match(await stage.send("Maildir"), /^250 /);
      assert.deepEqual(await stage.count(), []);
      spoil(root);
      try {
        await meanwhile(stage);
      } finally {
        repair(root);
      }
      await stage.serving();
      assert.deepEqual(await stage.count(), []);
    } finally {
      if (isMount) execFileSync("umount", ["-l", join(root, "mail")]);
      rmSync(root, { recursive: true, force: true });
    }
  });
}
