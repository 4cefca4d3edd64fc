export interface Stamped {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** The line behind its time. */
  readonly text: string;
}

/** As loggers count: TAI is ten seconds ahead of UTC. */
const taiOffset = 2 ** 62;
const taiLead = 10;

/**
 * Takes the time from the front of a log line: `@` and TAI64N (multilog, `postern log`), seconds with a fraction
 * (matchup's input, cyclog), ISO 8601 (`postern log`), or a syslog line whose text begins with splogger's seconds.
 * `undefined` when there is none of these.
 */
export function takeTimestamp(line: string): Stamped | undefined {
  if (line.startsWith("@")) return takeTai(line);
  const seconds = takeSeconds(line, 0);
  if (seconds) return seconds;
  const iso = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}Z /.exec(line)?.[0];
  if (iso !== undefined) {
    const timeMs = Date.parse(iso.trim());
    return Number.isNaN(timeMs) ? undefined : { timeMs, text: line.slice(iso.length) };
  }
  const tag = line.slice(0, maxSyslogOctets).indexOf(": ");
  return tag < 0 ? undefined : takeSeconds(line, tag + 2);
}

/** Time, host and tag of a syslog line. */
const maxSyslogOctets = 400;

function takeTai(line: string): Stamped | undefined {
  if (line.charAt(25) !== " " || !/^@[0-9a-f]{24} /.test(line)) return undefined;
  // The upper half of TAI64's seconds is 2^62; what is below fits a number.
  const seconds = Number.parseInt(line.slice(1, 9), 16) * 2 ** 32 - taiOffset + Number.parseInt(line.slice(9, 17), 16);
  const nanoseconds = Number.parseInt(line.slice(17, 25), 16);
  return { timeMs: (seconds - taiLead) * 1000 + nanoseconds / 1e6, text: line.slice(26) };
}

/** `810362814.250000 ` or `810362814 ` at `start`; at most twelve digits, as many of the fraction as there are. */
function takeSeconds(line: string, start: number): Stamped | undefined {
  const end = line.indexOf(" ", start);
  if (end <= start || end - start > 32) return undefined;
  const digits = line.slice(start, end);
  if (!/^[0-9]{6,12}(?:\.[0-9]{1,18})?$/.test(digits)) return undefined;
  return { timeMs: Number(digits) * 1000, text: line.slice(end + 1) };
}
