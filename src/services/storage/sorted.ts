/** Values in order, without two that compare equal. */
export class Sorted<Value> {
  readonly values: Value[] = [];
  readonly #compare: (a: Value, b: Value) => number;

  constructor(compare: (a: Value, b: Value) => number) {
    this.#compare = compare;
  }

  /** Where `value` is, or would be. */
  indexOf(value: Value): number {
    let low = 0;
    let high = this.values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.values[middle];
      if (other !== undefined && this.#compare(other, value) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  add(value: Value): void {
    this.values.splice(this.indexOf(value), 0, value);
  }

  remove(value: Value): void {
    this.values.splice(this.indexOf(value), 1);
  }

  /** Those that fit, up to the first that does not. */
  first(most: number, fits: (value: Value) => boolean): Value[] {
    const found: Value[] = [];
    for (const value of this.values) {
      if (found.length >= most || !fits(value)) break;
      found.push(value);
    }
    return found;
  }
}
