import { Resolver } from "node:dns/promises";
import type { TlsaRecord } from "../../protocol/dane/record.ts";
import type { Exchange } from "../../protocol/mx/choose.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { createMemo, inTime, type Looked, late, maxKeptMs, withinBound } from "./memo.ts";

/**
 * "none" only when DNS says so: no such name, or no such record. All else is "unknown", and may be asked again. `secure`:
 * a resolver that we trust has checked it by DNSSEC. `canonical`: the name that aliases led to, where that is known.
 */
export type Answer<Value> =
  | {
      readonly kind: "found";
      readonly values: readonly Value[];
      readonly secure?: boolean;
      readonly canonical?: string;
    }
  | { readonly kind: "none"; readonly secure?: boolean }
  | { readonly kind: "unknown"; readonly why: string };

/** Looks names up. Never throws; answers within `maxLookUpMs`. */
export interface Dns {
  mx(name: string): Promise<Answer<Exchange>>;
  /** A and AAAA, the IPv6 addresses last. "unknown" only if nothing was found and one of the two is not known. */
  addresses(name: string): Promise<Answer<string>>;
  /** TXT records, the strings of each joined. */
  texts(name: string): Promise<Answer<string>>;
  /** "none" from who does not know DNSSEC. */
  tlsa(name: string): Promise<Answer<TlsaRecord>>;
  /** Answers what is still open with "unknown". */
  close(): void;
}

export interface DnsOptions {
  /** `address` or `address:port`, at least one. */
  readonly nameservers: readonly string[];
  /** How long the first try waits; later tries wait longer. */
  readonly timeoutMs: number;
  readonly now?: () => number;
}

const maxRecords = 100;
const maxAliases = 10;
/** 255 octets in DNS (RFC 1035 §2.3.4). c-ares lets longer ones through: an answer with one says nothing. */
const maxNameLength = 253;
/**
 * To a server that is quick as a rule c-ares gives a quarter of a second first, then twice as long each time, less up to
 * half of it by lot, and an answer to an earlier try does not count: so many tries let one that takes a second through.
 */
const tries = 5;

const noSuch: Answer<never> = { kind: "none" };
const malformed = { kind: "unknown", why: "DNS answer was malformed" } as const satisfies Answer<never>;

/** A resolver that asks these servers. Fails when one of them is no address. */
export function createDns({
  nameservers,
  timeoutMs,
  now = performance.now.bind(performance),
}: DnsOptions): Outcome<Dns> {
  const resolver = new Resolver({ timeout: timeoutMs, tries, maxTimeout: 2 * timeoutMs });
  try {
    resolver.setServers([...nameservers]);
  } catch {
    return permanent("3.5", `nameservers: "${nameservers.join(", ")}" are not addresses of DNS servers`);
  }
  const ask = createMemo(now);

  const address = (name: string, type: "A" | "AAAA") =>
    ask(type, name, async (): Promise<Looked<string>> => {
      const look = () =>
        type === "A" ? resolver.resolve4(name, { ttl: true }) : resolver.resolve6(name, { ttl: true });
      const records = await caught(look);
      if (records.kind !== "found") return { answer: records, ttlMs: maxKeptMs };
      const ttlMs = 1_000 * Math.min(...records.values.map((record) => record.ttl));
      return { answer: { kind: "found", values: records.values.map((record) => record.address) }, ttlMs };
    });

  const addresses = async (name: string): Promise<Answer<string>> => {
    if (!isHostName(name)) return noSuch;
    const answers = await Promise.all([address(name, "A"), address(name, "AAAA")]);
    const values = answers.flatMap((answer) => (answer.kind === "found" ? answer.values : []));
    if (values.length > 0) return { kind: "found", values };
    return answers.find((answer) => answer.kind === "unknown") ?? noSuch;
  };
  const aliases = (name: string) =>
    ask("CNAME", name, async () => ({ answer: await caught(() => resolver.resolveCname(name)), ttlMs: maxKeptMs }));
  /** A server that breaks off after an alias, or in a circle of them, has not said that there is no address. */
  const addressesBehind = async (name: string): Promise<Answer<string>> => {
    let at = name;
    for (let followed = 0; followed <= maxAliases; followed++) {
      const answer = await addresses(at);
      if (answer.kind !== "none" || !isHostName(at)) return answer;
      const alias = await aliases(at);
      if (alias.kind !== "found") return alias;
      at = alias.values[0] ?? "";
      if (at.length > maxNameLength) return malformed;
    }
    return { kind: "unknown", why: `${name} is an alias of an alias, without end` };
  };

  return done({
    mx(name) {
      if (!isHostName(name)) return Promise.resolve(noSuch);
      return ask("MX", name, async () => {
        const records = await caught(() => resolver.resolveMx(name));
        if (records.kind !== "found") return { answer: records, ttlMs: maxKeptMs };
        const values = records.values.map(({ exchange, priority }) => ({ name: exchange, preference: priority }));
        if (values.some((value) => value.name.length > maxNameLength)) return { answer: malformed, ttlMs: 0 };
        return { answer: { kind: "found", values }, ttlMs: maxKeptMs };
      });
    },
    addresses: (name) => withinBound(addressesBehind(name), late),
    texts(name) {
      if (!isHostName(name)) return Promise.resolve(noSuch);
      return ask("TXT", name, async () => {
        const records = await caught(() => resolver.resolveTxt(name));
        if (records.kind !== "found") return { answer: records, ttlMs: maxKeptMs };
        return {
          answer: { kind: "found", values: records.values.map((strings) => strings.join("")) },
          ttlMs: maxKeptMs,
        };
      });
    },
    tlsa: () => Promise.resolve(noSuch),
    close: () => resolver.cancel(),
  });
}

/** What the library threw, by its code. */
async function caught<Value>(look: () => Promise<readonly Value[]>): Promise<Answer<Value>> {
  try {
    const values = (await look()).slice(0, maxRecords);
    return values.length > 0 ? { kind: "found", values } : noSuch;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "EUNKNOWN";
    // ENOTFOUND: NXDOMAIN. ENODATA: the name is there, the record is not. EBADNAME: no name DNS could hold.
    if (code === "ENOTFOUND" || code === "ENODATA" || code === "EBADNAME") return noSuch;
    return { kind: "unknown", why: whys.get(code) ?? `DNS failed: ${code}` };
  }
}

const whys: ReadonlyMap<string, string> = new Map([
  ["ETIMEOUT", inTime],
  ["ESERVFAIL", "DNS servers failed (SERVFAIL)"],
  ["EREFUSED", "DNS servers refused to answer"],
  ["ECONNREFUSED", "no DNS server could be reached"],
  ["EBADRESP", malformed.why],
]);

/** Letters, digits, - and _: a backslash or an octet over 127 would mean something else to the library. */
const isHostName = (name: string): boolean => name.length < 256 && /^[A-Za-z0-9_.-]+$/.test(name);
