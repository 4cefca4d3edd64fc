import assert from "node:assert/strict";
import { test } from "node:test";
import { openPrograms, type ProgramName, programNames } from "../../src/programs/supervise/walls.ts";
import { landlockAbi } from "../../src/services/kernel/landlock.ts";
import { unlessRoot } from "../support/missing.ts";
import { disagreements } from "./allowed.ts";
import { besiege, type Scene } from "./besiege.ts";
import { documented } from "./document.ts";
import { renderMatrix } from "./matrix.ts";
import { countLines, powerful } from "./power.ts";
import type { Pass, Siege } from "./siege.ts";

const nobody = 65_534;
const scenes: readonly (Scene & { readonly name: string })[] = [
  { users: "one", name: "embedded, as the current user" },
  { users: "one", as: nobody, name: "embedded, as nobody" },
  { users: "many", name: "as root, each program its own user" },
];

const abi = landlockAbi();
const noLandlock = abi.kind === "done" && abi.value >= 4 ? false : "this kernel's Landlock is older than ABI 4, or off";
const laid = new Map<Pass, Siege>();

for (const scene of scenes) {
  for (const pass of ["javascript", "native"] as const) {
    const isOurs = scene.as === undefined && scene.users === "one";
    const skip = (isOurs ? false : unlessRoot()) || noLandlock;
    test(`walls hold against ${pass} code, ${scene.name}`, { skip }, async (t) => {
      const siege = await besiege(pass, scene);
      if (isOurs) laid.set(pass, siege);
      for (const program of programNames) {
        if (openPrograms.includes(program) && pass === "native") continue;
        await t.test(program, () => assertHeld(program, pass, scene.users, siege[program] ?? {}));
      }
    });
  }
}

function assertHeld(
  program: ProgramName,
  pass: Pass,
  users: Scene["users"],
  { ended, ...attempts }: Readonly<Record<string, string>>,
): void {
  assert.equal(ended, "as it liked");
  assert.ok(Object.keys(attempts).length > 80, "it tried everything");
  const { surplus, absent } = disagreements(program, pass, users, attempts);
  assert.deepEqual(surplus, [], JSON.stringify(attempts));
  assert.deepEqual(absent, [], JSON.stringify(attempts));
}

test("docs/security.md shows what the walls hold", { skip: noLandlock }, () => {
  const [javascript, native] = [laid.get("javascript"), laid.get("native")];
  assert.ok(javascript && native);
  const matrix = renderMatrix({ javascript, native });
  console.log(matrix);
  const { is, shouldBe } = documented(matrix);
  assert.ok(is === shouldBe, "docs/security.md is out of date: node test/walls/document.ts");
});

for (const { program, own, all } of powerful) {
  test(`${program} keeps its code within what docs/security.md says`, (t) => {
    const lines = countLines(program);
    t.diagnostic(`${lines.own} lines of its own, ${lines.all} with all it imports`);
    assert.ok(lines.own <= own && lines.all <= all, `${lines.own} and ${lines.all} lines`);
  });
}
