import { done, type Outcome } from "../../protocol/outcome.ts";
import { pathOf } from "../../services/maildir/file.ts";
import type { FileStat, Files } from "../../services/maildir/files.ts";
import { candidatesIn, type DotQmail, findDotQmail } from "./dot-qmail-file.ts";
import type { Ground } from "./ground.ts";
import type { Home } from "./home.ts";

export type DotQmailFinder = (home: Home) => Outcome<DotQmail | undefined>;

/** What tells that a folder is the same, with the same names in it. */
type Version = Pick<FileStat, "dev" | "ino" | "ctimeMs">;

/** A folder that changed so short a time ago may change again in the same tick of its file system's clock. */
const settledMs = 5_000;
const maxKnown = 10_000;

/**
 * `findDotQmail`, which need not look again where it found none: no name comes into a folder without changing that
 * folder's ctime, which nobody can set back.
 */
export function createDotQmailFinder({ files, nowMs }: Ground): DotQmailFinder {
  const without = new Map<string, Version>();
  return (home) => {
    const { path, dash, extension, isTagged = false, stat } = home;
    const key = `${path}\0${dash}\0${extension}\0${isTagged}`;
    if (stat && isSame(without.get(key), stat)) return done(undefined);
    const found = findDotQmail(files, home);
    const isNone = found.kind === "done" && !found.value;
    if (!isNone || !stat || stat.ctimeMs > nowMs() - settledMs || !hasNone(files, home)) return found;
    if (without.size >= maxKnown) without.clear();
    without.set(key, { dev: stat.dev, ino: stat.ino, ctimeMs: stat.ctimeMs });
    return found;
  };
}

const isSame = (before: Version | undefined, now: Version): boolean =>
  before?.ctimeMs === now.ctimeMs && before.ino === now.ino && before.dev === now.dev;

/** Not even a link, whose target could come at any time; and none of the names is that of a file in another folder. */
function hasNone(files: Files, home: Home): boolean {
  try {
    return candidatesIn(home).every(({ name }) => !name.includes("/") && !files.lstat(`${home.path}/${pathOf(name)}`));
  } catch {
    return false;
  }
}
