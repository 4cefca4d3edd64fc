import { closeSync, openSync, readSync } from "node:fs";

const blockOctets = 65_536;
/** What is longer is no line of a log, and is given without its end. */
const maxLineOctets = 1_048_576;

/** The lines of a file, or of a pipe, as latin1; also a last one without its end. Throws the system's errors. */
export function* fileLines(path: string): Generator<string> {
  const fd = path === "-" ? 0 : openSync(path, "r");
  try {
    const block = Buffer.alloc(blockOctets);
    let kept = "";
    for (let length = readSync(fd, block); length > 0; length = readSync(fd, block)) {
      const lines = (kept + block.toString("latin1", 0, length)).split("\n");
      kept = (lines.pop() ?? "").slice(0, maxLineOctets);
      yield* lines;
    }
    if (kept !== "") yield kept;
  } finally {
    if (fd !== 0) closeSync(fd);
  }
}
