import { parseLogins } from "../mx/logins.ts";
import { parseRoutes } from "../mx/route.ts";
import { createClientRules } from "../network/client-rules.ts";
import { createNetworks } from "../network/network.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import { parseQmqpServers } from "../qmqp/servers.ts";
import { knownMechanisms } from "../smtp/access.ts";
import { parseAuthorities } from "../tls-policy/authorities.ts";
import { parseTlsRules } from "../tls-policy/rules.ts";
import type { ControlName, ControlValue, Settings } from "./table.ts";

const rejectOrAccept = (what: string): Outcome<string> =>
  what === "reject" || what === "accept" ? done(what) : permanent("3.5", `"${what}" is neither reject nor accept`);

/** What more must be right of some control files than their kind: found at `postern config check`, not at the start. */
const checks: { readonly [Name in ControlName]?: (value: Settings[Name]) => Outcome<unknown> } = {
  relayclients: createNetworks,
  smtprules: createClientRules,
  qmqpclients: createNetworks,
  proxyclients: createNetworks,
  qmqpservers: parseQmqpServers,
  smtproutes: (routes) => parseRoutes(routes),
  qmtproutes: (routes) => parseRoutes(routes),
  lmtproutes: (routes) => parseRoutes(routes),
  tlspolicy: parseTlsRules,
  tlscas: parseAuthorities,
  smtplogins: parseLogins,
  authmechanisms: (names) => {
    const unknown = names.filter((name) => !knownMechanisms.includes(name.toUpperCase()));
    return unknown.length === 0 ? done(names) : permanent("3.5", `"${unknown.join('", "')}": no such mechanism`);
  },
  extensiondelimiters: (octets) =>
    /^[!#$%&*+/=?^_`{|}~.-]*$/.test(octets)
      ? done(octets)
      : permanent("3.5", `"${octets}" would divide names anywhere`),
  recipientcheck: rejectOrAccept,
  fromcheck: rejectOrAccept,
  tlsminimum: (version) =>
    version === "1.2" || version === "1.3" ? done(version) : permanent("3.5", `"${version}" is neither 1.2 nor 1.3`),
  overquota: (kind) =>
    kind === "temporary" || kind === "permanent"
      ? done(kind)
      : permanent("3.5", `"${kind}" is neither temporary nor permanent`),
  dnssec: (word) =>
    ["off", "on", "trustad"].includes(word) ? done(word) : permanent("3.5", `"${word}" is none of off, on, trustad`),
  bounceformat: (format) =>
    format === "dsn" || format === "qsbmf" ? done(format) : permanent("3.5", `"${format}" is neither dsn nor qsbmf`),
};

/** The value back, or what is wrong with it. It must be of the kind that the table says. */
export function checkControl(name: ControlName, value: ControlValue): Outcome<ControlValue> {
  const check = checks[name] as ((value: ControlValue) => Outcome<unknown>) | undefined;
  const checked = check?.(value);
  return checked && checked.kind !== "done" ? permanent("3.5", `control/${name}: ${checked.text}`) : done(value);
}
