/** An address of more octets is refused by every program of this kind. */
export const maxAddressOctets = 1_002;
/** The envelope of a message to this many recipients, each as long as may be, fits. */
export const maxEnvelopeOctets = 100_000 * (maxAddressOctets + 2);

/** The envelope as a queueing program reads it: F and the reverse-path, T and each forward-path, all ended by NUL; NUL. */
export const encodeEnvelope = (reversePath: string, forwardPaths: readonly string[]): Buffer =>
  Buffer.from(`F${reversePath}\0${forwardPaths.map((path) => `T${path}\0`).join("")}\0`, "latin1");

export type ReadEnvelope =
  | { readonly kind: "envelope"; readonly reversePath: string; readonly forwardPaths: readonly string[] }
  /** It ended before its last NUL: whoever wrote it gave the message up. */
  | { readonly kind: "ended early" | "address too long" | "malformed" };

/** Reads an envelope. What comes after it is not looked at. No forward-path at all is an envelope too. */
export function parseEnvelope(octets: Buffer): ReadEnvelope {
  const addresses: string[] = [];
  for (let at = 0; at < octets.length; ) {
    const letter = addresses.length === 0 ? "F" : "T";
    if (octets[at] === 0 && letter === "T") {
      const [reversePath = "", ...forwardPaths] = addresses;
      return { kind: "envelope", reversePath, forwardPaths };
    }
    if (octets[at] !== letter.charCodeAt(0)) return { kind: "malformed" };
    const end = octets.indexOf(0, at);
    if ((end < 0 ? octets.length : end) - at - 1 > maxAddressOctets) return { kind: "address too long" };
    if (end < 0) return { kind: "ended early" };
    addresses.push(octets.toString("latin1", at + 1, end));
    at = end + 1;
  }
  return { kind: "ended early" };
}
