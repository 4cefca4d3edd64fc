import { asciiLowerCase } from "../address.ts";
import type { Settings } from "../control/table.ts";
import { domainOf, firstOf, localDomains } from "./router.ts";

/** Whether we take mail for a recipient from anybody. */
export type Acceptance = (address: string) => boolean;

export type AcceptanceSettings = Pick<
  Settings,
  "rcpthosts" | "morercpthosts" | "locals" | "mailboxdomains" | "virtualdomains" | "present"
>;

/**
 * Makes ready to judge recipients, on the address as it was given. With rcpthosts, its lines and those of
 * morercpthosts decide. Without it, what is delivered here is accepted, except by virtualdomains' catch-all line,
 * which would be everything. An address without `@` is ours.
 */
export function createAcceptance(settings: AcceptanceSettings): Acceptance {
  return settings.present.includes("rcpthosts") ? listed(settings) : deliveredHere(settings);
}

function listed(settings: AcceptanceSettings): Acceptance {
  const hosts = [...settings.rcpthosts, ...settings.morercpthosts].map(asciiLowerCase);
  const accepted = new Map(hosts.map((host) => [host, true]));
  return (address) => !address.includes("@") || firstOf(accepted, domainOf(address)) !== undefined;
}

function deliveredHere(settings: AcceptanceSettings): Acceptance {
  const locals = localDomains(settings);
  const virtual = new Map(settings.virtualdomains);
  return (address) => {
    if (!address.includes("@")) return true;
    const domain = domainOf(address);
    if (domain === "") return false;
    if (locals.has(domain)) return true;
    const prefix = virtual.get(asciiLowerCase(address)) ?? firstOf(virtual, domain);
    return prefix !== undefined && prefix !== "";
  };
}
