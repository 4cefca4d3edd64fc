import { done, type Outcome, permanent } from "../outcome.ts";

/** An address as 16 octets; IPv4 as ::ffff:a.b.c.d, so that both ways to write it are one. */
export interface Ip {
  readonly family: 4 | 6;
  readonly octets: Uint8Array;
}

export interface Networks {
  /** `address` as the system writes it; what is no address is in no network. */
  has(address: string): boolean;
  /** The first line that `address` is in. */
  lineFor(address: string): string | undefined;
}

/**
 * Reads `192.0.2.1` or any form of RFC 4291 §2.2 (no zone). The family is 4 for ::ffff:192.0.2.1 too. `undefined`
 * when the text is no address.
 */
export function parseIp(text: string): Ip | undefined {
  const v4 = parseIpv4(text);
  if (v4) return { family: 4, octets: mapped(v4) };
  const octets = parseIpv6(text);
  return octets && { family: isMapped(octets) ? 4 : 6, octets };
}

/** Reads lines of `address` or `address/bits`. Fails with all that are neither. */
export function createNetworks(lines: readonly string[]): Outcome<Networks> {
  const networks: Network[] = [];
  const wrong: string[] = [];
  for (const line of lines) {
    const network = networkOf(line);
    if (network) networks.push(network);
    else wrong.push(`"${line}" is no address and no network`);
  }
  if (wrong.length > 0) return permanent("3.5", wrong.join("; "));
  const lineFor = (address: string): string | undefined => {
    const ip = networks.length > 0 ? parseIp(address) : undefined;
    return ip && lines[networks.findIndex((network) => isWithin(ip.octets, network))];
  };
  return done({ has: (address) => lineFor(address) !== undefined, lineFor });
}

/** What counts as one client: an IPv4 address, or the /64 an IPv6 address is in. */
export function clientOf(address: string): string {
  if (!address.includes(":")) return address;
  const ip = parseIp(address);
  if (!ip) return address;
  return ip.family === 4 ? ip.octets.subarray(12).join(".") : `${ip.octets.subarray(0, 8).join(".")}/64`;
}

/** Those likely to be one master's: an IPv4 address's /24, an IPv6 address's /48. */
export function neighbourhoodOf(address: string): string {
  const ip = parseIp(address);
  if (!ip) return address;
  return ip.family === 4 ? `${ip.octets.subarray(12, 15).join(".")}/24` : `${ip.octets.subarray(0, 6).join(".")}/48`;
}

/** The addresses whose first `bits` bits are those of `octets`, 16 of them. */
export interface Network {
  readonly octets: Uint8Array;
  readonly bits: number;
}

/** Reads `address` or `address/bits`. */
export function networkOf(text: string): Network | undefined {
  const slash = text.indexOf("/");
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (!ip) return undefined;
  if (slash < 0) return { octets: ip.octets, bits: 128 };
  const bits = decimal(text.slice(slash + 1), 128);
  // In ::ffff:192.0.2.0/120 the bits already count the prefix.
  const skipped = text.includes(":") ? 0 : 96;
  return bits === undefined || bits + skipped > 128 ? undefined : { octets: ip.octets, bits: bits + skipped };
}

function isWithin(octets: Uint8Array, network: Network): boolean {
  const whole = network.bits >> 3;
  for (let at = 0; at < whole; at++) if (octets[at] !== network.octets[at]) return false;
  const rest = network.bits & 7;
  return rest === 0 || (octets[whole] ?? 0) >> (8 - rest) === (network.octets[whole] ?? 0) >> (8 - rest);
}

/** Digits only, no leading zero, at most `most`. */
function decimal(text: string, most: number): number | undefined {
  if (!/^(0|[1-9][0-9]{0,2})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= most ? value : undefined;
}

function parseIpv4(text: string): readonly number[] | undefined {
  const parts = text.length <= "255.255.255.255".length ? text.split(".", 5) : [];
  if (parts.length !== 4) return undefined;
  const octets: number[] = [];
  for (const part of parts) {
    const octet = decimal(part, 255);
    if (octet === undefined) return undefined;
    octets.push(octet);
  }
  return octets;
}

const isMapped = (octets: Uint8Array): boolean =>
  octets[10] === 255 && octets[11] === 255 && octets.subarray(0, 10).every((octet) => octet === 0);

const mapped = (v4: readonly number[]): Uint8Array => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...v4);

function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined;
  const halves = text.split("::", 3);
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? "", halves.length === 1);
  const tail = parseGroups(halves[1] ?? "", true);
  if (!head || !tail) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

/** Groups of up to four hexadecimal digits; the last may be an IPv4 address where the address ends. */
function parseGroups(text: string, last: boolean): readonly number[] | undefined {
  if (text === "") return [];
  const octets: number[] = [];
  const groups = text.split(":");
  for (const [at, group] of groups.entries()) {
    const v4 = last && at === groups.length - 1 ? parseIpv4(group) : undefined;
    if (v4) octets.push(...v4);
    else if (/^[0-9a-fA-F]{1,4}$/.test(group))
      octets.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255);
    else return undefined;
  }
  return octets;
}
