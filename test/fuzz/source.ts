/**
 * Where generators get their choices from. It keeps what it gave, so that a case can be told by its choices alone:
 * given again shorter or smaller, they make a simpler case of the same kind. Choices that are missing are 0, so
 * generators put what is plain first.
 */
export class Source {
  readonly choices: number[] = [];
  readonly #given: readonly number[] | undefined;
  #state: number;

  /** A seed, or the choices of an earlier source. */
  constructor(from: number | readonly number[]) {
    this.#given = typeof from === "number" ? undefined : from;
    this.#state = typeof from === "number" ? from >>> 0 : 0;
  }

  /** 0 <= n < `limit`. */
  below(limit: number): number {
    const choice = (this.#given ? (this.#given[this.choices.length] ?? 0) : this.#random()) % limit;
    this.choices.push(choice);
    return choice;
  }

  /** True once in so many times. */
  oneIn(times: number): boolean {
    return this.below(times) === times - 1;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  /** Mostly small, at times up to `most`. */
  size(most: number): number {
    const bound = [4, 16, most][this.below(3)] ?? most;
    return this.below(Math.min(bound, most) + 1);
  }

  list<Item>(most: number, make: () => Item): Item[] {
    return Array.from({ length: this.size(most) }, make);
  }

  /** Latin1 text put together from words. */
  text(words: readonly string[], most = 12): string {
    return this.list(most, () => this.pick(words)).join("");
  }

  /** Any octets; long stretches come from one choice, or shrinking would never end. */
  octets(most: number): Buffer {
    const octets = Buffer.alloc(this.size(most));
    if (octets.length <= 32) for (let at = 0; at < octets.length; at++) octets[at] = this.below(256);
    else {
      const stretch = new Source(this.below(2 ** 32));
      for (let at = 0; at < octets.length; at++) octets[at] = stretch.#random();
    }
    return octets;
  }

  /** The octets in pieces of any size; copies, for parsers that work in place. */
  pieces(octets: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (let at = 0; at < octets.length; ) {
      const piece = octets.subarray(at, at + 1 + this.size(octets.length));
      pieces.push(Buffer.from(piece));
      at += piece.length;
    }
    return pieces;
  }

  /** Mulberry32. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}

/** Cuts at every place once, and into single octets. */
export function everyCut(octets: Buffer): Buffer[][] {
  const cuts = Array.from({ length: octets.length }, (_, at) =>
    [octets.subarray(0, at), octets.subarray(at)].map((piece) => Buffer.from(piece)),
  );
  return [...cuts, Array.from(octets, (octet) => Buffer.of(octet))];
}
