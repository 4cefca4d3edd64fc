import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import type { Files } from "../../../src/services/maildir/files.ts";
import type { Scene } from "./scene.ts";

/** A deliberate fault: in the calls that deliveries make, or in the order of deliver, flush, report, settle. */
export interface Mutant {
  files?(files: Files, scene: Scene): Files;
  readonly reportsUnflushed?: boolean;
  readonly settlesEarly?: boolean;
  readonly neverSettles?: boolean;
  readonly namesAnew?: boolean;
}

const but = (over: (files: Files, scene: Scene) => Partial<Files>): Mutant => ({
  files: (files, scene) => ({ ...files, ...over(files, scene) }),
});

const isMaildirMark = (path: string): boolean => path.endsWith(".q") && path.includes("/tmp/");
const isMboxMark = (path: string): boolean => /\/\.postern-m/.test(path);
const isLock = (path: string): boolean => path.includes("/.postern-lock-");

const withoutSync = (which: (path: string) => boolean): Mutant =>
  but((files) => ({
    open: (path, flags, mode) => files.open(path, which(path) ? flags & ~constants.O_DSYNC : flags, mode),
  }));

/** Remembers which descriptors are of paths that `is`, and calls something else for them. */
function forFiles(
  is: (path: string) => boolean,
  over: (files: Files, isOf: (fd: number) => boolean, scene: Scene) => Partial<Files>,
) {
  return but((files, scene) => {
    const open = new Set<number>();
    return {
      open(path, flags, mode) {
        const fd = files.open(path, flags, mode);
        if (is(path)) open.add(fd);
        else open.delete(fd);
        return fd;
      },
      ...over(files, (fd) => open.has(fd), scene),
    };
  });
}

/** Deliberate faults, by name. */
export const mutants: ReadonlyMap<string, Mutant> = new Map<string, Mutant>([
  ["keeps no mark in a Maildir", but((files) => ({ link: (from, to) => isMaildirMark(to) || files.link(from, to) }))],
  [
    "makes the mark after the rename",
    but((files) => {
      let late: string | undefined;
      return {
        link(from, to) {
          if (!isMaildirMark(to) || files.lstat(to)) return files.link(from, to);
          late = to;
        },
        rename(from, to) {
          files.rename(from, to);
          if (late !== undefined) files.link(to, late);
          late = undefined;
        },
      };
    }),
  ],
  ["removes marks before the result is settled", { settlesEarly: true }],
  ["never removes a mark", { neverSettles: true }],
  ["reports before it is flushed", { reportsUnflushed: true }],
  ["names a copy anew each time", { namesAnew: true }],
  [
    "believes a mark without a look at what is in it",
    forFiles(isMaildirMark, (files, isOf, { content }) => ({
      fstat: (fd) => (isOf(fd) ? { ...files.fstat(fd), size: content.length } : files.fstat(fd)),
      read(fd, into, at, octets, position) {
        if (!isOf(fd)) return files.read(fd, into, at, octets, position);
        return Buffer.from(content, "latin1").copy(into, at, position, position + octets);
      },
    })),
  ],
  [
    "links to new/ and leaves tmp/",
    but((files) => ({
      rename: (from, to) => (from.includes("/tmp/") ? files.link(from, to) : files.rename(from, to)),
    })),
  ],
  [
    "writes to new/ directly",
    but((files) => {
      const direct = (path: string) => path.replace("/tmp/", "/new/");
      return {
        open: (path, flags, mode) => files.open(/\/tmp\/[^/]*[^q]$/.test(path) ? direct(path) : path, flags, mode),
        link: (from, to) => files.link(direct(from), to),
        unlink: (path) => files.unlink(isMaildirMark(path) ? path : direct(path)),
        rename() {},
      };
    }),
  ],
  [
    "keeps no mark of an mbox",
    but((files) => ({
      open(path, flags, mode) {
        if (!isMboxMark(path) || !(flags & constants.O_CREAT)) return files.open(path, flags, mode);
        throw Object.assign(new Error("EACCES"), { code: "EACCES" });
      },
    })),
  ],
  ["appends to an mbox before its mark is on disk", withoutSync(isMboxMark)],
  ["does not wait until an mbox is on disk", withoutSync((path) => path.endsWith("/box"))],
  ["links a lock before its text is on disk", withoutSync(isLock)],
  [
    "never writes done",
    forFiles(isMboxMark, (files, isOf) => ({
      write: (fd, octets, from, position) =>
        isOf(fd) && octets.toString("latin1") === "done\n" ? octets.length : files.write(fd, octets, from, position),
    })),
  ],
  ["leaves what it could not write in the mbox", but(() => ({ truncate() {} }))],
  ["does not look for what others have left in an mbox", but(() => ({ names: () => [] }))],
  ["cuts an mbox to nothing", but((files) => ({ truncate: (fd) => files.truncate(fd, 0) }))],
  [
    "takes a short write for a whole one",
    but((files) => ({
      write: (fd, octets, from, position) => octets.length - from + 0 * files.write(fd, octets, from, position),
      writev(fd, pieces) {
        files.writev(fd, pieces);
        return pieces.reduce((sum, piece) => sum + piece.length, 0);
      },
    })),
  ],
  [
    "takes every call for a success",
    but((files) => ({
      writev(fd, pieces) {
        try {
          return files.writev(fd, pieces);
        } catch {
          return pieces.reduce((sum, piece) => sum + piece.length, 0);
        }
      },
    })),
  ],
  [
    "writes over an mbox",
    but((files) => ({
      open: (path, flags, mode) => files.open(path, path.endsWith("/box") ? flags & ~constants.O_APPEND : flags, mode),
    })),
  ],
  [
    "never gives a lock back",
    but((files) => ({
      unlink: (path) => (path.endsWith(".lock") ? undefined : files.unlink(path)),
    })),
  ],
]);
