import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { unlessRoot, without } from "../support/missing.ts";
import { type ServerOptions, temporaryFolder, until } from "../support/server.ts";
import { empty, fill } from "./small-disks.ts";
import { logOf, type Stage, startStage } from "./stage.ts";

/** The arguments of mount(8) for a small disk; `image` is a file it may use. */
const disks: readonly { readonly name: string; readonly mount: (image: string) => readonly string[] }[] = [
  { name: "a tmpfs of 64 MB", mount: () => ["-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs"] },
  { name: "a tmpfs of 60 files", mount: () => ["-t", "tmpfs", "-o", "size=64m,nr_inodes=60,mode=700", "tmpfs"] },
  {
    name: "an ext4 of 64 MB",
    mount(image) {
      writeFileSync(image, "");
      truncateSync(image, 64 * 1_048_576);
      execFileSync("mkfs.ext4", ["-q", "-N", "256", image]);
      return ["-o", "loop", image];
    },
  },
];

/** What is answered, and what happens, while that folder's disk is full; and who is killed meanwhile. */
const places: readonly {
  readonly place: "queue" | "mail" | "log";
  readonly full: (stage: Stage) => Promise<void>;
  readonly killed?: string;
  readonly options?: ServerOptions;
}[] = [
  { place: "queue", full: queueFull, killed: "queue" },
  { place: "mail", full: mailFull },
  // Soon to be put aside, for which a file is needed.
  {
    place: "log",
    full: logFull,
    options: { control: { logbytes: "65536\n" }, files: { "log/current": "{}\n".repeat(18_000) } },
  },
];

for (const { place, full, killed, options } of places) {
  for (const { name, mount } of disks) {
    // The queue has two files, made at its start: it does not run out of them.
    if (place === "queue" && name.includes("files")) continue;
    test(`${place}/ on ${name}, full: no mail lost, the rest goes on, and well by itself when there is space`, {
      skip: unlessRoot() || without("mkfs.ext4"),
    }, async () => {
      const base = temporaryFolder();
      const root = join(base, "root");
      mkdirSync(join(root, place), { recursive: true });
      execFileSync("mount", [...mount(join(base, "image")), join(root, place)]);
      try {
        await using stage = await startStage({ ...options, folder: root });
        const { pid } = stage.server.process;
        assert.match(await stage.send("Maildir"), /^250 /);
        assert.deepEqual(await stage.count(), []);
        await full(stage);
        empty(join(root, place));
        await stage.serving();
        assert.deepEqual(await stage.count(), []);
        assert.equal(stage.server.process.pid, pid);
        assert.deepEqual(
          (await stage.server.status()).filter(({ name, restarts }) => restarts > (name === killed ? 1 : 0)),
          [],
        );
      } finally {
        execFileSync("umount", ["-l", join(root, place)]);
        rmSync(base, { recursive: true, force: true });
      }
    });
  }
}

/** New mail is refused for now. What waits is delivered and bounced, into the space kept for that; a start works, too. */
async function queueFull(stage: Stage): Promise<void> {
  stage.sink = "busy";
  for (let n = 0; n < 10; n++) assert.match(await stage.send(n % 2 === 0 ? "remote" : "bounce"), /^250 /);
  fill(join(stage.server.root, "queue"));
  const refusals: string[] = [];
  for (let n = 0; n < 50 && refusals.length < 3; n++) {
    const reply = await stage.send("remote", "large");
    if (!reply.startsWith("250")) refusals.push(reply);
  }
  assert.equal(refusals.length, 3);
  for (const reply of refusals) assert.match(reply, /^4\d\d 4\.3\.1 /);
  assert.match(await stage.send("Maildir"), /^4\d\d 4\.3\.1 /);
  stage.sink = "well";
  assert.deepEqual(await stage.count(), []);
  const alerts = logOf(stage)
    .split("\n")
    .filter((line) => line.includes('"alert"'));
  assert.equal(alerts.length, 1, String(alerts));
  assert.match(String(alerts), /cannot write the queue: .*full; refusing new mail/);
  for (const pid of stage.pids("queue")) process.kill(pid, "SIGKILL");
  await until("the queue again", async () => /4\.3\.1 cannot write/.test(await stage.send("Maildir")));
}

/** It is taken and waits; mail for others goes on. */
async function mailFull(stage: Stage): Promise<void> {
  fill(join(stage.server.root, "mail"));
  assert.match(await stage.send("Maildir", "large"), /^250 /);
  await until("a deferral", () => logOf(stage).includes('"deferral"'));
  assert.equal(stage.hasArrived(), false);
  assert.match(await stage.send("remote"), /^250 /);
  await until("other mail", stage.hasArrived);
}

/** Mail does not wait for its log; what is missing in it is told when it can be. */
async function logFull(stage: Stage): Promise<void> {
  fill(join(stage.server.root, "log"));
  for (let n = 0; n < 40; n++) assert.match(await stage.send("Maildir"), /^250 /);
  assert.deepEqual(await stage.count(), []);
  empty(join(stage.server.root, "log"));
  assert.match(await stage.send("Maildir"), /^250 /);
  await until("a word of what is missing", () => / lines were not logged: cannot write .*ENOSPC/.test(logOf(stage)));
}
