/** One TLSA record (RFC 6698 §2.1). */
export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matching: number;
  readonly data: Buffer;
  /** All of it as in DNS. */
  readonly octets: Buffer;
}

/** Reads the data of a TLSA record; `undefined` when it is too short to be one. */
export function parseTlsa(octets: Buffer): TlsaRecord | undefined {
  const [usage, selector, matching] = octets;
  if (usage === undefined || selector === undefined || matching === undefined || octets.length < 4) return undefined;
  return { usage, selector, matching, data: octets.subarray(3), octets };
}

const digestOctets: ReadonlyMap<number, number> = new Map([
  [1, 32],
  [2, 64],
]);

/**
 * Whether we can judge a certificate by it (RFC 7672 §3.1): usages DANE-TA and DANE-EE, whole certificate or key, exact,
 * SHA2-256 or SHA2-512 of the right length.
 */
export function isUsable({ usage, selector, matching, data }: TlsaRecord): boolean {
  const length = digestOctets.get(matching);
  return (
    (usage === 2 || usage === 3) && (selector === 0 || selector === 1) && (matching === 0 || length === data.length)
  );
}
