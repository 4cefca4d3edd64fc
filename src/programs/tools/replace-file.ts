import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { errorCode } from "../../services/maildir/file.ts";

/** Puts `content` at `path` by way of `temporaryPath`: after a crash there is the old file or the whole new one. */
export function replaceFile(path: string, temporaryPath: string, content: Uint8Array): Outcome<void> {
  try {
    writeFileSync(temporaryPath, content, { mode: 0o644, flush: true });
    renameSync(temporaryPath, path);
    const folder = openSync(dirname(path), "r");
    fsyncSync(folder);
    closeSync(folder);
    return done(undefined);
  } catch (error) {
    return temporary("3.0", `unable to write ${path}: ${errorWords(errorCode(error))}`);
  }
}
