import { asciiLowerCase, isEnvelopeAddress, maxAddressOctets, type Path } from "../address.ts";
import type { Settings } from "../control/table.ts";
import { type ClientRule, createClientRules } from "../network/client-rules.ts";
import { createNetworks, parseIp } from "../network/network.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import { noAccess } from "../smtp/access.ts";
import type { Rules } from "../smtp/session.ts";
import { createAcceptance } from "./acceptance.ts";
import { createAddressList } from "./address-list.ts";
import { type Tell, untold } from "./tell.ts";

/** What a client is allowed, by its address; "denied" when we are not to talk to it at all. */
export type RulesFor = (address: string) => Rules | "denied";

/** control/databytes 0: any size up to this. */
const largestMessageOctets = 2 ** 32;

/**
 * What the settings allow a client. Made once for many connections; rules are made once for each line of smtprules.
 * `ipAddresses` are this host's own, as the system writes them. `tell` hears of each rule when it is tried. Fails,
 * permanently, when control/relayclients or control/smtprules cannot be read.
 */
export function createRules(
  settings: Settings,
  ipAddresses: readonly string[],
  tell: Tell = untold,
): Outcome<RulesFor> {
  const relayClients = createNetworks(settings.relayclients);
  if (relayClients.kind !== "done") return permanent(relayClients.status, `control/relayclients: ${relayClients.text}`);
  const clientRules = createClientRules(settings.smtprules);
  if (clientRules.kind !== "done") return permanent(clientRules.status, `control/smtprules: ${clientRules.text}`);
  const unfit = clientRules.value.all.find(({ variables }) => !isSuffix(variables.get("RELAYCLIENT") ?? ""));
  if (unfit) return permanent("3.5", `control/smtprules: "${unfit.address}": RELAYCLIENT is no end of an address`);
  const everybody = rulesOfAll(settings, ipAddresses, tell);
  const kept = new Map<ClientRule, Rules>();
  const rulesOf = (rule: ClientRule | undefined): Rules => {
    if (!rule || rule.variables.size === 0) return everybody;
    const rules = kept.get(rule) ?? { ...everybody, ...fromVariables(rule.variables, settings, tell) };
    kept.set(rule, rules);
    return rules;
  };
  return done((address) => {
    const rule = clientRules.value.find(address);
    const source = "smtprules";
    if (!rule) tell({ source, says: "no rule for this client" });
    else tell({ source, entry: rule.address, says: wordsOf(rule) });
    if (rule && !rule.allowed) return "denied";
    const rules = rulesOf(rule);
    if (rules.mayRelay) return rules;
    const entry = relayClients.value.lineFor(address);
    if (entry === undefined) {
      tell({ source: "relayclients", says: "this client is not in it: it may not relay" });
      return rules;
    }
    tell({ source: "relayclients", entry, says: "this client may send to anywhere" });
    return { ...rules, mayRelay: true };
  });
}

function rulesOfAll(settings: Settings, ipAddresses: readonly string[], tell: Tell): Rules {
  const ours = new Set(["0.0.0.0", ...ipAddresses].map(ipKey));
  const listed = (source: "badmailfrom" | "badrcptto") => {
    const list = createAddressList(settings[source]);
    return (address: string): boolean => {
      const entry = list(address);
      if (entry === undefined) tell({ source, says: "nothing in it fits" });
      else tell({ source, entry, says: "refused" });
      return entry !== undefined;
    };
  };
  return {
    greeting: settings.smtpgreeting,
    tls: "none",
    access: noAccess,
    maxMessageOctets: sizeLimit(settings.databytes),
    maxRecipients: settings.maxrecipients,
    answersVrfy: settings.vrfy === 1,
    maxHoldSeconds: settings.maxhold,
    maxPriority: settings.maxpriority,
    mayRelay: false,
    relaySuffix: "",
    queueProgram: settings.qmailqueue || undefined,
    accepts: createAcceptance(settings, tell),
    isBadSender: listed("badmailfrom"),
    isBadRecipient: listed("badrcptto"),
    canonical: (path) => (isOurs(path, ours) ? { ...path, domain: asciiLowerCase(settings.localiphost) } : path),
  };
}

/** Variables that change what a client is allowed. */
export const clientVariables: readonly string[] = [
  "RELAYCLIENT",
  "DATABYTES",
  "MAXRECIPIENTS",
  "BADMAILFROM",
  "RCPTHOSTS",
  "QMAILQUEUE",
];

function fromVariables(variables: ReadonlyMap<string, string>, settings: Settings, tell: Tell): Partial<Rules> {
  const relaySuffix = variables.get("RELAYCLIENT");
  const databytes = numberIn(variables.get("DATABYTES"));
  const maxRecipients = numberIn(variables.get("MAXRECIPIENTS"));
  const rcptHosts = variables.get("RCPTHOSTS");
  const queueProgram = variables.get("QMAILQUEUE");
  const accepting = rcptHosts === undefined ? undefined : { ...settings, rcpthosts: rcptHosts.split(/[ ,]+/) };
  return {
    ...(relaySuffix !== undefined && { mayRelay: true, relaySuffix }),
    ...(databytes !== undefined && { maxMessageOctets: sizeLimit(databytes) }),
    ...(maxRecipients !== undefined && { maxRecipients }),
    ...(variables.get("BADMAILFROM") === "" && { isBadSender: () => false }),
    ...(accepting && { accepts: createAcceptance({ ...accepting, present: ["rcpthosts"] }, tell) }),
    ...(queueProgram && { queueProgram }),
  };
}

const isSuffix = (text: string): boolean => text.length < maxAddressOctets / 2 && isEnvelopeAddress(text);

const sizeLimit = (databytes: number): number =>
  databytes === 0 ? largestMessageOctets : Math.min(databytes, largestMessageOctets);

const numberIn = (text: string | undefined): number | undefined =>
  text !== undefined && /^[0-9]{1,10}$/.test(text) ? Number(text) : undefined;

const wordsOf = ({ allowed, variables }: ClientRule): string =>
  [allowed ? "allowed" : "denied", ...[...variables].map(([name, value]) => `${name}="${value}"`)].join(", ");

function isOurs({ domain }: Path, ours: ReadonlySet<string>): boolean {
  if (!domain.startsWith("[")) return false;
  const text = domain.slice(1, -1);
  return ours.has(ipKey(text.startsWith("ipv6:") ? text.slice(5) : text));
}

/** One text for all ways to write an address. */
const ipKey = (text: string): string => parseIp(text)?.octets.join(".") ?? text;
