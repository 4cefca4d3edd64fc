import { Buffer } from "node:buffer";

const lf = 10;

/**
 * Looks for `line` (LF included) among the header lines of a message, octet for octet, chunk by chunk. Returns true
 * once it was found. Only whole lines before the first empty one count. Keeps no octets between calls.
 */
export function createHeaderSearch(line: string): (chunk: Buffer) => boolean {
  const wanted = Buffer.from(line, "latin1");
  let at: "header" | "body" = "header";
  let length = 0; // octets of this line so far
  let matches = true; // and they are those wanted
  let found = false;

  return (chunk) => {
    let start = 0;
    while (at === "header" && start < chunk.length) {
      const lineEnd = chunk.indexOf(lf, start);
      const end = lineEnd < 0 ? chunk.length : lineEnd + 1;
      matches &&= length + end - start <= wanted.length && isAt(wanted, length, chunk, start, end);
      length += end - start;
      start = end;
      if (lineEnd < 0) break;
      if (length === 1) at = "body";
      if (matches && length === wanted.length) found = true;
      length = 0;
      matches = true;
    }
    return found;
  };
}

const isAt = (wanted: Buffer, at: number, chunk: Buffer, start: number, end: number): boolean =>
  chunk[start] === wanted[at] && wanted.compare(chunk, start, end, at, at + end - start) === 0;
