import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { unlessRoot, without } from "../support/missing.ts";
import { temporaryFolder, tree } from "../support/server.ts";
import { fill } from "./small-disks.ts";

const postern = join(tree, "bin/postern");
const assign = "+kept-:kept:61001:61001:/nowhere:-::\n=kept:kept:61001:61001:/nowhere:::\n.\n";

/** Commands that write, and the file that each of them makes anew or removes. */
const commands: readonly { readonly words: readonly string[]; readonly file: string }[] = [
  { words: ["config", "set", "helohost", "new.test"], file: "control/helohost" },
  { words: ["config", "set", "helohost", "--default"], file: "control/helohost" },
  { words: ["newmrh"], file: "control/morercpthosts.cdb" },
  { words: ["newu"], file: "users/cdb" },
];

const inject = (call: string, error: string): readonly string[] => [
  ...["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"],
  ...["-e", `trace=${call}`, "-e", `inject=${call}:error=${error}`],
];

/** `within`: a command to run it with. `spoil`: what becomes of its disk, until `repair`. */
const faults: readonly {
  readonly name: string;
  readonly within?: readonly string[];
  readonly spoil?: (disk: string) => void;
  readonly repair?: (disk: string) => void;
  readonly removes: boolean;
}[] = [
  { name: "a flush that fails (EIO)", within: inject("fsync", "EIO"), removes: true },
  { name: "a rename that fails (EIO)", within: inject("rename", "EIO"), removes: false },
  { name: "a full disk", spoil: fill, removes: false },
  {
    name: "a read-only disk",
    spoil: (disk) => void execFileSync("mount", ["-o", "remount,ro", disk]),
    repair: (disk) => void execFileSync("mount", ["-o", "remount,rw", disk]),
    removes: true,
  },
];

test("commands that write: what cannot be written is said (111), and what was there stays whole", {
  skip: unlessRoot() || without("strace"),
}, async (t) => {
  for (const { words, file } of commands) {
    for (const { name, within = [], spoil, repair, removes } of faults) {
      if (words.includes("--default") && !removes) continue;
      await t.test(`postern ${words.join(" ")}: ${name}`, () => {
        const root = temporaryFolder();
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m,nr_inodes=40", "tmpfs", root]);
        try {
          for (const folder of ["control", "users", "run"]) mkdirSync(join(root, folder));
          writeFileSync(join(root, "control/me"), "localhost\n");
          writeFileSync(join(root, "control/morercpthosts"), "more.test\n");
          writeFileSync(join(root, "users/assign"), assign);
          writeFileSync(join(root, file), "before\n");
          spoil?.(root);
          const [command = postern, ...args] = [...within, postern, ...words, "--root", root];
          const failed = spawnSync(command, args, { encoding: "utf8" });
          repair?.(root);
          assert.equal(failed.status, 111, failed.stderr);
          assert.match(failed.stderr, /cannot (?:write|remove) .*: E[A-Z]+/);
          const names = readdirSync(join(root, file, ".."));
          assert.deepEqual(
            names.filter((each) => each.startsWith(".")),
            [],
          );
          // A flush of the folder fails when the work is done: then there is the new one, or none.
          if (!within.includes("trace=fsync")) assert.equal(readFileSync(join(root, file), "latin1"), "before\n");
          for (const each of readdirSync(root)) if (each.startsWith("filler")) rmSync(join(root, each));
          const again = spawnSync(postern, [...words, "--root", root], { encoding: "utf8" });
          assert.equal(again.status, 0, again.stderr);
        } finally {
          execFileSync("umount", ["-l", root]);
          rmSync(root, { recursive: true, force: true });
        }
      });
    }
  }
});

test("postern pw2u on a full disk: 111, and it says so", () => {
  const folder = temporaryFolder();
  const passwd = join(folder, "passwd");
  writeFileSync(passwd, "kept:x:61001:61001::/nowhere:/bin/sh\nalias:x:61002:61002::/nowhere:/bin/sh\n");
  const [from, full] = [openSync(passwd, "r"), openSync("/dev/full", "w")];
  const { status, stderr } = spawnSync(postern, ["pw2u", "-H", "--root", folder], {
    stdio: [from, full, "pipe"],
    encoding: "utf8",
  });
  for (const descriptor of [from, full]) closeSync(descriptor);
  rmSync(folder, { recursive: true });
  assert.equal(status, 111, stderr);
  assert.match(stderr, /cannot write .*ENOSPC/);
});
