const units = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 } as const;

/** Seconds in `90s`, `10m`, `3h`, `2d`, `1w` or a plain number of seconds; `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit = "s"] = /^([0-9]{1,9})([smhdw]?)$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  return Number(digits) * units[(unit || "s") as keyof typeof units];
}

/** A time as people say it, in the two largest units that matter: `12 s`, `3 min`, `2 h 5 min`, `4 d 1 h`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, "h", minutes % 60, "min");
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

const two = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;

/** A size as people say it: `812 B`, `4.1 kB`, `37 MB`. */
export function formatOctets(octets: number): string {
  let value = octets;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 999.5 || unit === "GB")
      return `${value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1000;
  }
  return `${octets} B`;
}

/** `1 message`, `2 messages`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
