const LF = 10;
const CR = 13;
const DOT = 46;

export interface MultiLineEncoder {
  /** The next piece for the wire, one character an octet. */
  encode(chunk: Buffer): string;
  /** What ends it: a line end if one is missing, and the final dot. */
  end(): string;
  /** All the lines that were asked for are out: what follows need not be read. */
  readonly isFull: boolean;
}

/**
 * Encodes a stored message (LF line ends) for RETR and TOP, chunk by chunk: CR LF line ends, dots stuffed, at the end
 * the final dot (RFC 1939 §3). A line that is stored with CR LF goes as it is; any other CR is an octet as all others: a
 * binary part comes as it was sent. With `bodyLines` only the header, the empty line and so many lines after it.
 *
 * As text, in which V8 replaces as fast before our code is compiled as after: 4 KB take 5 µs in the first messages of a
 * process and 4 later. Line by line, with native search and copy, they took 130 and 8.
 */
export function createMultiLineEncoder(bodyLines?: number): MultiLineEncoder {
  const count = bodyLines === undefined ? undefined : createLineCount(bodyLines);
  let last = LF;

  return {
    encode(chunk) {
      const part = count ? chunk.subarray(0, count.take(chunk)) : chunk;
      if (part.length === 0) return "";
      const text = part.toString("latin1").replaceAll("\n", "\r\n").replaceAll("\n.", "\n..");
      const wire = text.replaceAll("\r\r\n", "\r\n"); // had its CR
      const before = last;
      last = part[part.length - 1] ?? LF;
      if (before === LF && part[0] === DOT) return `.${wire}`;
      return before === CR && part[0] === LF ? wire.slice(1) : wire;
    },
    end() {
      if (last === LF) return ".\r\n";
      return last === CR ? "\n.\r\n" : "\r\n.\r\n";
    },
    get isFull() {
      return count?.isFull ?? false;
    },
  };
}

/** Counts lines for TOP: how much of each chunk belongs to the header and so many lines of the body. */
function createLineCount(bodyLines: number) {
  let inHeader = true;
  let linesLeft = bodyLines;
  let lineOctets = 0;
  let endsInCr = false;
  const endLine = (): void => {
    if (!inHeader) linesLeft--;
    else if (lineOctets === 0 || (lineOctets === 1 && endsInCr)) inHeader = false;
    lineOctets = 0;
  };
  const isFull = (): boolean => !inHeader && linesLeft <= 0;
  return {
    take(chunk: Buffer): number {
      let from = 0;
      while (from < chunk.length && !isFull()) {
        const lineFeed = chunk.indexOf(LF, from);
        const until = lineFeed < 0 ? chunk.length : lineFeed;
        lineOctets += until - from;
        if (until > from) endsInCr = chunk[until - 1] === CR;
        if (lineFeed < 0) return chunk.length;
        endLine();
        from = lineFeed + 1;
      }
      return from;
    },
    get isFull() {
      return isFull();
    },
  };
}
