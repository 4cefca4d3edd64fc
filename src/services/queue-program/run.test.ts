import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { runQueueProgram } from "./run.ts";
import { openSpool } from "./spool.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-program-"));
after(() => rmSync(folder, { recursive: true }));

/** Runs a shell script as the program, with a message. */
async function play(script: string, message: string, changed: { program?: string; longestMs?: number } = {}) {
  writeFileSync(join(folder, "program"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, "program"), 0o755);
  const opened = await openSpool(folder);
  if (opened.kind !== "done") return assert.fail(opened.text);
  await using spool = opened.value;
  for (const piece of message.match(/[\s\S]{1,65536}/g) ?? []) await spool.write(Buffer.from(piece, "latin1"));
  return await runQueueProgram({
    program: "program",
    folder,
    environment: { PATH: "/usr/bin:/bin", FOR_IT: "yes" },
    message: spool,
    reversePath: "s@x",
    forwardPaths: ["a@y", "\xff@z"],
    spoolFolder: folder,
    longestMs: 60_000,
    ...changed,
  });
}

const saved = (name: string): string => readFileSync(join(folder, name), "latin1");

test("§17.15 runQueueProgram() gives message and envelope, no arguments, and the environment", async () => {
  const outcome = await play(
    'cat >m; cat <&1 >e; echo "$#-$FOR_IT-$(env | grep -c NODE_OPTIONS)-$$" >said',
    "a: b\n\n\xff\r\nc",
  );
  assert.equal(saved("m"), "a: b\n\n\xff\r\nc");
  assert.equal(saved("e"), "Fs@x\0Ta@y\0T\xff@z\0\0");
  const [, pid] = /^0-yes-0-(\d+)\n$/.exec(saved("said")) ?? [];
  assert.deepEqual(outcome, done(Number(pid)), "§17.19: the word is the program's pid");
});

test("runQueueProgram() gives a message of 20 MB whole, also by its name /dev/stdin", async () => {
  const message = `${"x".repeat(999)}\n`.repeat(20_000);
  assert.equal((await play("cat /dev/stdin >m", message)).kind, "done");
  assert.ok(saved("m") === message);
});

const rejected = permanent("3.0", "mail server permanently rejected message");
const ends: readonly {
  name: string;
  script: string;
  program?: string;
  longestMs?: number;
  outcome: Outcome<number>;
}[] = [
  { name: "§17.16 exit 31", script: "exit 31", outcome: rejected },
  {
    name: "§17.16 exit 71",
    script: "exit 71",
    outcome: temporary("3.0", "mail server temporarily rejected message"),
  },
  { name: "§17.17 exit 35", script: "exit 35", outcome: permanent("3.0", "qq permanent problem") },
  { name: "§17.17 exit 99", script: "exit 99", outcome: temporary("3.0", "qq temporary problem") },
  {
    name: "§17.18 exit 82 and a text",
    script: 'echo "Dit is a virus (#5.7.1)" >&6; exit 82',
    outcome: permanent("7.1", "it is a virus"),
  },
  {
    name: "§17.18 exit 82 and a longer text than may be",
    script: 'head -c 100000 /dev/zero | tr "\\0" Z >&6; exit 82',
    outcome: temporary("3.0", "Z".repeat(254)),
  },
  { name: "a text and another exit", script: "echo Zx >&6; exit 31", outcome: rejected },
  { name: "a program that dies", script: "kill -9 $$", outcome: temporary("3.0", "qq crashed") },
  {
    name: "a program that hangs, and what it started too",
    script: "sleep 1000 & sleep 1000",
    longestMs: 300,
    outcome: temporary("3.0", "qq timeout"),
  },
  {
    name: "a program that is not there",
    script: "",
    program: "nowhere",
    outcome: temporary("3.0", "unable to exec qq"),
  },
];

for (const { name, script, outcome, ...changed } of ends) {
  test(`runQueueProgram() reports ${name}`, async () => {
    assert.deepEqual(await play(script, "x\n".repeat(100_000), changed), outcome);
  });
}

test("runQueueProgram() does not wait for what a program leaves running with descriptor 6", async () => {
  const outcome = await play("sleep 30 </dev/null >/dev/null 2>&1 & echo $! >left; exit 31", "");
  process.kill(Number(saved("left")));
  assert.deepEqual(outcome, rejected);
});

test("runQueueProgram() and openSpool() leave no file", async () => {
  await play("exit 0", "text");
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith("message-")),
    [],
  );
});

test("runQueueProgram() fails for now where it cannot write the envelope", async () => {
  const opened = await openSpool("/nonexistent");
  assert.deepEqual(opened, temporary("3.1", "cannot write a message in /nonexistent: ENOENT"));
});
