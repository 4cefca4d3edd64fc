import { parseIp } from "../../protocol/network/network.ts";

/** Which addresses have been used to read mail, after a login: for a while such an address may send to anywhere. */
export interface Readers {
  /** Somebody has logged in from there. */
  note(address: string): void;
  mayRelay(address: string): boolean;
  limit(windowMs: number): void;
}

/** More are forgotten, those who read longest ago first. */
export const maxReaders = 50_000;

/** Remembers for `windowMs`, 0 for not at all; `nowMs` never goes back. A loopback address is nobody's own. */
export function createReaders(windowMs: number, nowMs: () => number): Readers {
  let window = windowMs;
  const readers = new Map<string, number>();
  return {
    note(address) {
      const key = keyOf(address);
      if (window === 0 || key === undefined) return;
      readers.delete(key); // so that the order is that of the last logins
      const [oldest] = readers.size >= maxReaders ? readers.keys() : [];
      if (oldest !== undefined) readers.delete(oldest);
      readers.set(key, nowMs());
    },
    mayRelay(address) {
      const key = keyOf(address);
      const readMs = key === undefined ? undefined : readers.get(key);
      return readMs !== undefined && nowMs() - readMs < window;
    },
    limit(freshMs) {
      window = freshMs;
      if (window === 0) readers.clear();
    },
  };
}

/** One text for all ways to write an address. */
function keyOf(address: string): string | undefined {
  const ip = parseIp(address);
  if (!ip) return undefined;
  const isLoopback =
    ip.family === 4 ? ip.octets[12] === 127 : ip.octets.every((octet, at) => octet === Number(at === 15));
  return isLoopback ? undefined : ip.octets.join(".");
}
