const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

const two = (value: number): string => String(value).padStart(2, "0");

/** The line that begins a message in an mbox, its LF included: who sent it and when, UTC, as asctime() writes it. */
export function fromLine(reversePath: string, atMs: number): string {
  const sender = reversePath === "" ? "MAILER-DAEMON" : reversePath.replace(/[ \t\n]/g, "-");
  const at = new Date(atMs);
  const time = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
  const day = `${days[at.getUTCDay()]} ${months[at.getUTCMonth()]} ${two(at.getUTCDate())}`;
  return `From ${sender} ${day} ${time} ${at.getUTCFullYear()}\n`;
}
