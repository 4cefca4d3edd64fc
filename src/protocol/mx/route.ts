import { asciiLowerCase } from "../address.ts";
import { parseIp } from "../network/network.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import { keyFor } from "../routing/router.ts";

/** To `host` (a name, or an address without brackets) whatever DNS says of the domain. */
export interface Relay {
  readonly host: string;
  readonly port: number;
}

/** By domain as in control/smtproutes; `null` is an exception: by MX after all. */
export type Routes = ReadonlyMap<string, Relay | null>;

export const smtpPort = 25;
export const qmtpPort = 209;
/** By custom: RFC 2033 §5 only forbids 25. */
export const lmtpPort = 24;

/** Reads the entries of control/smtproutes, qmtproutes or lmtproutes. Fails, for good, with all that are wrong. */
export function parseRoutes(
  entries: readonly (readonly [string, string])[],
  defaultPort: number = smtpPort,
): Outcome<Routes> {
  const routes = new Map<string, Relay | null>();
  const wrong: string[] = [];
  for (const [domain, value] of entries) {
    const relay = parseRelay(value, defaultPort);
    if (relay === undefined) wrong.push(`"${domain}:${value}" names no host and port`);
    else routes.set(asciiLowerCase(domain), relay);
  }
  return wrong.length > 0 ? permanent("3.5", wrong.join("\n")) : done(routes);
}

/** The relay for `domain`: of the whole name, else of its longest suffix that begins with a dot, else of "". */
export function findRelay(routes: Routes, domain: string): Relay | undefined {
  const entry = relayEntry(routes, domain);
  return entry === undefined ? undefined : (routes.get(entry) ?? undefined);
}

/** Whose relay that is: the key of `routes` that decides for `domain`. */
export function relayEntry(routes: Routes, domain: string): string | undefined {
  return keyFor(routes, asciiLowerCase(domain)) ?? (routes.has("") ? "" : undefined);
}

/**
 * Reads `host`, `host:port`, `[address]`, `[address]:port`, or a bare IPv6 address. `null` for an empty text, `undefined`
 * when it is none of these.
 */
export function parseRelay(value: string, defaultPort: number): Relay | null | undefined {
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
