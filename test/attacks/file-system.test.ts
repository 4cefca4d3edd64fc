import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { unlessRoot } from "../support/missing.ts";
import { until } from "../support/server.ts";
import { homeRows, lockRows, playRows, prepareRows, sceneOf, theirs, usersOf } from "./home-rows.ts";
import { type Ended, type Production, startProduction } from "./production.ts";

const skip = unlessRoot();
let production: Production;
let scene: readonly string[];
let locked: Promise<readonly string[]>;

before(async () => {
  if (skip) return;
  production = await startProduction({
    users: usersOf(homeRows),
    prepare: (hand) => prepareRows([...homeRows, ...lockRows], hand),
  });
  scene = sceneOf(production);
  locked = playRows(production, lockRows); // waits for 30 seconds, while the others are played
});
after(async () => {
  if (!skip) await production[Symbol.asyncDispose]();
});

test("whatever a user puts where his mail goes, it is refused or is his own", { skip }, async () => {
  assert.deepEqual(await playRows(production, homeRows), []);
  assert.deepEqual(sceneOf(production), scene, "the other user's files are as they were");
  assert.equal(readFileSync(join(production.homeOf("mallory"), ".profile"), "utf8"), "mine\n");
});

/** Both names change places as fast as they can until the file `go` is gone. */
const swapping = `
  const fs = require("node:fs");
  const [, one, other] = process.argv;
  while (fs.existsSync("go")) for (let n = 0; n < 100; n++) {
    fs.renameSync(one, "aside"); fs.renameSync(other, one); fs.renameSync("aside", other);
  }`;
const messages = 30;
const races = [
  { name: "a Maildir and a link to theirs", link: "Maildir", lines: "./target/\n" },
  { name: "a Maildir's new and a link to theirs", link: "Maildir/new", lines: "./box/\n" },
  { name: "an mbox and a link to theirs", link: "for-all", lines: "./target\n" },
  { name: "a .qmail and a link to theirs", link: "private", lines: "" },
] as const;

for (const [at, { name, link, lines }] of races.entries()) {
  test(`${name} change places during deliveries: nothing goes to them`, { skip }, async () => {
    const home = production.homeOf("mallory");
    const extension = `race${at}`;
    production.write("mallory", join(home, "go"), "");
    const real =
      link === "Maildir/new" ? join(home, "box/new") : join(home, lines === "" ? `.qmail-${extension}` : "target");
    if (link === "Maildir") for (const part of ["new", "tmp", "cur"]) mkdirSync(join(real, part), { recursive: true });
    else if (link === "Maildir/new")
      for (const part of ["new", "tmp"]) mkdirSync(join(home, "box", part), { recursive: true });
    else writeFileSync(real, lines === "" ? "./Maildir/\n" : "");
    if (lines !== "") production.write("mallory", join(home, `.qmail-${extension}`), lines);
    symlinkSync(theirs(production, link), join(home, "other"));
    const mine = ["box", "other", "target", `.qmail-${extension}`].map((file) => join(home, file)).filter(isThere);
    execFileSync("chown", ["-hR", String(production.uidOf("mallory")), ...mine]);
    const swap = `exec '${process.execPath}' -e '${swapping}' '${real}' other`;
    const swapped = production.as("mallory", swap);
    const recipient = `mallory-${extension}@mx.example`;
    try {
      for (let n = 0; n < messages; n++) assert.match(await production.send([recipient]), /^250/);
      await until("their ends", () => endsOf(recipient).length >= messages);
    } finally {
      rmSync(join(home, "go"));
      const { code, stderr } = await swapped;
      assert.equal(code, 0, stderr);
      rmSync(real, { recursive: true, force: true });
      rmSync(join(home, "other"), { recursive: true, force: true });
    }
    // Between two renames there is no .qmail at all: then there is no mailbox either.
    const fate = lines === "" ? [] : endsOf(recipient).filter(({ result }) => result === "failure");
    assert.deepEqual(fate, []);
    assert.deepEqual(sceneOf(production), scene);
  });
}

const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;
const endsOf = (recipient: string): readonly Ended[] => production.ended().filter((one) => one.recipient === recipient);

test("a Maildir whose parts are on different devices gets nothing, one that is elsewhere as a whole does", {
  skip,
}, async () => {
  const home = production.homeOf("mallory");
  const mount = (path: string): unknown =>
    execFileSync("nsenter", [`--mount=/proc/${production.process.pid}/ns/mnt`, "mount", "-t", "tmpfs", "none", path]);
  for (const name of ["split", "whole"]) {
    mkdirSync(join(home, name));
    if (name === "whole") mount(join(home, name));
    const inside = `mkdir -p '${home}/${name}/tmp' '${home}/${name}/new'; chown -R ${production.uidOf("mallory")} '${home}/${name}'`;
    const namespace = `--mount=/proc/${production.process.pid}/ns/mnt`;
    execFileSync("nsenter", [namespace, "sh", "-c", inside]);
    if (name === "split") {
      mount(join(home, name, "new"));
      execFileSync("nsenter", [namespace, "chmod", "777", join(home, name, "new")]);
    }
    production.write("mallory", join(home, `.qmail-${name}`), `./${name}/\n`);
  }
  await production.send(["mallory-split@mx.example", "mallory-whole@mx.example"]);
  assert.match((await production.endOf("mallory-split")).text, /Temporary error on maildir delivery/);
  assert.deepEqual(readdirSync(join(home, "split/tmp")), []);
  assert.equal((await production.endOf("mallory-whole")).result, "success");
});

test("a lock that is not ours is waited for, whatever it is, and removed when nobody renews it", { skip }, async () => {
  assert.deepEqual(await locked, []);
  assert.deepEqual(sceneOf(production), scene);
});

test("after all of that every program is the one it was, and mail is delivered", { skip }, async () => {
  await production.send(["victim@mx.example", "mallory@mx.example"], "Subject: last\n\nbody\n");
  for (const user of ["victim", "mallory"]) {
    await until("the last message", () => production.mailOf(user).some((text) => text.includes("Subject: last")));
  }
  assert.deepEqual(
    (await production.status()).filter(({ restarts }) => restarts > 0),
    [],
  );
});
