/**
 * Quotas of the file system itself: EDQUOT, where full disks say ENOSPC. Those of btrfs, because few kernels can do
 * without tools of their own what ext4 and XFS have.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { unlessRoot, without } from "../support/missing.ts";
import { temporaryFolder, until } from "../support/server.ts";
import { empty, fill } from "./small-disks.ts";
import { logOf, startStage } from "./stage.ts";

const unlessBtrfs = (): string | false =>
  !readFileSync("/proc/filesystems", "latin1").includes("\tbtrfs\n") && "needs a kernel with btrfs";

/** Exits, each of one mailbox, and their homes. */
const overQuota = [
  { exit: "POP3", home: "fetched" },
  { exit: "mbox", home: "mbox" },
] as const;

test("users over their quota: their mail waits with a clear word, others' goes on, and it comes when there is room", {
  skip: unlessRoot() || without("mkfs.btrfs") || unlessBtrfs(),
}, async () => {
  const base = temporaryFolder();
  const [image, root] = [join(base, "image"), join(base, "root")];
  const mail = join(root, "mail");
  const homeOf = (home: string): string => join(mail, "localhost", home);
  writeFileSync(image, "");
  truncateSync(image, 512 * 1_048_576);
  execFileSync("mkfs.btrfs", ["-q", image], { stdio: "ignore" });
  mkdirSync(mail, { recursive: true });
  execFileSync("mount", ["-o", "loop", image, mail]);
  try {
    execFileSync("btrfs", ["quota", "enable", mail]);
    mkdirSync(join(mail, "localhost"));
    for (const { home } of overQuota) {
      execFileSync("btrfs", ["subvolume", "create", homeOf(home)], { stdio: "ignore" });
      execFileSync("btrfs", ["qgroup", "limit", "4m", homeOf(home)]);
    }
    await using stage = await startStage({ folder: root });
    for (const { exit } of overQuota) assert.match(await stage.send(exit), /^250 /);
    assert.deepEqual(await stage.count(), []);
    for (const { home } of overQuota) fillToQuota(homeOf(home));
    const deferred = (): string[] =>
      logOf(stage)
        .split("\n")
        .filter((line) => line.includes('"deferral"'));
    for (const [n, { exit }] of overQuota.entries()) {
      assert.match(await stage.send(exit, "large"), /^250 /);
      await until("a deferral", () => deferred().length > n);
      assert.equal(stage.hasArrived(), false);
    }
    for (const line of deferred()) assert.match(line, /disk quota exceeded/);
    assert.match(await stage.send("Maildir"), /^250 /);
    await until("other mail", stage.hasArrived);
    for (const { home } of overQuota) empty(homeOf(home));
    assert.deepEqual(await stage.count(), []);
    assert.deepEqual(
      (await stage.server.status()).filter(({ restarts }) => restarts > 0),
      [],
    );
  } finally {
    execFileSync("umount", ["-l", mail]);
    rmSync(base, { recursive: true, force: true });
  }
});

/** What was set aside for writing is given back once it is written: that fits in the second time. */
function fillToQuota(home: string): void {
  fill(home);
  execFileSync("sync", ["-f", home]);
  fill(home);
}
