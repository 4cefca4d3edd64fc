const LF = 10;
const CR = 13;

/**
 * Watches for octets above 127 in the header of a message while its body passes in chunks: what needs SMTPUTF8 (RFC 6532)
 * on the way on. Returns whether there was one so far. Lines end in LF, or in CR LF where the message is binary.
 */
export function createEightBitWatch(): (body: Buffer) => boolean {
  let found = false;
  let inHeader = true;
  let lineIsEmpty = true;
  return (body) => {
    for (let at = 0; inHeader && !found && at < body.length; at++) {
      const octet = body[at] ?? 0;
      if (octet > 127) found = true;
      else if (octet !== LF) lineIsEmpty &&= octet === CR;
      else if (lineIsEmpty) inHeader = false;
      else lineIsEmpty = true;
    }
    return found;
  };
}
