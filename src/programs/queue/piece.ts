import { free } from "../../services/memory/free.ts";

const empty = Buffer.allocUnsafeSlow(0);

/** Collects octets up to a bound, however small the parts they come in, in no more than twice the memory while it does. */
export class Piece {
  readonly #most: number;
  #octets = empty;
  #length = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Copies what fits, and returns the rest. */
  fill(octets: Buffer): Buffer {
    const taken = Math.min(octets.length, this.#most - this.#length);
    this.#grow(this.#length + taken);
    octets.copy(this.#octets, this.#length, 0, taken);
    this.#length += taken;
    return octets.subarray(taken);
  }

  /** What was collected, in memory of its own; then it is empty. */
  take(): Buffer {
    const isFull = this.#length === this.#octets.length;
    const octets = isFull ? this.#octets : Buffer.from(this.#octets.buffer.transfer(this.#length));
    this.#octets = empty;
    this.#length = 0;
    return octets;
  }

  #grow(needed: number): void {
    if (needed <= this.#octets.length) return;
    // The first part is often all of it: no spare room for that one.
    const room = this.#length === 0 ? needed : Math.min(this.#most, Math.max(needed, this.#octets.length * 2));
    const grown = Buffer.allocUnsafeSlow(room);
    this.#octets.copy(grown, 0, 0, this.#length);
    free(this.#octets);
    this.#octets = grown;
  }
}
