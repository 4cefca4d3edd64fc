import { Source } from "./source.ts";

/** One parser and what must be true of it, whatever it is given: `check` makes an input and throws when it is not. */
export interface Row {
  readonly name: string;
  /** Cases of the short form. */
  readonly cases: number;
  check(source: Source): void;
}

export interface Found {
  readonly row: Row;
  readonly seed: number;
  readonly error: unknown;
  /** The least choices found that still fail, and how. */
  readonly choices: readonly number[];
  readonly leastError: unknown;
}

const maxShrinkTries = 3_000;

/** Checks the case of one seed; a failure comes back with the simplest case like it. */
export function checkSeed(row: Row, seed: number): Found | undefined {
  const source = new Source(seed);
  const error = thrownBy(row, source);
  if (error === undefined) return undefined;
  const { choices, error: leastError } = shrink(row, source.choices, error);
  return { row, seed, error, choices, leastError };
}

export function describe({ row, seed, choices, leastError }: Found): string {
  const why = leastError instanceof Error ? (leastError.stack ?? leastError.message) : String(leastError);
  return `${row.name}: fails with seed ${seed}; again: node test/fuzz/run.ts --only "${row.name}" --seed ${seed}
  least choices (${choices.length}): ${choices.slice(0, 100).join(" ")}
${why.replace(/^/gm, "  ")}`;
}

function thrownBy(row: Row, source: Source): unknown {
  try {
    row.check(source);
    return undefined;
  } catch (error) {
    return error ?? new Error("threw undefined");
  }
}

/** Leaves out halves, quarters and so on of the choices, then halves each, as long as it still fails. */
function shrink(row: Row, choices: readonly number[], error: unknown): { choices: readonly number[]; error: unknown } {
  let least = { choices, error };
  let tries = 0;
  const attempt = (candidate: readonly number[]): boolean => {
    if (tries++ >= maxShrinkTries) return false;
    const thrown = thrownBy(row, new Source(candidate));
    if (thrown === undefined) return false;
    least = { choices: candidate, error: thrown };
    return true;
  };
  for (let length = choices.length >> 1; length > 0; length >>= 1) {
    for (let at = 0; at < least.choices.length && tries < maxShrinkTries; ) {
      if (!attempt(least.choices.toSpliced(at, length))) at += length;
    }
  }
  for (let at = 0; at < least.choices.length && tries < maxShrinkTries; at++) {
    for (let value = least.choices[at] ?? 0; value > 0; ) {
      value = Math.floor(value / 2);
      if (!attempt(least.choices.with(at, value))) break;
    }
  }
  return least;
}
