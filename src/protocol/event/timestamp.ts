export type TimestampKind = "iso" | "tai64n" | "none";

/** TAI is ahead of UTC by ten seconds since 1970, as loggers count: leap seconds are in the system's table, not here. */
const taiOffset = 2n ** 62n + 10n;

/** A moment (milliseconds since 1970) as what goes in front of a line of the log, its blank included. */
export function formatTimestamp(ms: number, kind: TimestampKind): string {
  switch (kind) {
    case "iso":
      return `${new Date(ms).toISOString()} `;
    case "tai64n": {
      const seconds = Math.floor(ms / 1000);
      const nanoseconds = Math.floor((ms - seconds * 1000) * 1e6);
      return `@${hex(taiOffset + BigInt(seconds), 16)}${hex(nanoseconds, 8)} `;
    }
    case "none":
      return "";
    default:
      return kind satisfies never;
  }
}

const hex = (value: number | bigint, digits: number): string => value.toString(16).padStart(digits, "0");
