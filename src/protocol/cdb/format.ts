/** A constant database begins with the place and size of each of so many tables. */
export const tableCount = 256;
/** Two 32-bit numbers, least octet first: a table's place and slots, a slot's hash and position, a record's lengths. */
export const pairOctets = 8;
export const headerOctets = tableCount * pairOctets;

/** The hash of a key (latin1): h = 33 h xor octet from 5381, in 32 bits without sign. */
export function cdbHash(key: string): number {
  let hash = 5381;
  for (let at = 0; at < key.length; at++) hash = (((hash << 5) + hash) ^ (key.charCodeAt(at) & 255)) | 0;
  return hash >>> 0;
}
