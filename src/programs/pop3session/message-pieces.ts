import { closeSync, readSync } from "node:fs";
import { createMultiLineEncoder } from "../../protocol/pop3/multi-line.ts";
import type { OpenMessage } from "./maildrop.ts";

export interface MessageEvents {
  readonly whenSent: () => void;
  /** It began, and cannot be read to its end. */
  readonly whenBroken: () => void;
}

/** What is read at once: twice as much, at most, goes into one frame. */
export const readOctets = 32_000;

/**
 * The reply to RETR, or to TOP with `bodyLines`, as it is read from the file, which it closes when it is read to its
 * end, or nobody wants the rest. `chunk` has room for `readOctets`, and may be used for others between two pieces.
 */
export function* messagePieces(
  { fd, octets }: OpenMessage,
  bodyLines: number | undefined,
  { chunk, whenSent, whenBroken }: MessageEvents & { readonly chunk: Buffer },
): Generator<string> {
  try {
    const encoder = createMultiLineEncoder(bodyLines);
    let before = "+OK \r\n";
    for (let at = 0, isLast = false; !isLast; before = "") {
      const length = readAt(fd, chunk, at);
      if (length === undefined) {
        if (at > 0) whenBroken();
        else yield "-ERR [SYS/TEMP] unable to read that message\r\n";
        return;
      }
      at += length;
      const wire = encoder.encode(chunk.subarray(0, length));
      isLast = length === 0 || at >= octets || encoder.isFull;
      yield `${before}${wire}${isLast ? encoder.end() : ""}`;
    }
    whenSent();
  } finally {
    closeSync(fd);
  }
}

function readAt(fd: number, chunk: Buffer, at: number): number | undefined {
  try {
    return readSync(fd, chunk, 0, chunk.length, at);
  } catch {
    return undefined; // a disk that fails
  }
}
