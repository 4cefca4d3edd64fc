/** A stretch of a body, which is the taker's now; with `last` nothing follows. */
export interface Piece {
  readonly octets: Buffer;
  readonly last: boolean;
}

/**
 * A body between the program that sends it and the connection that takes it: holds what credit allows and no more.
 * `onTaken` is called for what was taken while more is to come.
 */
export class Body {
  readonly #total: number;
  readonly #window: number;
  readonly #onTaken: (octets: number) => void;
  #held: Buffer[] = [];
  #heldOctets = 0;
  #received = 0;
  #ended = false;
  /** Called when there may be something to take. */
  onMore: () => void = () => {};

  constructor(total: number, window: number, onTaken: (octets: number) => void) {
    this.#total = total;
    this.#window = window;
    this.#onTaken = onTaken;
  }

  /** Copies `octets`. "broken" when the sender went over the credit or the length it gave. */
  push(octets: Buffer): "broken" | undefined {
    this.#received += octets.length;
    this.#heldOctets += octets.length;
    if (this.#ended || this.#received > this.#total || this.#heldOctets > this.#window) return "broken";
    if (octets.length === 0) return undefined;
    this.#held.push(Buffer.from(octets));
    this.onMore();
    return undefined;
  }

  /** "broken" when octets are missing: a torn message must not look like a whole one. */
  end(): "broken" | undefined {
    if (this.#ended || this.#received !== this.#total) return "broken";
    this.#ended = true;
    this.onMore();
    return undefined;
  }

  /** What is there, or `undefined` for now. Not to be called after the last piece. */
  take(): Piece | undefined {
    const octets = this.#held.shift();
    if (!octets) return this.#ended ? { octets: Buffer.alloc(0), last: true } : undefined;
    this.#heldOctets -= octets.length;
    const last = this.#ended && this.#held.length === 0;
    if (this.#received < this.#total) this.#onTaken(octets.length);
    return { octets, last };
  }
}
