import { closeSync, fstatSync, openSync, readdirSync, readSync, renameSync, unlinkSync, writevSync } from "node:fs";
import { join } from "node:path";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";

export interface Keeping {
  /** The file is put aside when it has reached this size. */
  readonly logbytes: number;
  /** So many files put aside are kept. */
  readonly logfiles: number;
}

export interface LogFile {
  /** Appends whole lines. Never throws: a log that cannot be written must not stop what it tells of. */
  write(pieces: readonly Buffer[]): void;
  keep(keeping: Keeping): void;
  close(): void;
}

const lineEnd = Buffer.from("\n");

/**
 * FOLDER/current, and what was put aside, oldest first by name: FOLDER/@MILLISECONDS.jsonl. While it cannot be written
 * (a full disk) lines are dropped and counted; the first line that fits again says how many, by `note`.
 */
export function openLogFile(
  folder: string,
  keeping: Keeping,
  now: () => number,
  note: (text: string) => Buffer,
): Outcome<LogFile> {
  const current = join(folder, "current");
  let { logbytes, logfiles } = keeping;
  let fd: number | undefined;
  let size = 0;
  let torn = false;
  let lostLines = 0;
  let trouble = "";

  const open = (): void => {
    const opened = openSync(current, "a+", 0o640);
    fd = opened;
    size = fstatSync(opened).size;
    const last = Buffer.alloc(1);
    torn = size > 0 && readSync(opened, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a;
  };
  const rotate = (): void => {
    renameSync(current, freeName(folder, now()));
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
    const aside = putAside(folder);
    for (const name of aside.slice(0, Math.max(0, aside.length - logfiles))) unlinkSync(join(folder, name));
    open();
  };
  const append = (pieces: readonly Buffer[]): void => {
    if (fd === undefined) open();
    if (size >= logbytes) rotate();
    let left = [...(torn ? [lineEnd] : []), ...(lostLines > 0 ? [lossNote()] : []), ...pieces];
    while (left.length > 0) {
      const written = writevSync(fd ?? -1, left.slice(0, 512));
      size += written;
      left = after(left, written);
      torn = true; // until the last octet is written, the file may end within a line
    }
    torn = false;
    lostLines = 0;
  };
  const lossNote = (): Buffer => note(`${lostLines} lines were not logged: ${trouble}`);

  try {
    open();
  } catch (error) {
    return temporary("3.0", `cannot open ${current}: ${(error as Error).message}`);
  }
  return done({
    write(pieces) {
      try {
        append(pieces);
      } catch (error) {
        trouble = `cannot write ${current}: ${(error as Error).message}`;
        for (const piece of pieces) lostLines += countLines(piece);
      }
    },
    keep(fresh) {
      ({ logbytes, logfiles } = fresh);
    },
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  });
}

/** Log files put aside in a folder, oldest first. */
export const putAside = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => /^@[0-9]{13}\.jsonl$/.test(name))
    .sort();

function freeName(folder: string, nowMs: number): string {
  const taken = new Set(putAside(folder));
  let ms = nowMs;
  while (taken.has(`@${ms}.jsonl`)) ms++;
  return join(folder, `@${ms}.jsonl`);
}

/** What of `pieces` is left after its first octets were written. */
function after(pieces: readonly Buffer[], octets: number): Buffer[] {
  let left = octets;
  const first = pieces.findIndex((piece) => {
    if (piece.length > left) return true;
    left -= piece.length;
    return false;
  });
  if (first < 0) return [];
  const [cut, ...others] = pieces.slice(first);
  return [...(cut ? [cut.subarray(left)] : []), ...others];
}

function countLines(piece: Buffer): number {
  let lines = 0;
  for (let at = piece.indexOf(0x0a); at >= 0; at = piece.indexOf(0x0a, at + 1)) lines++;
  return lines;
}
