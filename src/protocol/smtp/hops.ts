const LF = 10;
const CR = 13;
const longestName = "delivered".length;

/**
 * Counts the hops of a message while its body passes in chunks: header lines that begin with "received" or "delivered",
 * in any case (RFC 5321 §6.3; as qmail, no colon is asked for). Returns the count so far. After the header it looks no
 * more. Lines end in LF, or in CR LF: then the message is binary (RFC 3030), and stored as it came.
 */
export function createHopCounter(): (body: Buffer) => number {
  let hops = 0;
  let inHeader = true;
  let begin = ""; // of the line we are in, as far as it tells
  return (body) => {
    for (let at = 0; inHeader && at < body.length; ) {
      const lineFeed = body.indexOf(LF, at);
      const end = lineFeed < 0 ? body.length : lineFeed;
      if (begin === "\r" && end > at) begin = "-";
      else if (begin !== "" || mayBeHop(body[at])) {
        begin += body.toString("latin1", at, Math.min(end, at + longestName - begin.length));
      } else if (end > at) begin = end === at + 1 && body[at] === CR ? "\r" : "-";
      if (lineFeed < 0) break;
      if (begin === "" || begin === "\r") inHeader = false;
      if (begin.length > 1 && isHop(begin.toLowerCase())) hops++;
      begin = "";
      at = lineFeed + 1;
    }
    return hops;
  };
}

/** Measures the header of a message while its body passes in chunks, LF line ends: its octets so far, or in all. */
export function createHeaderGauge(): (body: Buffer) => number {
  let octets = 0;
  let inHeader = true;
  let atLineStart = true;
  return (body) => {
    if (!inHeader) return octets;
    const startsEmpty = atLineStart && body[0] === LF;
    const end = startsEmpty ? 0 : body.indexOf("\n\n");
    inHeader = !startsEmpty && end < 0;
    octets += inHeader ? body.length : end + (startsEmpty ? 0 : 1);
    if (body.length > 0) atLineStart = body[body.length - 1] === LF;
    return octets;
  };
}

const isHop = (begin: string): boolean => begin.startsWith("received") || begin === "delivered";

/** Most lines are told by their first letter, without a string made of them. */
const mayBeHop = (octet: number | undefined): boolean =>
  octet !== undefined && "RrDd".includes(String.fromCharCode(octet));
