import { asciiLowerCase } from "../../protocol/address.ts";
import type { Host } from "../../protocol/mx/choose.ts";
import type { Login } from "../../protocol/smtp/login.ts";
import { demandNothing, type TlsDemand } from "../../protocol/tls-policy/demand.ts";
import { findTlsRule, type TlsRule, usualTlsRule } from "../../protocol/tls-policy/rules.ts";
import type { Config } from "./config.ts";
import type { Destination } from "./hosts.ts";

/** How we log in there, if a control file says so. */
export const loginFor = ({ nextHop, isRelay }: Destination, config: Config): Login | undefined =>
  isRelay ? config.logins.get(asciiLowerCase(nextHop)) : undefined;

/**
 * What TLS with this host must be worth: what control/tlspolicy says of the next hop by name; else a certificate for the
 * relay, where it is to get a password, or for the next hop, where the sender asks for TLS all the way (RFC 8689 §4.2.1);
 * else what control/tlspolicy says of all others.
 */
export function demandFor(host: Host, to: Destination, config: Config, requiresTls: boolean): TlsDemand {
  const rule = findTlsRule(config.tlsRules, to.nextHop);
  const ruled = rule && ruledDemand(rule, host, to);
  if (requiresTls && ruled?.level !== "verify") return verifying([to.nextHop], "REQUIRETLS");
  if (ruled) return ruled;
  if (loginFor(to, config) && !config.isOwn(host.address)) return verifying([to.nextHop], "control/smtplogins");
  return ruledDemand(usualTlsRule(config.tlsRules), host, to);
}

function ruledDemand({ level, names }: TlsRule, host: Host, { nextHop }: Destination): TlsDemand {
  if (level === "may") return demandNothing;
  const meant = names.length > 0 ? names : [...new Set([host.name, nextHop])];
  return { level, names: level === "verify" ? meant : [], records: [], source: "control/tlspolicy" };
}

const verifying = (names: readonly string[], source: string): TlsDemand => ({
  level: "verify",
  names,
  records: [],
  source,
});
