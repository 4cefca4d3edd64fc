import {
  cutOwn,
  type Exchange,
  type Host,
  isNullMx,
  literalAddress,
  maxHosts,
  orderExchanges,
} from "../../protocol/mx/choose.ts";
import { findRelay, type Relay } from "../../protocol/mx/route.ts";
import { parseIp } from "../../protocol/network/network.ts";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import type { Answer, Dns } from "../../services/dns/dns.ts";
import type { Config } from "./config.ts";

/** Where a domain's mail goes, in the order to try it. Never empty. */
export interface Destination {
  readonly hosts: readonly Host[];
  readonly port: number;
  /** Of hosts found by MX the preference tells (MXPS). */
  readonly protocol: "SMTP" | "QMTP" | "LMTP" | "by preference";
  /** The relay's name as a control file has it, else the domain: what control/tlspolicy goes by. */
  readonly nextHop: string;
  /** A control file names it: no stranger had a say in where it is. */
  readonly isRelay: boolean;
}

/**
 * Finds the hosts for a domain: by lmtproutes, qmtproutes or smtproutes, as an address literal, by MX, or by the domain's
 * own addresses (RFC 5321 §5.1). Fails for good only on an authoritative answer. Failure texts are qmail's where it has one.
 */
export async function findHosts(
  domain: string,
  config: Config,
  dns: Dns,
  random: () => number,
): Promise<Outcome<Destination>> {
  for (const [routes, protocol] of [
    [config.lmtpRoutes, "LMTP"],
    [config.qmtpRoutes, "QMTP"],
    [config.routes, "SMTP"],
  ] as const) {
    const relay = findRelay(routes, domain);
    if (relay) return await findRelayHosts(relay, protocol, config, dns);
  }
  const literal = literalAddress(domain);
  if (literal) return withoutOwn(domain, [{ name: literal, address: literal, preference: 0 }], [], config);

  const exchanges = await dns.mx(domain);
  if (exchanges.kind === "unknown") return noAnswer(exchanges.why);
  if (exchanges.kind === "found" && isNullMx(exchanges.values)) {
    return permanent("1.10", `Sorry, ${shown(domain)} takes no mail: its MX is null. (#5.1.10)\n`);
  }
  const names: readonly Exchange[] =
    exchanges.kind === "found" ? orderExchanges(exchanges.values, random) : [{ name: domain, preference: 0 }];
  const answers = await Promise.all(names.map(({ name }) => addressesOf(name, dns)));
  const leadsThere = exchanges.secure === true;
  const hosts = names.flatMap(({ name, preference }, at) =>
    toHosts({ name, preference }, answers[at], leadsThere, config),
  );
  const unknown = answers.flatMap((answer) => (answer.kind === "unknown" ? [answer.why] : []));
  if (hosts.length > 0) return withoutOwn(domain, hosts, unknown, config);
  if (unknown[0] !== undefined) return noAnswer(unknown[0]);
  if (exchanges.kind === "none") {
    return permanent("1.2", `Sorry, I couldn't find any host named ${shown(domain)}. (#5.1.2)\n`);
  }
  return permanent("4.4", "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n");
}

/** A relay may be this host, under another port. One that cannot be found is our own mistake, which can be mended. */
async function findRelayHosts(
  { host, port }: Relay,
  protocol: "SMTP" | "QMTP" | "LMTP",
  config: Config,
  dns: Dns,
): Promise<Outcome<Destination>> {
  const answer = await addressesOf(host, dns);
  if (answer.kind === "unknown") return noAnswer(answer.why);
  const hosts = toHosts({ name: host, preference: 0 }, answer, true, config).slice(0, maxHosts);
  if (hosts.length > 0) return done({ hosts, port, protocol, nextHop: host, isRelay: true });
  return temporary(
    "4.4",
    `Sorry, I couldn't find the relay ${host} that ${protocol.toLowerCase()}routes names. (#4.4.4)\n`,
  );
}

function withoutOwn(
  domain: string,
  hosts: readonly Host[],
  unknown: readonly string[],
  config: Config,
): Outcome<Destination> {
  const left = cutOwn(hosts, config.isOwn).slice(0, maxHosts);
  const { smtpPort: port } = config;
  if (left.length > 0) return done({ hosts: left, port, protocol: "by preference", nextHop: domain, isRelay: false });
  if (unknown[0] !== undefined) return noAnswer(unknown[0]);
  return permanent(
    "4.6",
    "Sorry. Although I'm listed as a best-preference MX or A for that host,\nit isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n",
  );
}

const addressesOf = (name: string, dns: Dns): Promise<Answer<string>> =>
  parseIp(name) ? Promise.resolve({ kind: "found", values: [name] }) : dns.addresses(name);

function toHosts(
  { name, preference }: Exchange,
  answer: Answer<string> | undefined,
  leadsThere: boolean,
  config: Config,
): Host[] {
  if (answer?.kind !== "found") return [];
  const isFirst = (address: string) => address.includes(":") === config.prefersIpv6;
  const addresses = [...answer.values.filter(isFirst), ...answer.values.filter((address) => !isFirst(address))];
  const isSecure = leadsThere && answer.secure === true;
  const { canonical } = answer;
  return addresses.map((address) => ({
    ...{ name, address, preference },
    ...(isSecure && { isSecure }),
    ...(isSecure && canonical !== undefined && { canonical }),
  }));
}

const noAnswer = (why: string) => temporary("4.3", `Sorry, I couldn't find any host by that name. (#4.4.3)\n${why}\n`);

const shown = (domain: string): string => domain.replace(/[^\x21-\x7e]/g, "?");
