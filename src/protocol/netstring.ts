/**
 * Netstrings: `LEN:OCTETS,`, LEN decimal without leading zeros. How QMTP and QMQP frame everything.
 */
const comma = Buffer.from(",");

/** What goes before so many octets; `,` goes after them. */
export const netstringHead = (octets: number): string => `${octets}:`;

/** A text (latin1) as one netstring. */
export const encodeNetstring = (text: string): Buffer => Buffer.from(`${netstringHead(text.length)}${text},`, "latin1");

/** Octets as one netstring, without copying them. */
export const netstringParts = (octets: Uint8Array): readonly Uint8Array[] => [
  Buffer.from(netstringHead(octets.length)),
  octets,
  comma,
];

/** How long `octets` octets are as a netstring. */
export const netstringOctets = (octets: number): number => netstringHead(octets).length + octets + 1;

/**
 * Reads LEN and its colon, octet by octet: "more" until the colon came, then the length. "broken" for anything that is
 * not a digit, a leading zero, no digit at all, or a length over `mostOctets`. Afterwards ready for the next one.
 */
export function createLengthReader(): (octet: number, mostOctets: number) => number | "more" | "broken" {
  let length: number | undefined;
  return (octet, mostOctets) => {
    if (octet === 0x3a) {
      const complete = length ?? "broken";
      length = undefined;
      return complete;
    }
    if (octet < 0x30 || octet > 0x39 || length === 0) return "broken";
    length = (length ?? 0) * 10 + (octet - 0x30);
    return length > mostOctets ? "broken" : "more";
  };
}

/**
 * Reads one netstring of at most `mostOctets` from whole octets: its text (latin1) and how many octets it took.
 * "more" when it is not complete yet, "broken" when it cannot become one.
 */
export function decodeNetstring(
  octets: Buffer,
  mostOctets: number,
): { readonly text: string; readonly used: number } | "more" | "broken" {
  const read = createLengthReader();
  for (const [at, octet] of octets.entries()) {
    const length = read(octet, mostOctets);
    if (length === "more") continue;
    if (length === "broken") return "broken";
    const end = at + 1 + length;
    if (octets.length <= end) return "more";
    if (octets[end] !== 0x2c) return "broken";
    return { text: octets.toString("latin1", at + 1, end), used: end + 1 };
  }
  return "more";
}
