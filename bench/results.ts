/** What the harness has written: lines of JSON, one for each run, and one for each server and scenario about the circumstances. */
import { readFileSync } from "node:fs";

export interface Run {
  readonly target: string;
  readonly scenario: string;
  readonly case: string;
  readonly run: number;
  readonly missing?: number;
  readonly error?: string;
  /** Microseconds of CPU for one message, by program. */
  readonly cpu_us?: Readonly<Record<string, number>>;
  readonly [figure: string]: string | number | Readonly<Record<string, number>> | undefined;
}

export interface About {
  readonly about: string;
  readonly version: string;
  readonly tuning: string;
  readonly runs: number;
  readonly scale: number;
  readonly date: string;
  readonly cpus: number;
  readonly cpu: string;
  readonly memory_gib: number;
  readonly kernel: string;
  /** Kind of file system and mount options. */
  readonly disk: string;
}

export const ours = "postern";

export function readResults(path: string): { readonly runs: readonly Run[]; readonly abouts: readonly About[] } {
  const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
  const all = lines.map((line) => JSON.parse(line) as Run | About);
  return {
    runs: all.filter((line): line is Run => "target" in line),
    abouts: all.filter((line): line is About => "about" in line),
  };
}

export interface Summary {
  readonly median: number;
  readonly text: string;
}

/** Median, with lowest and highest where there were several. */
export function summaryOf(values: readonly number[]): Summary {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2;
  const [least = 0, most = 0] = [sorted[0], sorted.at(-1)];
  return { median, text: sorted.length > 1 ? `${shown(median)} (${shown(least)}-${shown(most)})` : shown(median) };
}

export const shown = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));

export const numbersOf = (runs: readonly Run[], figure: string): readonly number[] =>
  runs.map((run) => run[figure]).filter((value) => typeof value === "number");
