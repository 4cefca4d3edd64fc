/**
 * `npm test`: brings what the tests need, then checks form and types, then runs the suites. With arguments, only the
 * suites named below.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { setUp } from "./setup.ts";

const top = join(import.meta.dirname, "..");
const suites: Readonly<Record<string, { readonly files: string; readonly atOnce: number }>> = {
  unit: { files: "src/**/*.test.ts", atOnce: 2 },
  dialogues: { files: "test/dialogues/**/*.test.ts", atOnce: 2 },
  simulation: { files: "test/simulation/**/*.test.ts", atOnce: 2 },
  fuzz: { files: "test/fuzz/**/*.test.ts", atOnce: 2 },
  frames: { files: "test/frames/**/*.test.ts", atOnce: 2 },
  attacks: { files: "test/attacks/**/*.test.ts", atOnce: 1 },
  walls: { files: "test/walls/**/*.test.ts", atOnce: 1 },
  system: { files: "test/system/**/*.test.ts", atOnce: 1 },
  network: { files: "test/network/**/*.test.ts", atOnce: 1 },
  abuse: { files: "test/abuse/**/*.test.ts", atOnce: 1 },
  faults: { files: "test/faults/**/*.test.ts", atOnce: 1 },
  crash: { files: "test/crash/**/*.test.ts", atOnce: 1 },
};

const missing = setUp();
if (missing.length > 0) {
  console.log(`not here, so the tests that need them are skipped: ${missing.join(", ")} (as root they are installed)`);
}

const chosen = process.argv.slice(2);
const run = (command: string, ...args: string[]): boolean =>
  spawnSync(command, args, { cwd: top, stdio: "inherit", env: { ...process.env, POSTERN_MISSING: missing.join(",") } })
    .status === 0;

let green = true;
if (chosen.length === 0) {
  green = run("node_modules/.bin/biome", "check", ".") && green;
  green = run("node_modules/.bin/tsc") && green;
}
for (const [name, { files, atOnce }] of Object.entries(suites)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const found = globSync(files, { cwd: top }).sort();
  if (found.length === 0) continue;
  console.log(`\n== ${name}`);
  green = run(process.execPath, "--test", `--test-concurrency=${atOnce}`, "--test-timeout=600000", ...found) && green;
}
process.exitCode = green ? 0 : 1;
