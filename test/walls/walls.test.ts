import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { landlockAbi } from "../../src/services/kernel/landlock.ts";
import type { Pass, Siege } from "./siege.ts";

const everybody = ["smtpd", "qmqpd", "queue", "local", "deliver", "remote", "logger"] as const;
type Program = (typeof everybody)[number];

/** Who owns what; nobody else may even read it. */
const ownPlaces: Readonly<Record<string, Program | undefined>> = {
  control: undefined,
  users: undefined,
  run: undefined,
  mail: undefined,
  alias: undefined,
  queue: "queue",
  log: "logger",
  home: "deliver",
};

/** All that is allowed; whatever else an attempt does must be refused. `local` is root, and open: it shows here. */
const allowed: Readonly<Record<Pass, ReadonlyMap<string, readonly Program[]>>> = {
  javascript: new Map<string, readonly Program[]>([
    ["read own code", everybody],
    ["read /etc/passwd", ["local"]],
    ["read outside", ["local"]],
    ["read through a link in own code", ["local"]],
    ["read another's environment", ["local"]],
    ["sqlite outside", ["local"]],
    ["signal another process", ["local"]],
    ["start a process", ["local"]],
    ["start Node", ["local"]],
    ["become another program", ["local"]],
    ["call libc", ["local", "qmqpd"]],
    ["accept on an inherited listener", ["smtpd", "qmqpd"]],
    ["connect by TCP", ["remote"]],
    ["send by UDP", ["remote"]],
    ...Object.entries(ownPlaces).flatMap(([place, owner]): [string, readonly Program[]][] => [
      [`read ${place}`, ["local", ...only(owner)]],
      [`read through a link in ${place}`, ["local"]],
      [`write ${place}`, only(owner)],
      [`sqlite in ${place}`, ["local", ...only(owner)]],
    ]),
  ]),
  native: new Map<string, readonly Program[]>([
    ["read own code", everybody],
    ["signal itself", everybody],
    ["connect by TCP", ["remote"]],
    ["make a UDP socket", ["remote"]],
    ...Object.entries(ownPlaces).flatMap(([place, owner]): [string, readonly Program[]][] => [
      [`read ${place}`, only(owner)],
      [`write ${place}`, only(owner)],
    ]),
  ]),
};

function only(owner: Program | undefined): readonly Program[] {
  return owner ? [owner] : [];
}

const root = process.getuid?.() === 0;
const nobody = 65_534;
const scenes = [
  { users: "one", as: undefined, name: "embedded, as the current user" },
  { users: "one", as: nobody, name: "embedded, as nobody", needsRoot: true },
  { users: "many", as: undefined, name: "as root, each program its own user", needsRoot: true },
] as const;

const abi = landlockAbi();
const noLandlock = abi.kind === "done" && abi.value >= 4 ? false : "this kernel's Landlock is older than ABI 4, or off";

for (const scene of scenes) {
  for (const pass of ["javascript", "native"] as const) {
    const needsRoot = "needsRoot" in scene && !root ? "needs root" : false;
    test(`walls hold against ${pass} code, ${scene.name}`, { skip: needsRoot || noLandlock }, async (t) => {
      const siege = await lay(t, pass, scene);
      for (const program of everybody) {
        // Native code inside `local` is its user's own code: its wall says "open", and there is nothing to test.
        if (program === "local" && pass === "native") continue;
        await t.test(program, () => assertHeld(program, pass, siege[program] ?? {}));
      }
    });
  }
}

function assertHeld(program: Program, pass: Pass, { ended, ...attempts }: Readonly<Record<string, string>>): void {
  assert.equal(ended, "as it liked");
  assert.ok(Object.keys(attempts).length > 40, "it tried everything");
  const succeeded = Object.keys(attempts).filter((name) => attempts[name] === "done");
  const expected = [...allowed[pass]].filter(([, programs]) => programs.includes(program)).map(([name]) => name);
  assert.deepEqual(succeeded.sort(), expected.sort(), JSON.stringify(attempts));
}

async function lay(t: TestContext, pass: Pass, scene: { users: string; as: number | undefined }): Promise<Siege> {
  const folder = mkdtempSync(join(tmpdir(), "postern-walls-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  if (scene.as !== undefined) chownSync(folder, scene.as, scene.as);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join(import.meta.dirname, "siege.ts"), folder, pass, scene.users],
    scene.as === undefined ? {} : { uid: scene.as, gid: scene.as },
  );
  return JSON.parse(stdout);
}
