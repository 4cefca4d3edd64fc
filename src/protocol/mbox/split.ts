import type { Buffer } from "node:buffer";
import { parseFromLine } from "./parse-from-line.ts";

/** Where a message begins in an mbox: its From_ line, without the LF, cut after a thousand octets. */
export interface MessageStart {
  readonly at: number;
  readonly line: string;
}

export interface MboxScanner {
  /** The messages that begin in lines that end in this chunk. */
  write(chunk: Buffer): readonly MessageStart[];
}

const lf = 10;
const from = "From ";
const maxFromLineOctets = 1_000;

/**
 * Finds the messages of an mbox. A line that begins "From " begins one if it stands at the start, or after an empty
 * line, or says when: some writers leave the empty line out, and some do not quote. Keeps one line's beginning.
 */
export function createMboxScanner(): MboxScanner {
  let at = 0;
  let lineAt = 0;
  let isAfterEmpty = true;
  let held: string | undefined = ""; // the line so far, as long as it may begin a message

  const endLine = (): MessageStart | undefined => {
    const line = held;
    const isFrom = line?.startsWith(from) === true && (isAfterEmpty || parseFromLine(line).atMs !== undefined);
    isAfterEmpty = at === lineAt;
    held = "";
    return isFrom ? { at: lineAt, line: line ?? "" } : undefined;
  };

  return {
    write(chunk) {
      const starts: MessageStart[] = [];
      for (let used = 0; used < chunk.length; ) {
        const end = chunk.indexOf(lf, used);
        const stop = end < 0 ? chunk.length : end;
        if (held !== undefined) {
          held += chunk.toString("latin1", used, Math.min(stop, used + maxFromLineOctets - held.length));
          if (!held.startsWith(from.slice(0, held.length))) held = undefined;
        }
        at += stop - used;
        used = stop;
        if (end < 0) break;
        const start = endLine();
        if (start) starts.push(start);
        at++;
        used++;
        lineAt = at;
      }
      return starts;
    },
  };
}
