/** What a From_ line says. */
export interface FromLine {
  /** "" for MAILER-DAEMON and for nobody. */
  readonly reversePath: string;
  /** When; absent where no date can be read. Without a zone the time is UTC, as qmail writes it. */
  readonly atMs: number | undefined;
}

const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Reads `From SENDER Www Mmm DD HH:MM:SS YYYY`, with a numeric zone before or after the year if there is one. */
export function parseFromLine(line: string): FromLine {
  const words = line.split(" ").filter((word) => word !== "");
  const sender = words[1] ?? "";
  const reversePath = sender === "MAILER-DAEMON" || sender === "-" ? "" : sender;
  const day = words.findIndex((word, at) => at > 0 && days.includes(word) && months.includes(words[at + 1] ?? ""));
  return { reversePath, atMs: day < 0 ? undefined : parseDate(words.slice(day + 1)) };
}

function parseDate([month = "", day = "", time = "", ...rest]: readonly string[]): number | undefined {
  const [, hours, minutes, seconds = "0"] = /^([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?$/.exec(time) ?? [];
  const years = rest.slice(0, 3).filter((word) => /^[0-9]{4}$/.test(word));
  if (hours === undefined || !/^[0-9]{1,2}$/.test(day) || years.length === 0) return undefined;
  const zone = rest.slice(0, 3).find((word) => /^[+-][0-9]{4}$/.test(word)) ?? "+0000";
  const ahead = Number(`${zone.charAt(0)}1`) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3)));
  const date = [Number(years[0]), months.indexOf(month), Number(day)] as const;
  return Date.UTC(...date, Number(hours), Number(minutes) - ahead, Number(seconds));
}
