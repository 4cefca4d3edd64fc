import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openPrograms, programNames } from "../../src/programs/supervise/walls.ts";
import { unlessRoot } from "../support/missing.ts";
import { temporaryFolder, tree } from "../support/server.ts";
import { disagreements } from "./allowed.ts";
import { besiege, type Scene } from "./besiege.ts";
import type { Pass } from "./siege.ts";

/** A wall with a hole: in `file`, below src/, the text `from` becomes `to`. */
interface Hole {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly pass: Pass;
  readonly users: Scene["users"];
  /** What it lets somebody do. */
  readonly lets: string;
}

const launcher = "programs/launcher/become-program.ts";
const calls = "services/launch/refused-calls.ts";
const table = "programs/supervise/walls.ts";
const holes: readonly Hole[] = [
  {
    name: "no Landlock",
    file: launcher,
    from: "if (landlock !== null)",
    to: "if (landlock === null)",
    pass: "native",
    users: "one",
    lets: "read outside",
  },
  {
    name: "no seccomp",
    file: launcher,
    from: "if (!seccomp)",
    to: "if (seccomp)",
    pass: "native",
    users: "one",
    lets: "fork",
  },
  {
    name: "root keeps its capabilities",
    file: launcher,
    from: "const dropped = dropCapabilities();",
    to: 'const dropped = { kind: "done" } as ReturnType<typeof dropCapabilities>;',
    pass: "native",
    users: "one",
    lets: "join groups",
  },
  {
    name: "smtpd may write the queue's folder",
    file: table,
    from: 'account: "postern-smtpd",\n    network: "accept",\n    limits: { descriptors: 110_000, heapMiB: 192 },',
    to: 'account: "postern-smtpd",\n    write: ["queue"],\n    network: "accept",\n    limits: { descriptors: 110_000, heapMiB: 192 },',
    pass: "native",
    users: "one",
    lets: "write queue",
  },
  {
    name: "deliver may connect",
    file: table,
    from: 'deliver: {\n    ...confined,\n    account: "recipient",\n    network: "none",',
    to: 'deliver: {\n    ...confined,\n    account: "recipient",\n    network: "connect",',
    pass: "native",
    users: "one",
    lets: "connect by TCP",
  },
  {
    name: "queue may call libc",
    file: table,
    from: 'write: ["queue"],\n    network: "none",',
    to: 'write: ["queue"],\n    ffi: true,\n    network: "none",',
    pass: "javascript",
    users: "one",
    lets: "call libc",
  },
  {
    name: "all may start processes, as far as Node goes",
    file: "services/launch/node-flags.ts",
    from: '...(wall.kernel === "open" ? ["--allow-child-process"] : []),',
    to: '"--allow-worker",',
    pass: "javascript",
    users: "one",
    lets: "start a worker",
  },
  {
    name: "strings are evaluated",
    file: "services/launch/node-flags.ts",
    from: '"--disallow-code-generation-from-strings",',
    to: "",
    pass: "javascript",
    users: "one",
    lets: "evaluate a string",
  },
  {
    name: "modes may be changed",
    file: calls,
    from: '["chmod", "fchmodat",',
    to: '["fchmodat",',
    pass: "native",
    users: "one",
    lets: "change a mode outside",
  },
  {
    name: "signals to others pass",
    file: calls,
    from: 'calls: ["kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"],',
    to: 'calls: ["tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"],',
    pass: "native",
    users: "one",
    lets: "signal its group",
  },
];

for (const { name, file, from, to, pass, users, lets } of holes) {
  test(`a hole is noticed: ${name}`, { skip: unlessRoot() }, async (t) => {
    const copy = temporaryFolder();
    t.after(() => rmSync(copy, { recursive: true, force: true }));
    for (const part of ["src", "test/walls", "package.json"])
      cpSync(join(tree, part), join(copy, part), { recursive: true });
    symlinkSync(join(tree, "node_modules"), join(copy, "node_modules"));
    const path = join(copy, "src", file);
    const code = readFileSync(path, "utf8");
    assert.equal(code.split(from).length, 2, `${file} has exactly one "${from}"`);
    writeFileSync(
      path,
      code.replace(from, () => to),
    );
    const siege = await besiege(pass, { users }, join(copy, "test/walls"));
    const surplus = programNames
      .filter((program) => !openPrograms.includes(program))
      .flatMap((program) => disagreements(program, pass, users, siege[program] ?? {}).surplus);
    assert.ok(surplus.includes(lets), `it let: ${surplus.join("; ")}`);
  });
}
