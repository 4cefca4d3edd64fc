/** First in, first out, back in at the front, and in past some; each in constant time on average, but for the last. */
export class Fifo<Value> {
  #values: Value[] = [];
  #head = 0;

  get size(): number {
    return this.#values.length - this.#head;
  }
  get first(): Value | undefined {
    return this.#values[this.#head];
  }
  get last(): Value | undefined {
    return this.size > 0 ? this.#values.at(-1) : undefined;
  }

  push(value: Value): void {
    this.#values.push(value);
  }

  /** Puts it before those at the end that let it. */
  pushPast(value: Value, lets: (other: Value) => boolean): void {
    let at = this.#values.length;
    for (let other = this.last; other !== undefined && lets(other); other = this.#values[at - 1]) {
      if (--at === this.#head) break;
    }
    if (at === this.#values.length) this.#values.push(value);
    else this.#values.splice(at, 0, value);
  }

  shift(): Value | undefined {
    const value = this.#values[this.#head];
    if (this.#head < this.#values.length) this.#head++;
    if (this.#head > 1_000 && this.#head * 2 > this.#values.length) this.replace(this.#values.slice(this.#head));
    return value;
  }

  unshift(value: Value): void {
    if (this.#head > 0) this.#values[--this.#head] = value;
    else this.#values.unshift(value);
  }

  replace(values: Value[]): void {
    this.#values = values;
    this.#head = 0;
  }

  /** Empties it. */
  drain(): readonly Value[] {
    const values = this.#values.slice(this.#head);
    this.replace([]);
    return values;
  }
}
