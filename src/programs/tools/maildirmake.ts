import { mkdirSync } from "node:fs";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { temporary } from "../../protocol/outcome.ts";
import { errorCode } from "../../services/maildir/file.ts";
import { type Call, exitDone, fail, misused } from "./tool.ts";

/** maildirmake FOLDER: makes a Maildir that was not there, for nobody but its owner. */
export function maildirmake(call: Call): number {
  const [folder, ...more] = call.args;
  if (folder === undefined || more.length > 0) return misused(call, "FOLDER");
  process.umask(0o077);
  for (const path of [folder, `${folder}/tmp`, `${folder}/new`, `${folder}/cur`]) {
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      return fail(call, temporary("3.0", `unable to make ${path}: ${errorWords(errorCode(error))}`));
    }
  }
  return exitDone;
}
