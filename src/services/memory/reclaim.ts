import { getHeapStatistics } from "node:v8";

/** Dead buffers may come to so much before V8 is asked to look among the young, which is quick and finds most. */
const mostOctets = 2_097_152;
/** Buffers that waited for a slow peer are no longer young: when so much more is left, V8 is to look everywhere. */
const mostLeftOctets = 4_194_304;
/** Only what comes in bulk counts: V8 keeps up with the rest, and looking costs time. */
const leastOctets = 16_384;

/**
 * Returns a function to be told of all octets that were read or made to be sent. V8 by itself lets 64 MiB of dead
 * buffers stand, in every process. Needs --expose-gc, and does nothing without.
 */
export function createReclaimer(): (octets: number) => void {
  let octetsSince = 0;
  let leftBefore = Number.POSITIVE_INFINITY;
  return (octets) => {
    if (octets < leastOctets) return;
    octetsSince += octets;
    if (octetsSince < mostOctets) return;
    octetsSince = 0;
    globalThis.gc?.({ type: "minor" });
    const left = getHeapStatistics().external_memory;
    leftBefore = Math.min(leftBefore, left);
    if (left - leftBefore < mostLeftOctets) return;
    globalThis.gc?.({ type: "major" });
    leftBefore = getHeapStatistics().external_memory;
  };
}
