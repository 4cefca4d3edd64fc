const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

const two = (value: number): string => String(value).padStart(2, "0");

/**
 * A moment (milliseconds since 1970) as header fields show it: `6 Sep 1995 04:46:54 -0000`. Always UTC, which the zone
 * `-0000` says without claiming that the writer lives there (RFC 5322 §3.3).
 */
export function formatDate(ms: number): string {
  const date = new Date(ms);
  const time = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  return `${date.getUTCDate()} ${months[date.getUTCMonth()]} ${date.getUTCFullYear()} ${time} -0000`;
}

/** A moment as fourteen digits, UTC: `19950906044654`, as Message-IDs use it. */
export const formatStamp = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, "");
