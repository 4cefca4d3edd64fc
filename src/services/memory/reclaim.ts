/** Dead buffers may come to so much before V8 is asked to look for them. */
const mostOctets = 2_097_152;
/** Only what comes in bulk counts: V8 keeps up with the rest, and looking costs time. */
const leastOctets = 16_384;
/** Every so many times also for those that have lived a while, as buffers that wait for a slow peer do. */
const thoroughTimes = 2;

/**
 * Returns a function to be told of all octets that were read or made to be sent. V8 by itself lets 64 MiB of dead buffers stand, in every
 * process. Needs --expose-gc, and does nothing without.
 */
export function createReclaimer(): (octets: number) => void {
  let octetsSince = 0;
  let times = 0;
  return (octets) => {
    if (octets < leastOctets) return;
    octetsSince += octets;
    if (octetsSince < mostOctets) return;
    octetsSince = 0;
    globalThis.gc?.({ type: ++times % thoroughTimes === 0 ? "major" : "minor" });
  };
}
