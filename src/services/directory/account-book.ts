import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from "node:fs";
import { findInCdb } from "../../protocol/cdb/read.ts";
import { type Outcome, temporary } from "../../protocol/outcome.ts";
import type { FindRecord } from "../../protocol/users/accounts-cdb.ts";
import { errorCode, safeFlags } from "../maildir/file.ts";

/** Some millions of addresses. */
const maxOctets = 268_435_456;

/**
 * Looks keys up in accounts.cdb, which is read again when it has changed: mail for a user who was just added must not
 * bounce. The file is another program's: no link is followed, nothing waited for. Fails, for now, when it cannot be read.
 */
export function createAccountBook(path: string): FindRecord {
  let version = "";
  let file: Outcome<Buffer> = missing(path, "ENOENT");

  const refresh = (): void => {
    try {
      const { ino, size, mtimeMs } = statSync(path);
      const current = `${ino} ${size} ${mtimeMs}`;
      if (current === version) return;
      file = { kind: "done", value: readBook(path) };
      version = current;
    } catch (error) {
      file = missing(path, errorCode(error));
      version = "";
    }
  };
  return (key) => {
    refresh();
    return file.kind === "done" ? findInCdb(file.value, key) : file;
  };
}

const missing = (path: string, code: string) => temporary("3.5", `cannot read ${path}: ${code}`);

function readBook(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | safeFlags);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > maxOctets) throw Object.assign(new Error("no file of ours"), { code: "EFTYPE" });
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
