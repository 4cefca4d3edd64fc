import { asciiLowerCase } from "../address.ts";
import type { Settings } from "../control/table.ts";

/** Where a recipient goes. */
export interface Route {
  readonly channel: "local" | "remote";
  /** The recipient as the channel gets it: with a domain, and with the prefix of its virtual domain. */
  readonly address: string;
  /** What deliveries are counted and held back by: the domain for remote, the whole address for local. */
  readonly destination: string;
}

export interface Router {
  /** Decides for one forward-path. A few look-ups for each label of the domain; never fails. */
  route(address: string): Route;
  /** A local recipient as its sender wrote it: without the prefix its domain has in virtualdomains now. For bounces. */
  stripVirtualPrefix(address: string): string;
}

export type RoutingSettings = Pick<
  Settings,
  "envnoathost" | "percenthack" | "locals" | "mailboxdomains" | "virtualdomains"
>;

/** Makes ready for many decisions: percenthack, then locals and mailboxdomains, then virtualdomains, else remote. */
export function createRouter(settings: RoutingSettings): Router {
  const percenthack = new Set(settings.percenthack.map(asciiLowerCase));
  const locals = localDomains(settings);
  const virtual = new Map(settings.virtualdomains);
  return {
    route(recipient) {
      let address = recipient.includes("@") ? recipient : `${recipient}@${settings.envnoathost}`;
      let domain = domainOf(address);
      while (percenthack.has(domain)) {
        const localPart = address.slice(0, address.lastIndexOf("@"));
        const percent = localPart.lastIndexOf("%");
        if (percent < 0) break;
        address = `${localPart.slice(0, percent)}@${localPart.slice(percent + 1)}`;
        domain = domainOf(address);
      }
      if (locals.has(domain)) return { channel: "local", address, destination: address };
      const prefix = virtual.get(asciiLowerCase(address)) ?? firstOf(virtual, domain) ?? virtual.get("");
      if (!prefix) return { channel: "remote", address, destination: domain };
      const prefixed = `${prefix}-${address}`;
      return { channel: "local", address: prefixed, destination: prefixed };
    },
    stripVirtualPrefix(address) {
      const prefix = firstOf(virtual, domainOf(address)) ?? virtual.get("");
      return prefix && address.startsWith(`${prefix}-`) ? address.slice(prefix.length + 1) : address;
    },
  };
}

/** The domains of locals and mailboxdomains, in lower case. */
export const localDomains = (settings: Pick<Settings, "locals" | "mailboxdomains">): ReadonlySet<string> =>
  new Set([...settings.locals, ...settings.mailboxdomains.map(mailboxDomain)].map(asciiLowerCase));

/** What the map says of the domain itself, or else of the longest `.suffix` it knows. */
export function firstOf<Value>(map: ReadonlyMap<string, Value>, domain: string): Value | undefined {
  const exact = map.get(domain);
  if (exact !== undefined || domain === "") return exact;
  for (let dot = domain.indexOf("."); dot >= 0; dot = domain.indexOf(".", dot + 1)) {
    const value = map.get(domain.slice(dot));
    if (value !== undefined) return value;
  }
  return undefined;
}

/** The domain after the last `@`, in lower case; "" without one. */
export const domainOf = (address: string): string => {
  const at = address.lastIndexOf("@");
  return at < 0 ? "" : asciiLowerCase(address.slice(at + 1));
};

/** A line of mailboxdomains without its `:create`. */
const mailboxDomain = (line: string): string => line.split(":", 1)[0] ?? "";
