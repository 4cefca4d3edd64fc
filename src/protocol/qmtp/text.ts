const NUL = 0;
const LF = 10;
const CR = 13;

/** What makes a text unfit: the queue knows one line end, and nobody agrees what any other CR or LF would mean. */
export type TextFault = "bare CR" | "bare LF" | "NUL";
/** How the lines of a QMTP message end, by its first octet. */
export type LineEnd = "LF" | "CR LF";

/**
 * Turns the text of a QMTP message into the form we store, chunk by chunk: lines end in LF, and there is no CR and no
 * NUL. `last` says that the text ends here. Works in place: what comes back is a view of the chunk. Between calls it
 * keeps a state and no octets. Spent after a fault.
 */
export function createTextDecoder(lineEnd: LineEnd): (chunk: Buffer, last: boolean) => Buffer | TextFault {
  if (lineEnd === "LF") return (chunk) => faultIn(chunk) ?? chunk;
  let afterCr = false;
  return (chunk, last) => {
    if (afterCr && chunk.length > 0 && chunk[0] !== LF) return "bare CR";
    let at = 0; // what is before was read
    let length = 0; // what is before was written: never past `at`
    while (at < chunk.length) {
      const lineFeed = chunk.indexOf(LF, at);
      const end = lineFeed < 0 ? chunk.length : lineFeed;
      const endsInCr = end > at ? chunk[end - 1] === CR : afterCr && end === 0;
      if (lineFeed >= 0 && !endsInCr) return faultIn(chunk.subarray(0, length)) ?? "bare LF";
      const textEnd = endsInCr && end > at ? end - 1 : end;
      chunk.copyWithin(length, at, textEnd);
      length += textEnd - at;
      if (lineFeed >= 0) chunk[length++] = LF;
      afterCr = endsInCr && lineFeed < 0;
      at = end + 1;
    }
    const text = chunk.subarray(0, length);
    return faultIn(text) ?? (last && afterCr ? "bare CR" : text);
  };
}

function faultIn(text: Buffer): TextFault | undefined {
  if (text.includes(CR)) return "bare CR";
  return text.includes(NUL) ? "NUL" : undefined;
}
