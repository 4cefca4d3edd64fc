import { parseIp } from "../network/network.ts";

/** One MX record. */
export interface Exchange {
  readonly name: string;
  readonly preference: number;
}

/** One address of one host that takes a domain's mail. */
export interface Host {
  /** The name DNS gave, for TLS; the address itself where there was none. */
  readonly name: string;
  readonly address: string;
  readonly preference: number;
  /** DNSSEC vouches for all that leads from the domain to this address. */
  readonly isSecure?: boolean;
  /** What `name` is an alias of, as far as DNS has said. */
  readonly canonical?: string;
}

/** So many exchangers are looked up, and so many of their addresses tried, whatever is published. */
export const maxExchanges = 20;
export const maxHosts = 20;

/** The domain declared that it takes no mail (RFC 7505): its only MX is the root. */
export const isNullMx = (exchanges: readonly Exchange[]): boolean =>
  exchanges.length > 0 && exchanges.every((exchange) => isRoot(exchange.name));

/**
 * The exchangers in the order to try them: by preference, equals in an order that `random` (0 <= n < 1, called once
 * for each) decides (RFC 5321 §5.1). A root beside others is no host; a name given twice counts once.
 */
export function orderExchanges(exchanges: readonly Exchange[], random: () => number): readonly Exchange[] {
  const seen = new Set<string>();
  return exchanges
    .filter((exchange) => !isRoot(exchange.name))
    .map((exchange) => ({ exchange, draw: random() }))
    .sort((one, other) => one.exchange.preference - other.exchange.preference || one.draw - other.draw)
    .map(({ exchange }) => exchange)
    .filter(({ name }) => !seen.has(name.toLowerCase()) && seen.add(name.toLowerCase()))
    .slice(0, maxExchanges);
}

/**
 * What is left when our own addresses are cut: the hosts strictly better than the best of those, or else mail would
 * go round in circles (RFC 5321 §5.1). Nothing is left when we are among the best.
 */
export function cutOwn(hosts: readonly Host[], isOwn: (address: string) => boolean): readonly Host[] {
  const own = hosts.filter((host) => isOwn(host.address)).map((host) => host.preference);
  const limit = Math.min(...own);
  return hosts.filter((host) => host.preference < limit);
}

/** The address in `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3) or a bare IPv4 address. */
export function literalAddress(domain: string): string | undefined {
  const inner = domain.startsWith("[") && domain.endsWith("]") ? domain.slice(1, -1) : undefined;
  const address = inner === undefined ? domain : inner.replace(/^ipv6:/i, "");
  if (inner === undefined && address.includes(":")) return undefined;
  return parseIp(address) ? address : undefined;
}

const isRoot = (name: string): boolean => name === "" || name === ".";
