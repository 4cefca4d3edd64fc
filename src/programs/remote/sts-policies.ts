import { maxPolicyOctets, parseStsPolicy, readStsId, type StsPolicy } from "../../protocol/mta-sts/policy.ts";
import type { TlsFaultKind } from "../../protocol/tls-policy/demand.ts";
import type { Dns } from "../../services/dns/dns.ts";
import type { Fetched, FetchOptions } from "../../services/https/fetch-text.ts";

export interface StsOptions {
  readonly dns: Dns;
  /** By domain; outlives a reload. */
  readonly kept: Map<string, KeptPolicy>;
  readonly fetch: (options: FetchOptions) => Promise<Fetched>;
  readonly authorities: readonly string[];
  readonly port: number;
  /** Addresses of this host: a policy is not fetched from there. */
  readonly isOwn: (address: string) => boolean;
  readonly now: () => number;
  /** A policy could not be had. */
  readonly onFault: (domain: string, kind: TlsFaultKind) => void;
}

export interface KeptPolicy {
  readonly id: string;
  readonly policy: StsPolicy;
  readonly untilMs: number;
}

const maxKept = 2_000;
const timeoutMs = 30_000;
/** A policy that could not be had is not asked for again before (RFC 8461 §3.3 suggests so long). */
const restMs = 300_000;

/**
 * The policies of domains by MTA-STS (RFC 8461), in memory: fetched when DNS shows a new id, kept for as long as they
 * say, whatever becomes of DNS and the server meanwhile.
 */
export class StsPolicies {
  readonly #options: StsOptions;
  readonly #fetching = new Map<string, Promise<StsPolicy | undefined>>();
  readonly #resting = new Map<string, number>();

  constructor(options: StsOptions) {
    this.#options = options;
  }

  /** What holds for a domain now; `undefined` when it has no policy, or "none". */
  async policyFor(domain: string): Promise<StsPolicy | undefined> {
    const { dns, now, kept: all } = this.#options;
    const records = await dns.texts(`_mta-sts.${domain}`);
    const kept = all.get(domain);
    const current = kept && kept.untilMs > now() ? kept : undefined;
    const id = records.kind === "found" ? readStsId(records.values) : undefined;
    const isKnown = id === undefined || id === current?.id || (this.#resting.get(domain) ?? 0) > now();
    const policy = isKnown ? current?.policy : ((await this.#fetchOnce(domain, id)) ?? current?.policy);
    return policy?.mode === "none" ? undefined : policy;
  }

  #fetchOnce(domain: string, id: string): Promise<StsPolicy | undefined> {
    const under = this.#fetching.get(domain);
    if (under) return under;
    const fetching = this.#fetch(domain, id).finally(() => this.#fetching.delete(domain));
    this.#fetching.set(domain, fetching);
    return fetching;
  }

  async #fetch(domain: string, id: string): Promise<StsPolicy | undefined> {
    const { now, onFault, kept } = this.#options;
    const fetched = await this.#get(`mta-sts.${domain}`);
    const policy = fetched.kind === "text" ? parseStsPolicy(fetched.text) : undefined;
    if (policy) {
      remember(kept, domain, { id, policy, untilMs: now() + policy.maxAgeSeconds * 1_000 });
      return policy;
    }
    remember(this.#resting, domain, now() + restMs);
    onFault(domain, faults[fetched.kind]);
    return undefined;
  }

  async #get(host: string): Promise<Fetched> {
    const { dns, fetch, authorities, port, isOwn } = this.#options;
    const addresses = await dns.addresses(host);
    const address = addresses.kind === "found" ? addresses.values.find((one) => !isOwn(one)) : undefined;
    if (address === undefined) return { kind: "failed", why: "no address" };
    const path = "/.well-known/mta-sts.txt";
    return await fetch({ host, port, path, address, authorities, maxOctets: maxPolicyOctets, timeoutMs });
  }
}

const faults = {
  text: "sts-policy-invalid",
  certificate: "sts-webpki-invalid",
  failed: "sts-policy-fetch-error",
} as const;

/** The oldest gives way. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= maxKept) return;
    map.delete(oldest);
  }
}
