import { asciiLowerCase } from "../address.ts";
import type { Settings } from "../control/table.ts";
import { type Tell, untold } from "./tell.ts";

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
  route(address: string, tell?: Tell): Route;
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
    route(recipient, tell = untold) {
      const address = percentUndone(withDomain(recipient, settings.envnoathost, tell), percenthack, tell);
      const domain = domainOf(address);
      const source = locals.get(domain);
      if (source !== undefined) {
        tell({ source, entry: domain, says: "delivered here" });
        return { channel: "local", address, destination: address };
      }
      tell({ source: "locals", says: `${domain} is not in it, nor in mailboxdomains` });
      const key = virtualKey(virtual, address);
      const prefix = key === undefined ? undefined : virtual.get(key);
      if (key === undefined || !prefix) {
        const says = key === undefined ? "nothing in it fits: remote" : "an exception: remote after all";
        tell({ source: "virtualdomains", ...(key !== undefined && { entry: key }), says });
        return { channel: "remote", address, destination: domain };
      }
      const prefixed = `${prefix}-${address}`;
      tell({ source: "virtualdomains", entry: key, says: `delivered here, as ${prefixed}` });
      return { channel: "local", address: prefixed, destination: prefixed };
    },
    stripVirtualPrefix(address) {
      const key = keyFor(virtual, domainOf(address)) ?? "";
      const prefix = virtual.get(key);
      return prefix && address.startsWith(`${prefix}-`) ? address.slice(prefix.length + 1) : address;
    },
  };
}

function withDomain(recipient: string, envnoathost: string, tell: Tell): string {
  if (recipient.includes("@")) return recipient;
  tell({ source: "envnoathost", entry: envnoathost, says: `no domain: ${recipient}@${envnoathost}` });
  return `${recipient}@${envnoathost}`;
}

/** What the address means where control/percenthack applies: `a%b@here` is `a@b`, again and again. */
export function percentUndone(recipient: string, percenthack: ReadonlySet<string>, tell: Tell): string {
  let address = recipient;
  for (let domain = domainOf(address); percenthack.has(domain); domain = domainOf(address)) {
    const localPart = address.slice(0, address.lastIndexOf("@"));
    const percent = localPart.lastIndexOf("%");
    if (percent < 0) break;
    address = `${localPart.slice(0, percent)}@${localPart.slice(percent + 1)}`;
    tell({ source: "percenthack", entry: domain, says: `means ${address}` });
  }
  return address;
}

/** The key of virtualdomains that decides: the whole address, the domain, its longest suffix, at last the empty one. */
export function virtualKey(virtual: ReadonlyMap<string, string>, address: string): string | undefined {
  const whole = asciiLowerCase(address);
  if (virtual.has(whole)) return whole;
  return keyFor(virtual, domainOf(address)) ?? (virtual.has("") ? "" : undefined);
}

/** The domains of locals and mailboxdomains, in lower case, with the file each is in. */
export const localDomains = (
  settings: Pick<Settings, "locals" | "mailboxdomains">,
): ReadonlyMap<string, "locals" | "mailboxdomains"> =>
  new Map([
    ...settings.mailboxdomains.map((line) => [asciiLowerCase(mailboxDomain(line)), "mailboxdomains"] as const),
    ...settings.locals.map((domain) => [asciiLowerCase(domain), "locals"] as const),
  ]);

/** The domain itself if it is a key, or else its longest `.suffix` that is one. */
export function keyFor(map: { has(key: string): boolean }, domain: string): string | undefined {
  if (map.has(domain)) return domain;
  for (let dot = domain.indexOf("."); dot >= 0; dot = domain.indexOf(".", dot + 1)) {
    const suffix = domain.slice(dot);
    if (map.has(suffix)) return suffix;
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
