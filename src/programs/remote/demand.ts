import { asciiLowerCase } from "../../protocol/address.ts";
import { isUsable } from "../../protocol/dane/record.ts";
import { listsHost, type StsPolicy } from "../../protocol/mta-sts/policy.ts";
import type { Host } from "../../protocol/mx/choose.ts";
import type { Login } from "../../protocol/smtp/login.ts";
import type { Asked } from "../../protocol/smtp/transaction.ts";
import { demandNothing, type TlsDemand, type TlsFault } from "../../protocol/tls-policy/demand.ts";
import { findTlsRule, type TlsRule, usualTlsRule } from "../../protocol/tls-policy/rules.ts";
import type { Dns } from "../../services/dns/dns.ts";
import type { Config } from "./config.ts";
import type { Destination } from "./hosts.ts";
import type { StsPolicies } from "./sts-policies.ts";

/** Where demands come from. */
export interface Sources {
  readonly config: Config;
  readonly dns: Dns;
  /** Absent where control/mtasts does not want it. */
  readonly sts?: StsPolicies;
}

/** What TLS with a host must be worth; or that no mail may go there now, with `demand` for the reason. */
export interface Demanded {
  readonly demand: TlsDemand;
  readonly fault?: TlsFault;
}

/** How we log in there, if a control file says so. */
export const loginFor = ({ nextHop, isRelay }: Destination, config: Config): Login | undefined =>
  isRelay ? config.logins.get(asciiLowerCase(nextHop)) : undefined;

/**
 * What TLS with this host must be worth. First counts what control/tlspolicy says of the next hop by name; then what the
 * destination publishes, by DANE or else by MTA-STS; then a certificate for the relay, where it is to get a password, or
 * for the next hop, where the sender asks for TLS all the way (RFC 8689 §4.2.1); at last what control/tlspolicy says of
 * all others. What is published does not count for a message whose sender wants it to arrive in any case (§5).
 */
export async function demandFor(
  host: Host,
  to: Destination,
  sources: Sources,
  asked: Pick<Asked, "requireTls" | "tlsOptional"> | undefined,
): Promise<Demanded> {
  const { config } = sources;
  const requiresTls = asked?.requireTls === true;
  const rule = config.tlsRules.size > 0 ? findTlsRule(config.tlsRules, to.nextHop) : undefined;
  if (rule && (!requiresTls || rule.level === "verify")) return { demand: ruledDemand(rule, host, to) };
  const mayCount = requiresTls || !asked?.tlsOptional;
  const published = mayCount && (host.isSecure || sources.sts) ? await publishedFor(host, to, sources) : undefined;
  const isStrong = published && published.demand.level !== "encrypt" && !published.demand.isTest;
  if (isStrong || (published && !requiresTls)) return published;
  if (requiresTls) return { demand: verifying([to.nextHop], "REQUIRETLS") };
  if (loginFor(to, config) && !config.isOwn(host.address)) {
    return { demand: verifying([to.nextHop], "control/smtplogins") };
  }
  return { demand: ruledDemand(usualTlsRule(config.tlsRules), host, to) };
}

/** DANE, or else MTA-STS. */
const publishedFor = async (host: Host, to: Destination, sources: Sources): Promise<Demanded | undefined> =>
  (await byDane(host, to, sources)) ?? (await bySts(host, to, sources));

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

const daneDemand: TlsDemand = { level: "dane", names: [], records: [], source: "DANE" };

/**
 * RFC 7672 §2.2: only for a host that DNSSEC leads to, name by name. Where the TLSA records cannot be had no mail goes:
 * an attacker could hide them. With records that are of no use to us there must be TLS all the same.
 */
async function byDane(host: Host, to: Destination, { dns }: Sources): Promise<Demanded | undefined> {
  if (!host.isSecure) return undefined;
  for (const base of new Set([host.canonical ?? host.name, host.name])) {
    const answer = await dns.tlsa(`_${to.port}._tcp.${base}`);
    if (answer.kind === "unknown") {
      const text = `the TLSA records of ${base} are not known: ${answer.why}`;
      return { demand: daneDemand, fault: { kind: "dnssec-invalid", text } };
    }
    if (answer.kind === "none" || !answer.secure) continue;
    const records = answer.values.filter(isUsable);
    if (records.length === 0) return { demand: { ...daneDemand, level: "encrypt" } };
    return { demand: { ...daneDemand, names: [...new Set([base, host.name, to.nextHop])], records } };
  }
  return undefined;
}

async function bySts(host: Host, to: Destination, { sts }: Sources): Promise<Demanded | undefined> {
  if (!sts || to.isRelay) return undefined;
  const policy = await sts.policyFor(asciiLowerCase(to.nextHop));
  return policy && stsDemand(policy, host);
}

function stsDemand(policy: StsPolicy, host: Host): Demanded {
  const isTest = policy.mode === "testing";
  const demand: TlsDemand = { ...verifying([host.name], "MTA-STS"), ...(isTest && { isTest }) };
  if (listsHost(policy, host.name)) return { demand };
  return { demand, fault: { kind: "validation-failure", text: `the policy of its domain does not list ${host.name}` } };
}
