/** Disks without room. */
import { closeSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const fillers = /^filler/;

/** Takes every file and every octet that is left, as a user's other mail would. */
export function fill(folder: string): void {
  const octets = Buffer.alloc(4_096, 120);
  try {
    for (let n = 0; n < 400; n++) {
      const fd = openSync(join(folder, `filler${n}`), "w");
      try {
        for (let at = 0; n === 0 && at < 2 ** 28; at += octets.length) writeSync(fd, octets);
      } catch {
        // no space: there may still be files
      } finally {
        closeSync(fd);
      }
    }
  } catch {
    // no files
  }
}

export function empty(folder: string): void {
  for (const name of readdirSync(folder).filter((each) => fillers.test(each))) rmSync(join(folder, name));
}
