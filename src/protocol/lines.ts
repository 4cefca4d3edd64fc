const LF = 10;
const CR = 13;
const nothing = Buffer.alloc(0);

/** In the place of a line that was too long. */
export const tooLong = Symbol("too long");
/** In the place of a line where "CR LF" was asked for: it ends in something else, or has a CR within. */
export const strayEnd = Symbol("stray line end");

export type Line = string | typeof tooLong | typeof strayEnd;

/** What a client sent, taken line by line, or as octets. Holds what was put in and not yet taken, no more. */
export interface Lines<Taken extends Line = Line> {
  /** How much was not taken yet. */
  readonly octets: number;
  put(chunk: Buffer): void;
  /** The next line without its end, one character an octet; `undefined` when none is whole yet. */
  take(maxOctets?: number): Taken | undefined;
  /** The first octets of the next line, as far as they have come. */
  peek(octets: number): string;
  /** The whole lines that are next, without their ends, at most so many. Neither taken nor checked. */
  ahead(most: number): readonly string[];
  /** At most so many of all that is left. */
  takeOctets(most: number): Buffer;
  /** All that is left, which is then gone: what was sent before TLS must not count after it. */
  rest(): Buffer;
}

/**
 * Lines of at most `maxOctets` with their end, which is LF or, as it should be, CR LF: nothing else where `ends` says
 * so. A longer one is passed over to its end, kept nowhere, and reported once.
 */
export function createLines(maxOctets: number): Lines<string | typeof tooLong>;
export function createLines(maxOctets: number, ends: "CR LF"): Lines;
export function createLines(maxOctets: number, ends: "any" | "CR LF" = "any"): Lines {
  let input: Buffer = nothing;
  let skipping = false;
  const takeOctets = (most: number): Buffer => {
    const taken = most < input.length ? input.subarray(0, most) : input;
    input = most < input.length ? input.subarray(most) : nothing;
    return taken;
  };
  return {
    get octets() {
      return input.length;
    },
    put(chunk) {
      input = input.length === 0 ? chunk : Buffer.concat([input, chunk]);
    },
    take(most = maxOctets) {
      const lineFeed = input.indexOf(LF);
      if (lineFeed < 0) {
        if (skipping || input.length >= most) {
          skipping = true;
          input = nothing;
        }
        return undefined;
      }
      const octets = takeOctets(lineFeed + 1);
      const isTooLong = skipping || lineFeed >= most;
      skipping = false;
      if (isTooLong) return tooLong;
      if (ends === "CR LF" && (lineFeed === 0 || octets.indexOf(CR) !== lineFeed - 1)) return strayEnd;
      return octets.toString("latin1", 0, lineFeed > 0 && octets[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed);
    },
    peek: (octets) => input.toString("latin1", 0, Math.min(octets, input.length)),
    ahead(most) {
      const found: string[] = [];
      for (let from = 0; found.length < most; ) {
        const lineFeed = input.indexOf(LF, from);
        if (lineFeed < 0) break;
        const end = lineFeed > from && input[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed;
        found.push(input.toString("latin1", from, end));
        from = lineFeed + 1;
      }
      return found;
    },
    takeOctets,
    rest: () => takeOctets(input.length),
  };
}
