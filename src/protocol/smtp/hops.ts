const LF = 10;
const CR = 13;
const longestName = "delivered".length;

/**
 * Calls `onLine` with the beginning of each line of a header that `mayMatter` by its first letter, up to so many octets,
 * while the message passes in chunks. After the header it looks no more. Lines end in LF, or in CR LF: then the message
 * is binary (RFC 3030), and stored as it came.
 */
function createLineWatch(
  mostOctets: number,
  mayMatter: (octet: number | undefined) => boolean,
  onLine: (begin: string) => void,
): (body: Buffer) => void {
  let inHeader = true;
  let begin = ""; // of the line we are in, as far as it tells
  return (body) => {
    for (let at = 0; inHeader && at < body.length; ) {
      const lineFeed = body.indexOf(LF, at);
      const end = lineFeed < 0 ? body.length : lineFeed;
      if (begin === "\r" && end > at) begin = "-";
      else if (begin !== "" || mayMatter(body[at])) {
        begin += body.toString("latin1", at, Math.min(end, at + mostOctets - begin.length));
      } else if (end > at) begin = end === at + 1 && body[at] === CR ? "\r" : "-";
      if (lineFeed < 0) break;
      if (begin === "" || begin === "\r") inHeader = false;
      if (begin.length > 1) onLine(begin);
      begin = "";
      at = lineFeed + 1;
    }
  };
}

/**
 * Counts the hops of a message while its body passes in chunks: header lines that begin with "received" or "delivered",
 * in any case (RFC 5321 §6.3; as qmail, no colon is asked for). Returns the count so far.
 */
export function createHopCounter(): (body: Buffer) => number {
  let hops = 0;
  const watch = createLineWatch(longestName, mayBeHop, (begin) => {
    if (isHop(begin.toLowerCase())) hops++;
  });
  return (body) => {
    watch(body);
    return hops;
  };
}

/** The field with room for blanks. */
const mostTlsRequiredOctets = 64;
const tlsRequiredName = /^tls-required[ \t]*:/i;
const tlsRequiredNo = /^tls-required[ \t]*:[ \t]*no[ \t]*\r?$/i;

/**
 * Watches for "TLS-Required: No" (RFC 8689 §5) while a message passes in chunks: whether it was there so far. A message
 * with two such fields says nothing.
 */
export function createTlsRequiredWatch(): (body: Buffer) => boolean {
  let fields = 0;
  let isNo = false;
  const watch = createLineWatch(mostTlsRequiredOctets, mayBeTlsRequired, (begin) => {
    if (!tlsRequiredName.test(begin)) return;
    fields++;
    isNo = begin.length < mostTlsRequiredOctets && tlsRequiredNo.test(begin);
  });
  return (body) => {
    watch(body);
    return isNo && fields === 1;
  };
}

const mayBeTlsRequired = (octet: number | undefined): boolean => octet === 0x54 || octet === 0x74;

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
