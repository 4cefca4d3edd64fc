/** The messages of a load: what number `n` looks like, and whether a copy is it, octet for octet. */
import { createHash } from "node:crypto";

/** Numbers from here on are messages of fifty megabytes. */
export const largeFrom = 1_000_000;
const largeOctets = 50_000_000;

const eightBit = String.fromCharCode(...Array.from({ length: 128 }, (_, n) => 128 + n));
const binary = String.fromCharCode(...Array.from({ length: 255 }, (_, n) => n + 1).filter((n) => n !== 10 && n !== 13));

/** Whether the body of message `n` is longer than what a program keeps in memory of a message. */
export const isLong = (n: number): boolean => n >= largeFrom || n % 24 === 5;

/** Each kind of body has something that a careless program changes. */
const kinds: readonly ((n: number) => string)[] = [
  (n) => `${`message ${n} 0123456789abcdef\n`.repeat(60)}end of ${n}\n`,
  (n) => `${`message ${n} ${eightBit}\n`.repeat(8)}end of ${n}\n`,
  (n) => `${`message ${n} ${binary}\n`.repeat(4)}end of ${n}\n`,
  (n) => `.\n..\n.message ${n}\nFrom here\n>From there\n>>From ${n}\n\n\nend of ${n}\n`,
  (n) => `message ${n}\nwithout an end of its last line ${n}`,
  (n) => `${`message ${n} 0123456789abcdef\n`.repeat(isLong(n) ? 12_000 : 30)}end of ${n}\n`,
];

const large = (n: number): string => {
  const line = `${`large message ${n} `.repeat(40).slice(0, 899)}\n`;
  return `${line.repeat(largeOctets / line.length)}end of ${n}\n`;
};

export function bodyOf(n: number): string {
  if (n >= largeFrom) return large(n);
  return kinds[n % kinds.length]?.(n) ?? "";
}

export const textOf = (n: number): string => `Subject: load\nX-Load: ${n}\n\n${bodyOf(n)}`;

/** Not a number for what is none of ours. */
export const numberIn = (text: string): number => Number(/^X-Load: (\d+)\r?$/m.exec(text)?.[1]);

/** What follows the header is what was sent. Ways that carry only whole lines end the last one. */
export function isWhole(n: number, text: string): boolean {
  const start = text.indexOf("\n\n") + 2;
  return start >= 2 && forms(n).some((body) => body.length === text.length - start && text.endsWith(body));
}

/** As `isWhole`, where a program left only the SHA-256 of the body. */
export const isDigestOf = (n: number, digest: string | undefined): boolean =>
  forms(n).some((body) => createHash("sha256").update(body, "latin1").digest("hex") === digest);

function forms(n: number): readonly string[] {
  const body = bodyOf(n);
  return body.endsWith("\n") ? [body] : [body, `${body}\n`];
}
