import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { unlessRoot, without } from "../support/missing.ts";
import { temporaryFolder, until } from "../support/server.ts";
import { type Stage, startStage } from "./stage.ts";

/** The arguments of mount(8) for a small disk; `image` is a file it may use. */
const disks: readonly { readonly name: string; readonly mount: (image: string) => readonly string[] }[] = [
  { name: "a tmpfs of 24 MB", mount: () => ["-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs"] },
  { name: "a tmpfs of 60 files", mount: () => ["-t", "tmpfs", "-o", "nr_inodes=60,mode=700", "tmpfs"] },
  {
    name: "an ext4 of 16 MB",
    mount(image) {
      writeFileSync(image, "");
      truncateSync(image, 16 * 1_048_576);
      execFileSync("mkfs.ext4", ["-q", "-N", "256", image]);
      return ["-o", "loop", image];
    },
  },
];

/** What is answered, and what happens, while that folder's disk is full. */
const places: readonly { readonly place: "queue" | "mail" | "log"; readonly full: (stage: Stage) => Promise<void> }[] =
  [
    { place: "queue", full: queueFull },
    { place: "mail", full: mailFull },
    { place: "log", full: logFull },
  ];

for (const { place, full } of places) {
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
        await using stage = await startStage({ folder: root });
        const { pid } = stage.server.process;
        assert.match(await stage.send("Maildir"), /^250 /);
        assert.deepEqual(await stage.count(), []);
        await full(stage);
        empty(join(root, place));
        await stage.serving();
        assert.deepEqual(await stage.count(), []);
        assert.equal(stage.server.process.pid, pid);
        assert.deepEqual(
          (await stage.server.status()).filter(({ restarts }) => restarts > 0),
          [],
        );
      } finally {
        execFileSync("umount", ["-l", join(root, place)]);
        rmSync(base, { recursive: true, force: true });
      }
    });
  }
}

/** Refused for now. Not even the end of a delivery can be written down: what waits goes on waiting, and goes later. */
async function queueFull(stage: Stage): Promise<void> {
  stage.sink = "busy";
  for (let n = 0; n < 5; n++) assert.match(await stage.send("remote"), /^250 /);
  fill(join(stage.server.root, "queue"));
  const refusals: string[] = [];
  for (let n = 0; n < 50 && refusals.length < 3; n++) {
    const reply = await stage.send("remote", "large");
    if (!reply.startsWith("250")) refusals.push(reply);
  }
  assert.equal(refusals.length, 3);
  for (const reply of refusals) assert.match(reply, /^4\d\d 4\.3\.\d /);
  stage.sink = "well";
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
  for (let n = 0; n < 30; n++) assert.match(await stage.send("Maildir"), /^250 /);
  assert.deepEqual(await stage.count(), []);
  empty(join(stage.server.root, "log"));
  assert.match(await stage.send("Maildir"), /^250 /);
  await until("a word of what is missing", () => / lines were not logged: cannot write .*ENOSPC/.test(logOf(stage)));
}

const logOf = (stage: Stage): string => readFileSync(join(stage.server.root, "log/current"), "latin1");

const fillers = /^filler/;

/** Takes every file and every octet that is left, as a user's other mail would. */
function fill(folder: string): void {
  const octets = Buffer.alloc(4_096, 120);
  try {
    for (let n = 0; n < 400; n++) {
      const fd = openSync(join(folder, `filler${n}`), "w");
      try {
        for (let at = 0; n === 0 && at < 2 ** 28; at += octets.length) writeSync(fd, octets);
      } catch {
        // no space: there may still be files
      } finally {
        closeSync(fd);
      }
    }
  } catch {
    // no files
  }
}

function empty(folder: string): void {
  for (const name of readdirSync(folder).filter((each) => fillers.test(each))) rmSync(join(folder, name));
}
