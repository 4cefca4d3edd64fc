import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { displayPath, findLayout } from "./find-layout.ts";
import { embeddedLayout, systemLayout } from "./layout.ts";

test("findLayout() takes --root, then POSTERN_ROOT, and sees what kind of server is there", () => {
  const root = mkdtempSync(join(tmpdir(), "postern-layout-"));
  assert.deepEqual(findLayout(root, { POSTERN_ROOT: "elsewhere" }), embeddedLayout(root));
  assert.deepEqual(findLayout(undefined, { POSTERN_ROOT: root }), embeddedLayout(root));
  mkdirSync(join(root, "etc/postern"), { recursive: true });
  assert.deepEqual(findLayout(root, {}), systemLayout(root));
  rmSync(root, { recursive: true });
});

test("displayPath() shows that a path begins here", () => {
  assert.equal(displayPath("var/run"), "./var/run");
  assert.equal(displayPath("/run/postern"), "/run/postern");
  assert.equal(displayPath("../x"), "../x");
});
