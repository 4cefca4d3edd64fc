import { readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { mailboxOf } from "../support/server.ts";

/** Whose mail is read; that of the others stays where it was put. */
const readers = ["u0", "u1", "u2", "u3", "target0", "load"];
const everyMs = 25;

let moved = 0;

/**
 * A mail program that takes what is new while more comes: a repetition no longer finds the file under its own name, and
 * only a mark can tell it. It makes each name its own, or the second copy would take the place of the first.
 */
export function startReader(server: { readonly root: string }): Disposable {
  const timer = setInterval(() => {
    for (const reader of readers) read(mailboxOf(server, reader));
  }, everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function read(maildir: string): void {
  try {
    for (const name of readdirSync(join(maildir, "new"))) {
      renameSync(join(maildir, "new", name), join(maildir, "cur", `${name}.${++moved}:2,S`));
    }
  } catch {
    // not there yet, or its disk is off
  }
}
