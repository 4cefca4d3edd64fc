const LF = 10;
const CR = 13;
const SPACE = 32;
const DOT = 46;

/**
 * Encodes a stored message (LF line ends) for DATA, chunk by chunk: CRLF line ends, dots stuffed, and with the last
 * chunk the final dot (RFC 5321 §4.5.2). CR before LF is part of that line end; any other CR becomes a space, since
 * no reader may take it for a line end (RFC 5321 §2.3.8). A last line without LF gets one. Spent after the last chunk.
 * What is returned has memory of its own, no more than it needs.
 */
export function createDotStuffer(): (chunk: Buffer, last: boolean) => Buffer {
  let atLineStart = true;
  let heldCr = false;
  return (chunk, last) => {
    const wire = Buffer.allocUnsafeSlow(2 * chunk.length + 8);
    let length = 0;
    let from = 0;
    let nextLf = -1;
    let nextCr = -1;
    // Native searches: four times as fast as a loop over the octets, where lines have a usual length.
    while (from < chunk.length) {
      if (heldCr && chunk[from] !== LF) {
        wire[length++] = SPACE;
        atLineStart = false;
      }
      heldCr = false;
      if (nextLf < from) nextLf = find(chunk, LF, from);
      if (nextCr < from) nextCr = find(chunk, CR, from);
      const until = Math.min(nextLf, nextCr);
      if (until > from) {
        if (atLineStart && chunk[from] === DOT) wire[length++] = DOT;
        length += chunk.copy(wire, length, from, until);
        atLineStart = false;
      }
      if (until === chunk.length) break;
      if (until === nextLf) {
        wire[length++] = CR;
        wire[length++] = LF;
        atLineStart = true;
      } else heldCr = true;
      from = until + 1;
    }
    if (last) {
      if (heldCr || !atLineStart) length += wire.write("\r\n", length, "latin1");
      length += wire.write(".\r\n", length, "latin1");
    }
    return Buffer.from(wire.buffer.transfer(length));
  };
}

/** Where `octet` is next, or the end. */
function find(chunk: Buffer, octet: number, from: number): number {
  const at = chunk.indexOf(octet, from);
  return at < 0 ? chunk.length : at;
}
