import { asciiLowerCase, type Path } from "../../protocol/address.ts";
import type { Settings } from "../../protocol/control/table.ts";
import { createNetworks, parseIp } from "../../protocol/network/network.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { createAcceptance } from "../../protocol/routing/acceptance.ts";
import { domainOf } from "../../protocol/routing/router.ts";
import type { Rules } from "../../protocol/smtp/session.ts";

/** control/databytes 0: any size up to this. */
const largestMessageOctets = 2 ** 32;

/**
 * What the settings allow a client, by its address. Made once for many connections. `ipAddresses` are this host's own,
 * as the system writes them. Fails, permanently, when control/relayclients cannot be read.
 */
export function createRules(settings: Settings, ipAddresses: readonly string[]): Outcome<(address: string) => Rules> {
  const relayClients = createNetworks(settings.relayclients);
  if (relayClients.kind !== "done") return permanent(relayClients.status, `control/relayclients: ${relayClients.text}`);
  const badSenders = new Set(settings.badmailfrom.map(asciiLowerCase));
  const ours = new Set(["0.0.0.0", ...ipAddresses].map(ipKey));
  const strangers: Rules = {
    greeting: settings.smtpgreeting,
    maxMessageOctets: settings.databytes === 0 ? largestMessageOctets : settings.databytes,
    maxRecipients: settings.maxrecipients,
    mayRelay: false,
    accepts: createAcceptance(settings),
    isBadSender: (reversePath) =>
      badSenders.size > 0 &&
      (badSenders.has(asciiLowerCase(reversePath)) || badSenders.has(`@${domainOf(reversePath)}`)),
    canonical: (path) => (isOurs(path, ours) ? { ...path, domain: asciiLowerCase(settings.localiphost) } : path),
  };
  const friends: Rules = { ...strangers, mayRelay: true };
  return done((address) => (relayClients.value.has(address) ? friends : strangers));
}

function isOurs({ domain }: Path, ours: ReadonlySet<string>): boolean {
  if (!domain.startsWith("[")) return false;
  const text = domain.slice(1, -1);
  return ours.has(ipKey(text.startsWith("ipv6:") ? text.slice(5) : text));
}

/** One text for all ways to write an address. */
const ipKey = (text: string): string => parseIp(text)?.octets.join(".") ?? text;
