const LF = 10;
const CR = 13;
const DOT = 46;

export interface MultiLineEncoder {
  /** The next piece for the wire; good until the next call. */
  encode(chunk: Buffer): Buffer;
  /** What ends it: a line end if one is missing, and the final dot. */
  end(): string;
  /** All the lines that were asked for are out: what follows need not be read. */
  readonly isFull: boolean;
}

/**
 * Encodes a stored message (LF line ends) for RETR and TOP, chunk by chunk: CR LF line ends, dots stuffed, at the end
 * the final dot (RFC 1939 §3). A line that is stored with CR LF goes as it is; any other CR is an octet as all others: a
 * binary part comes as it was sent. With `bodyLines` only the header, the empty line and so many lines after it.
 */
export function createMultiLineEncoder(bodyLines = Number.POSITIVE_INFINITY): MultiLineEncoder {
  let wire = Buffer.allocUnsafeSlow(0);
  let lineOctets = 0;
  let endsInCr = false;
  let inHeader = true;
  let linesLeft = bodyLines;

  const endLine = (): void => {
    if (!inHeader) linesLeft--;
    else if (lineOctets === 0 || (lineOctets === 1 && endsInCr)) inHeader = false;
    lineOctets = 0;
    endsInCr = false;
  };
  const isFull = (): boolean => !inHeader && linesLeft <= 0;

  return {
    encode(chunk) {
      if (wire.length < 2 * chunk.length) wire = Buffer.allocUnsafeSlow(2 * chunk.length);
      let length = 0;
      let from = 0;
      // Native search and copy: several times as fast as a loop over the octets, where lines have a usual length.
      while (from < chunk.length && !isFull()) {
        const lineFeed = chunk.indexOf(LF, from);
        const until = lineFeed < 0 ? chunk.length : lineFeed;
        if (lineOctets === 0 && chunk[from] === DOT) wire[length++] = DOT;
        if (until > from) {
          length += chunk.copy(wire, length, from, until);
          lineOctets += until - from;
          endsInCr = chunk[until - 1] === CR;
        }
        if (lineFeed < 0) break;
        if (!endsInCr) wire[length++] = CR;
        wire[length++] = LF;
        endLine();
        from = lineFeed + 1;
      }
      return wire.subarray(0, length);
    },
    end() {
      if (lineOctets === 0) return ".\r\n";
      return endsInCr ? "\n.\r\n" : "\r\n.\r\n";
    },
    get isFull() {
      return isFull();
    },
  };
}
