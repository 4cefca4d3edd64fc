import { type DataFault, faultIn } from "./data.ts";

const LF = 10;
const CR = 13;
const lineFeed = Buffer.of(LF);

/** What becomes of the octets of a chunk; `last` when no octet of the message follows. A fault ends the decoding. */
export type ChunkDecoder = (octets: Buffer, last: boolean) => Buffer | DataFault;

/** BODY=BINARYMIME (RFC 3030 §3): each octet is kept as it is. */
export const takeBinary: ChunkDecoder = (octets) => octets;

/**
 * Decodes the text of a message that comes by BDAT (RFC 3030 §2), wherever it is cut: as DATA's, but for dots, which mean
 * nothing here. Lines end in LF, a CR or LF that is no line end is a fault. RFC 3030 lets a message end within a line; its
 * last line gets its end here, as every next hop that speaks DATA would give it one.
 *
 * Works in place: `octets` is overwritten, and the result mostly a view of it. Keeps no octets between calls.
 */
export function createTextDecoder(): ChunkDecoder {
  let state: "line start" | "text" | "cr" = "line start";
  return (octets, last) => {
    let at = 0; // what is before was read
    let length = 0; // what is before was written: never past `at`
    if (state === "cr" && octets.length > 0) {
      if (octets[0] !== LF) return "bare CR";
      state = "line start";
      at = 1;
      length = 1;
    }
    while (at < octets.length) {
      const found = octets.indexOf(LF, at);
      const end = found < 0 ? octets.length : found;
      const isCr = end > at && octets[end - 1] === CR;
      if (found >= 0 && !isCr) {
        return faultIn(octets.subarray(0, length)) ?? faultIn(octets.subarray(at, end)) ?? "bare LF";
      }
      const textEnd = isCr ? end - 1 : end;
      if (length !== at) octets.copyWithin(length, at, textEnd);
      length += textEnd - at;
      if (found >= 0) octets[length++] = LF;
      at = end + 1;
      state = found >= 0 ? "line start" : isCr ? "cr" : "text";
    }
    const body = octets.subarray(0, length);
    const fault = faultIn(body) ?? (last && state === "cr" ? "bare CR" : undefined);
    return fault ?? (last && state === "text" ? Buffer.concat([body, lineFeed]) : body);
  };
}
