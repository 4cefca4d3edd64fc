import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkPassword } from "./check-password.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-check-"));
after(() => rmSync(folder, { recursive: true }));

/** Reads descriptor 3 as checkpassword does, and starts what it is told to when it finds what it looks for. */
function program(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}
const checker = program("checker", `[ "$(tr '\\0' ':' <&3)" = 'joe@a.test:se cret::' ] || exit 1\nexec "$@"`);
const codes = program("codes", 'exit "$1"');

const rows: readonly (readonly [name: string, command: string, account: string, password: string, letter: string])[] = [
  ["the right password", checker, "joe@a.test", "se cret", "K"],
  ["a wrong one", checker, "joe@a.test", "secret", "D"],
  ["another account", checker, "jim@a.test", "se cret", "D"],
  ["a program that is misused", `${codes} 2`, "joe", "x", "Z"],
  ["a program that cannot tell now", `${codes} 111`, "joe", "x", "Z"],
  ["a program that is not there", join(folder, "nothing"), "joe", "x", "Z"],
  ["a program that is killed", "sh -c 'kill -9 $$'", "joe", "x", "Z"],
  ["a program that reads nothing", "true", "joe", "x", "K"],
  ["an empty password", "true", "joe", "", "D"],
  ["an empty name", "true", "", "x", "D"],
  ["NUL in the password", "true", "joe", "a\0b", "D"],
  ["NUL in the name", "true", "jo\0e", "x", "D"],
  ["more than 512 octets", "true", "joe", "x".repeat(507), "D"],
  ["512 octets", "true", "joe", "x".repeat(506), "K"],
  ["no program of ours around it", '[ -z "$NODE_OPTIONS" ] && exec', "joe", "x", "K"],
];
for (const [name, command, account, password, letter] of rows) {
  test(`checkPassword() with ${name}: ${letter}`, async () => {
    assert.equal(await checkPassword(command, account, Buffer.from(password)), letter);
  });
}
