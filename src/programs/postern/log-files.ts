import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";

const blockOctets = 65_536;

/** The files of the log, oldest first. With `sinceMs`, only those that were still written to at that time. */
export function logFiles(folder: string, sinceMs: number | undefined): readonly string[] {
  const aside = readdirSync(folder)
    .filter((name) => /^@[0-9]{13}\.jsonl$/.test(name))
    .filter((name) => sinceMs === undefined || Number(name.slice(1, 14)) >= sinceMs)
    .sort();
  return [...aside, "current"].map((name) => join(folder, name));
}

/** All complete lines of some files, in order. */
export function* readLines(files: readonly string[]): Generator<string> {
  for (const path of files) {
    const reader = openReader(path);
    yield* reader.newLines();
    reader.close();
  }
}

/** The last lines of some files, oldest first. Reads back from the end, no further than it must. */
export function tailLines(files: readonly string[], count: number): readonly string[] {
  let lines: readonly string[] = [];
  for (const path of files.toReversed()) {
    if (lines.length >= count) break;
    lines = [...tailOf(path, count - lines.length), ...lines];
  }
  return lines;
}

function tailOf(path: string, count: number): readonly string[] {
  const fd = openSync(path, "r");
  try {
    let text = "";
    let at = fstatSync(fd).size;
    while (at > 0 && countLines(text) <= count) {
      const length = Math.min(blockOctets, at);
      at -= length;
      const block = Buffer.alloc(length);
      readSync(fd, block, 0, length, at);
      text = block.toString("latin1") + text;
    }
    const lines = text.split("\n").slice(0, -1);
    return count === 0 ? [] : lines.slice(-count);
  } finally {
    closeSync(fd);
  }
}

const countLines = (text: string): number => text.split("\n").length - 1;

interface Reader {
  newLines(): Generator<string>;
  /** Another file has taken its name. */
  wasPutAside(): boolean;
  close(): void;
}

function openReader(path: string, fromEnd = false): Reader {
  const fd = openSync(path, "r");
  const { ino, size } = fstatSync(fd);
  let at = fromEnd ? size : 0;
  let kept = "";
  return {
    *newLines() {
      const block = Buffer.alloc(blockOctets);
      for (;;) {
        const length = readSync(fd, block, 0, blockOctets, at);
        if (length === 0) return;
        at += length;
        const lines = (kept + block.toString("latin1", 0, length)).split("\n");
        kept = lines.pop() ?? "";
        yield* lines;
      }
    },
    wasPutAside: () => statSync(path, { throwIfNoEntry: false })?.ino !== ino,
    close: () => closeSync(fd),
  };
}

/** Gives lines as they come, for ever, also across files put aside. `wait` resolves when it is time to look again. */
export async function followLog(
  folder: string,
  onLine: (line: string) => void,
  wait: () => Promise<void>,
): Promise<never> {
  const path = join(folder, "current");
  let reader = openReader(path, true);
  for (;;) {
    for (const line of reader.newLines()) onLine(line);
    if (reader.wasPutAside() && statSync(path, { throwIfNoEntry: false })) {
      for (const line of reader.newLines()) onLine(line); // what came between the last look and the new name
      reader.close();
      reader = openReader(path);
    } else await wait();
  }
}
