import { asciiLowerCase } from "../address.ts";
import { parseIp } from "../network/network.ts";
import { done, type Outcome, permanent } from "../outcome.ts";

/** To `host` (a name, or an address without brackets) whatever DNS says of the domain. */
export interface Relay {
  readonly host: string;
  readonly port: number;
}

/** By domain as in control/smtproutes; `null` is an exception: by MX after all. */
export type Routes = ReadonlyMap<string, Relay | null>;

const defaultPort = 25;

/** Reads the entries of control/smtproutes. Fails, for good, with all that are wrong. */
export function parseRoutes(entries: readonly (readonly [string, string])[]): Outcome<Routes> {
  const routes = new Map<string, Relay | null>();
  const wrong: string[] = [];
  for (const [domain, value] of entries) {
    const relay = parseRelay(value);
    if (relay === undefined) wrong.push(`"${domain}:${value}" names no host and port`);
    else routes.set(asciiLowerCase(domain), relay);
  }
  return wrong.length > 0 ? permanent("3.5", wrong.join("\n")) : done(routes);
}

/** The relay for `domain`: of the whole name, else of its longest suffix that begins with a dot, else of "". */
export function findRelay(routes: Routes, domain: string): Relay | undefined {
  const name = asciiLowerCase(domain);
  const whole = routes.get(name);
  if (whole !== undefined) return whole ?? undefined;
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    const relay = routes.get(name.slice(dot));
    if (relay !== undefined) return relay ?? undefined;
  }
  return routes.get("") ?? undefined;
}

/** `host`, `host:port`, `[address]`, `[address]:port`, or a bare IPv6 address. */
function parseRelay(value: string): Relay | null | undefined {
  if (value === "") return null;
  if (value.includes("::") && parseIp(value)) return { host: value, port: defaultPort };
  const colon = value.startsWith("[") ? value.indexOf(":", value.indexOf("]") + 1) : value.indexOf(":");
  const name = colon < 0 ? value : value.slice(0, colon);
  const port = colon < 0 || colon === value.length - 1 ? defaultPort : decimalPort(value.slice(colon + 1));
  const host = name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1) : name;
  const isHost = /^[A-Za-z0-9._-]+$/.test(host) || parseIp(host) !== undefined;
  return isHost && port !== undefined ? { host, port } : undefined;
}

function decimalPort(text: string): number | undefined {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) return undefined;
  const port = Number(text);
  return port < 65_536 ? port : undefined;
}
