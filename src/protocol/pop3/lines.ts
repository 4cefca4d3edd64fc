const LF = 10;
const CR = 13;
const nothing = Buffer.alloc(0);

/** In the place of a line that was too long. */
export const tooLong = Symbol("too long");

/** What a client sent, taken line by line. Holds what was put in and not yet taken, no more. */
export interface Lines {
  put(chunk: Buffer): void;
  /** The next line without its end, one character an octet; `undefined` when none is whole yet. */
  take(): string | typeof tooLong | undefined;
  /** All that is left, which is then gone: what was sent before TLS must not count after it. */
  rest(): Buffer;
}

/**
 * Lines of at most `maxOctets` with their end, which is LF or, as it should be, CR LF. A longer one is passed over to
 * its end, kept nowhere, and reported once.
 */
export function createLines(maxOctets: number): Lines {
  let input: Buffer = nothing;
  let skipping = false;
  return {
    put(chunk) {
      input = input.length === 0 ? chunk : Buffer.concat([input, chunk]);
    },
    take() {
      const lineFeed = input.indexOf(LF);
      if (lineFeed < 0) {
        if (skipping || input.length >= maxOctets) {
          skipping = true;
          input = nothing;
        }
        return undefined;
      }
      const isTooLong = skipping || lineFeed >= maxOctets;
      skipping = false;
      const end = lineFeed > 0 && input[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed;
      const line = isTooLong ? tooLong : input.toString("latin1", 0, end);
      input = lineFeed + 1 < input.length ? input.subarray(lineFeed + 1) : nothing;
      return line;
    },
    rest() {
      const left = input;
      input = nothing;
      return left;
    },
  };
}
