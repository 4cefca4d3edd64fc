import { Buffer } from "node:buffer";

const lf = 10;
const gt = 62;
const from = Buffer.from("From ", "latin1");
const quote = Buffer.from(">", "latin1");
const newline = Buffer.from("\n", "latin1");

export interface MboxQuoter {
  /** The chunk as it goes into an mbox: views of it, with quotes between. */
  write(chunk: Buffer): readonly Buffer[];
  /** What is left: a beginning of "From ", the last line's LF if it had none, the empty line after a message. */
  end(): readonly Buffer[];
}

/**
 * Quotes a message for an mbox (mboxrd): a line of any number of ">" and then "From " gets one more ">", which a reader
 * can undo. Keeps at most four octets between calls. Spent once `end` was called.
 */
export function createMboxQuoter(): MboxQuoter {
  // The quote goes in front of "From ", after the others: so only "From " itself has to be waited for.
  let at: "line start" | "text" = "line start";
  let matched = 0; // octets of "From " held back
  let endsLine = true;

  return {
    write(chunk) {
      const pieces: Buffer[] = [];
      let used = 0;
      let kept = 0;
      const passOn = (end: number): void => {
        if (end > kept) pieces.push(chunk.subarray(kept, end));
        kept = end;
      };
      if (chunk.length > 0) endsLine = chunk[chunk.length - 1] === lf;
      if (matched > 0) {
        const length = matchFrom(chunk, 0, matched);
        used = length - matched;
        kept = used;
        matched = length;
        if (matched < from.length && used === chunk.length) return pieces;
        if (matched === from.length) pieces.push(quote);
        pieces.push(from.subarray(0, matched));
        matched = 0;
        at = "text";
      }
      while (used < chunk.length) {
        if (at === "text") {
          const end = chunk.indexOf(lf, used);
          if (end < 0) break;
          used = end + 1;
          at = "line start";
          continue;
        }
        while (chunk[used] === gt) used++;
        if (used === chunk.length) break;
        const length = matchFrom(chunk, used, 0);
        if (length === from.length) {
          passOn(used);
          pieces.push(quote);
        } else if (used + length === chunk.length) {
          passOn(used);
          matched = length;
          return pieces;
        }
        at = "text";
      }
      passOn(chunk.length);
      return pieces;
    },
    end() {
      const pieces = [from.subarray(0, matched)];
      if (!endsLine) pieces.push(newline);
      pieces.push(newline);
      return pieces;
    },
  };
}

/** How much of "From " there is, when its first `matched` octets came before and the others begin at `start`. */
function matchFrom(chunk: Buffer, start: number, matched: number): number {
  let length = matched;
  while (length < from.length && chunk[start + length - matched] === from[length]) length++;
  return length;
}
