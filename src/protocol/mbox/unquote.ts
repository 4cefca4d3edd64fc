import { Buffer } from "node:buffer";

export interface MboxUnquoter {
  /** The chunk as the message had it: views of it. */
  write(chunk: Buffer): readonly Buffer[];
  /** What was held back. */
  end(): readonly Buffer[];
}

const lf = 10;
const gt = 62;
const quotedFrom = ">From ";

/** Takes back what `createMboxQuoter` does: of the `>` before "From " at a line's start one goes. Keeps five octets at most. */
export function createMboxUnquoter(): MboxUnquoter {
  let isLineStart = true;
  let held = ""; // a beginning of ">From " at a line's start

  return {
    write(chunk) {
      const pieces: Buffer[] = [];
      let kept = 0;
      let used = 0;
      while (used < chunk.length) {
        if (held !== "") {
          const octet = String.fromCharCode(chunk[used] ?? 0);
          if (quotedFrom.startsWith(held + octet)) held += octet;
          else if (held !== ">" || octet !== ">") {
            pieces.push(Buffer.from(held, "latin1"));
            held = "";
            isLineStart = false;
            kept = used;
            continue;
          } else pieces.push(Buffer.from(">", "latin1"));
          used++;
          kept = used;
          if (held !== quotedFrom) continue;
          pieces.push(Buffer.from(quotedFrom.slice(1), "latin1"));
          held = "";
          isLineStart = false;
        } else if (isLineStart && chunk[used] === gt) {
          if (used > kept) pieces.push(chunk.subarray(kept, used));
          held = ">";
          used++;
          kept = used;
        } else {
          const end = chunk.indexOf(lf, used);
          isLineStart = end >= 0;
          used = end < 0 ? chunk.length : end + 1;
        }
      }
      if (used > kept) pieces.push(chunk.subarray(kept, used));
      return pieces;
    },
    end: () => (held === "" ? [] : [Buffer.from(held, "latin1")]),
  };
}
