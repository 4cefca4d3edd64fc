import { asciiLowerCase } from "../address.ts";
import type { Settings } from "../control/table.ts";
import { domainOf, keyFor, localDomains, percentUndone, virtualKey } from "./router.ts";
import { type Tell, untold } from "./tell.ts";

/** Whether we take mail for a recipient from anybody. */
export type Acceptance = (address: string) => boolean;

export type AcceptanceSettings = Pick<
  Settings,
  | "rcpthosts"
  | "morercpthosts"
  | "locals"
  | "mailboxdomains"
  | "virtualdomains"
  | "percenthack"
  | "envnoathost"
  | "present"
>;

/**
 * Makes ready to judge recipients. With rcpthosts, its lines and those of
 * morercpthosts decide. Without it, what is delivered here is accepted, except by virtualdomains' catch-all line,
 * which would be everything. An address without `@` is ours. Where control/percenthack gives an address another meaning,
 * that is judged: nobody relays by writing `victim%elsewhere@here`.
 */
export function createAcceptance(settings: AcceptanceSettings, tell: Tell = untold): Acceptance {
  const accepts = settings.present.includes("rcpthosts") ? listed(settings, tell) : deliveredHere(settings, tell);
  const hacked = new Set(settings.percenthack.map(asciiLowerCase));
  return (address) => {
    const whole = address.includes("@") ? address : `${address}@${settings.envnoathost}`;
    const meant = percentUndone(whole, hacked, tell);
    if (meant !== whole) return accepts(meant);
    if (address.includes("@")) return accepts(address);
    tell({ source: "rcpthosts", says: "an address without domain is ours: accepted" });
    return true;
  };
}

function listed(settings: AcceptanceSettings, tell: Tell): Acceptance {
  const sources = new Map([
    ...settings.morercpthosts.map((host) => [asciiLowerCase(host), "morercpthosts"] as const),
    ...settings.rcpthosts.map((host) => [asciiLowerCase(host), "rcpthosts"] as const),
  ]);
  return (address) => {
    const entry = keyFor(sources, domainOf(address));
    const source = entry === undefined ? undefined : sources.get(entry);
    if (entry === undefined || source === undefined) {
      tell({ source: "rcpthosts", says: `${domainOf(address)} is not in it, nor in morercpthosts: refused` });
      return false;
    }
    tell({ source, entry, says: "accepted from anybody" });
    return true;
  };
}

function deliveredHere(settings: AcceptanceSettings, tell: Tell): Acceptance {
  const locals = localDomains(settings);
  const virtual = new Map(settings.virtualdomains);
  virtual.delete("");
  return (address) => {
    const domain = domainOf(address);
    const source = domain === "" ? undefined : locals.get(domain);
    if (source !== undefined) {
      tell({ source, entry: domain, says: "there is no rcpthosts, and it is delivered here: accepted from anybody" });
      return true;
    }
    const key = domain === "" ? undefined : virtualKey(virtual, address);
    if (key === undefined || !virtual.get(key)) {
      tell({ source: "rcpthosts", says: `is missing, and ${domain} is not delivered here: refused` });
      return false;
    }
    const says = "there is no rcpthosts, and it is delivered here: accepted from anybody";
    tell({ source: "virtualdomains", entry: key, says });
    return true;
  };
}
