import type { Settings } from "../../protocol/control/table.ts";
import { parseLogins } from "../../protocol/mx/logins.ts";
import { lmtpPort, parseRoutes, qmtpPort, type Routes, smtpPort } from "../../protocol/mx/route.ts";
import { createNetworks, parseIp } from "../../protocol/network/network.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import type { Login } from "../../protocol/smtp/login.ts";
import { parseAuthorities } from "../../protocol/tls-policy/authorities.ts";
import { parseTlsRules, type TlsRules } from "../../protocol/tls-policy/rules.ts";

/** What remote goes by. */
export interface Config {
  readonly heloHost: string;
  readonly routes: Routes;
  readonly qmtpRoutes: Routes;
  readonly lmtpRoutes: Routes;
  readonly tlsRules: TlsRules;
  /** PEM; none: those that Node brings. */
  readonly authorities: readonly string[];
  /** By relay. */
  readonly logins: ReadonlyMap<string, Login>;
  /** `address` or `address:port`. */
  readonly nameservers: readonly string[];
  /** Those servers check DNSSEC, and we believe them. */
  readonly usesDnssec: boolean;
  readonly usesSts: boolean;
  readonly httpsPort: number;
  /** How long a DNS server is waited for at first. */
  readonly dnsTimeoutMs: number;
  /** Whether mail sent there would come back to us. */
  readonly isOwn: (address: string) => boolean;
  /** Of the addresses of one host, try those of IPv6 first. */
  readonly prefersIpv6: boolean;
  /** Of hosts found by MX; a route names its own. */
  readonly smtpPort: number;
  readonly qmtpPort: number;
  readonly connectTimeoutMs: number;
  /** Longest wait for any reply; those of RFC 5321 §4.5.3.2 apply within it. */
  readonly silenceTimeoutMs: number;
  /** How long a connection without work is kept. */
  readonly idleMs: number;
  /** How long running deliveries may take once we are told to stop. */
  readonly stopMs: number;
}

/** Whatever the interfaces say: what strangers publish in DNS must not lead to services of this machine. */
const alwaysOwn = ["0.0.0.0/8", "127.0.0.0/8", "::", "::1"];

/**
 * From the control files and from what supervise knows of this machine: `ipAddresses`, those of its interfaces, and
 * `nameservers`, those of resolv.conf. Fails, for good, with what is wrong in the first file that is.
 */
export function readConfig(settings: Settings, facts: Readonly<Record<string, unknown>>): Outcome<Config> {
  const routes = parseRoutes(settings.smtproutes);
  if (routes.kind !== "done") return routes;
  const qmtpRoutes = parseRoutes(settings.qmtproutes, qmtpPort);
  if (qmtpRoutes.kind !== "done") return qmtpRoutes;
  const lmtpRoutes = parseRoutes(settings.lmtproutes, lmtpPort);
  if (lmtpRoutes.kind !== "done") return lmtpRoutes;
  const tlsRules = parseTlsRules(settings.tlspolicy);
  if (tlsRules.kind !== "done") return tlsRules;
  const authorities = parseAuthorities(settings.tlscas);
  if (authorities.kind !== "done") return authorities;
  const logins = parseLogins(settings.smtplogins);
  if (logins.kind !== "done") return logins;
  const addresses = texts(facts.ipAddresses).filter((address) => parseIp(address) !== undefined);
  const nameservers =
    [settings.nameservers, texts(facts.nameservers), ["127.0.0.1"]].find((list) => list.length > 0) ?? [];
  const trust = checkTrust(settings.dnssec, nameservers);
  if (trust.kind !== "done") return trust;
  const own = createNetworks([...alwaysOwn, ...addresses]);
  if (own.kind !== "done") return own;
  return done({
    heloHost: settings.helohost,
    routes: routes.value,
    qmtpRoutes: qmtpRoutes.value,
    lmtpRoutes: lmtpRoutes.value,
    tlsRules: tlsRules.value,
    authorities: authorities.value,
    logins: logins.value,
    nameservers,
    usesDnssec: settings.dnssec !== "off",
    usesSts: settings.mtasts === 1,
    httpsPort: 443,
    dnsTimeoutMs: 3_000,
    isOwn: own.value.has,
    prefersIpv6: addresses.some(isGlobalIpv6),
    smtpPort,
    qmtpPort,
    connectTimeoutMs: settings.timeoutconnect * 1_000,
    silenceTimeoutMs: settings.timeoutremote * 1_000,
    idleMs: 5_000,
    stopMs: 8_000,
  });
}

/** A verdict that came over a network is worth no more than that network. */
function checkTrust(dnssec: string, nameservers: readonly string[]): Outcome<void> {
  const far = nameservers.find((server) => !/^(?:127\.[0-9.]+(?::[0-9]+)?|::1|\[::1\](?::[0-9]+)?)$/.test(server));
  if (dnssec !== "on" || far === undefined) return done(undefined);
  return permanent(
    "3.5",
    `control/dnssec: "on" wants resolvers on this host, and ${far} is none: "trustad" believes it all the same`,
  );
}

const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];

/** In 2000::/3: this machine can be expected to reach the world by IPv6. */
function isGlobalIpv6(address: string): boolean {
  const ip = parseIp(address);
  return ip?.family === 6 && (ip.octets[0] ?? 0) >> 5 === 1;
}
