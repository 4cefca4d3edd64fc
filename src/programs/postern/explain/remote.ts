import { getServers } from "node:dns";
import type { Settings } from "../../../protocol/control/table.ts";
import { isNullMx, literalAddress, orderExchanges } from "../../../protocol/mx/choose.ts";
import { findRelay, lmtpPort, parseRoutes, qmtpPort, relayEntry, smtpPort } from "../../../protocol/mx/route.ts";
import type { Route } from "../../../protocol/routing/router.ts";
import { parseTlsRules, tlsEntry, usualTlsRule } from "../../../protocol/tls-policy/rules.ts";
import { createDns } from "../../../services/dns/dns.ts";
import type { PlaceFinder, Section, Step } from "./place.ts";

const dnsTimeoutMs = 3_000;

/** Which server a remote domain's mail goes to, and what TLS it goes by. */
export async function explainRemote(
  { destination: domain }: Route,
  settings: Settings,
  find: PlaceFinder,
  withDns: boolean,
): Promise<Section> {
  const steps: Step[] = [];
  const title = "Which server";
  for (const [source, port, protocol] of relayFiles) {
    const routes = parseRoutes(settings[source], port);
    if (routes.kind !== "done") return { title, steps, result: routes.text };
    const entry = relayEntry(routes.value, domain);
    const relay = findRelay(routes.value, domain);
    if (entry !== undefined && relay) {
      steps.push(find({ source, entry, says: "goes to this relay" }));
      if (protocol !== "QMTP") steps.push(tlsStep(relay.host, settings, find));
      return { title, steps, result: `by ${protocol} to ${relay.host}, port ${relay.port}` };
    }
    const says = entry === undefined ? `nothing in it fits ${domain}` : "an exception: by MX";
    steps.push(find({ source, ...(entry !== undefined && { entry }), says }));
  }
  steps.push(tlsStep(domain, settings, find));
  const literal = literalAddress(domain);
  if (literal !== undefined) return { title, steps, result: `by SMTP to ${literal}` };
  if (!withDns) return { title, steps, result: `by SMTP to the MX of ${domain}, which was not looked up` };
  return { title, ...(await explainMx(domain, settings, steps)) };
}

function tlsStep(nextHop: string, settings: Settings, find: PlaceFinder): Step {
  const rules = parseTlsRules(settings.tlspolicy);
  if (rules.kind !== "done") return find({ source: "tlspolicy", says: rules.text });
  const entry = tlsEntry(rules.value, nextHop) ?? (rules.value.has("") ? "" : undefined);
  const { level, names } = rules.value.get(entry ?? "") ?? usualTlsRule(rules.value);
  const says = {
    none: "no TLS",
    may: "TLS where it can be had",
    encrypt: "TLS, or no mail",
    verify: "TLS with a certificate, or no mail",
  };
  const whose = names.length > 0 ? `: for ${names.join(" or ")}` : "";
  return find({ source: "tlspolicy", ...(entry !== undefined && { entry }), says: says[level] + whose });
}

const relayFiles = [
  ["lmtproutes", lmtpPort, "LMTP"],
  ["qmtproutes", qmtpPort, "QMTP"],
  ["smtproutes", smtpPort, "SMTP"],
] as const;

async function explainMx(domain: string, settings: Settings, before: readonly Step[]): Promise<Omit<Section, "title">> {
  const servers = settings.nameservers.length > 0 ? settings.nameservers : getServers();
  const created = createDns({ nameservers: servers, timeoutMs: dnsTimeoutMs });
  if (created.kind !== "done") return { steps: before, result: created.text };
  const dns = created.value;
  const answer = await dns.mx(domain);
  dns.close();
  switch (answer.kind) {
    case "unknown":
      return { steps: before, result: `not known now, so the mail waits: ${answer.why}` };
    case "none":
      return { steps: [...before, { where: "DNS", says: "no MX" }], result: `by SMTP to ${domain} itself` };
    case "found": {
      if (isNullMx(answer.values)) return { steps: before, result: `${domain} takes no mail: its MX is null` };
      const exchanges = orderExchanges(answer.values, () => 0);
      const steps = exchanges.map(({ name, preference }) => ({
        where: "DNS",
        text: `MX ${preference} ${name}`,
        says: "",
      }));
      return { steps: [...before, ...steps], result: `by SMTP to the first of these that answers` };
    }
    default:
      return answer satisfies never;
  }
}
