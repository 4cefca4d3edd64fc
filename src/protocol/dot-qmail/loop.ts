import { Buffer } from "node:buffer";

const LF = 10;
const CR = 13;

/**
 * Looks for `line` (LF included) among the header lines of a message, octet for octet, chunk by chunk. Returns true
 * once it was found. Only whole lines before the first empty one count. Keeps no octets between calls. A binary
 * message's lines may end in CR LF.
 */
export function createHeaderSearch(line: string): (chunk: Buffer) => boolean {
  const wanted = Buffer.from(`${line.slice(0, -1)}\r`, "latin1"); // its CR may be missing
  let at: "header" | "body" = "header";
  let length = 0; // octets of this line so far
  let matches = true; // and they are those wanted
  let first = 0;
  let found = false;

  return (chunk) => {
    let start = 0;
    while (at === "header" && start < chunk.length) {
      const lineEnd = chunk.indexOf(LF, start);
      const end = lineEnd < 0 ? chunk.length : lineEnd;
      if (length === 0 && end > start) first = chunk[start] ?? 0;
      matches &&= length + end - start <= wanted.length && isAt(wanted, length, chunk, start, end);
      length += end - start;
      start = end + 1;
      if (lineEnd < 0) break;
      if (length === 0 || (length === 1 && first === CR)) at = "body";
      else if (matches && length >= wanted.length - 1) found = true;
      length = 0;
      matches = true;
    }
    return found;
  };
}

const isAt = (wanted: Buffer, at: number, chunk: Buffer, start: number, end: number): boolean =>
  start === end || (chunk[start] === wanted[at] && wanted.compare(chunk, start, end, at, at + end - start) === 0);
