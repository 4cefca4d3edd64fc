import { type DnsAnswer, type DnsRecord, type DnsType, encodeQuery } from "../../protocol/dns/message.ts";
import { findRecords, readAddress, readExchange, readText, readTlsa } from "../../protocol/dns/records.ts";
import { parseIp } from "../../protocol/network/network.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import type { Answer, Dns, DnsOptions } from "./dns.ts";
import { createMemo, inTime, type Looked, maxKeptMs } from "./memo.ts";
import { query, type Server } from "./query.ts";

const tries = 3;
const maxRecords = 100;
const maxAliases = 10;
const codes: ReadonlyMap<number, string> = new Map([
  [2, "DNS servers failed (SERVFAIL)"],
  [5, "DNS servers refused to answer"],
]);

/**
 * As `createDns`, but says of each answer whether the resolver has checked it by DNSSEC: the caller vouches for the
 * resolvers and for the way to them. What is wrongly signed is "unknown", as a resolver that checks says SERVFAIL.
 */
export function createSecureDns({
  nameservers,
  timeoutMs,
  now = performance.now.bind(performance),
}: DnsOptions): Outcome<Dns> {
  const servers = nameservers.map(readServer);
  const sound = servers.filter((server) => server !== undefined);
  if (sound.length === 0 || sound.length < servers.length) {
    return permanent("3.5", `nameservers: "${nameservers.join(", ")}" are not addresses of DNS servers`);
  }
  const memo = createMemo(now);
  const closing = new AbortController();

  const look = (name: string, type: DnsType) => resolve(sound, name, type, timeoutMs, closing.signal);
  const ask = <Value>(name: string, type: DnsType, read: (record: DnsRecord) => Value | undefined) =>
    encodeQuery(0, name, type)
      ? memo(type, name, () => lookUp(look, name, type, read))
      : Promise.resolve<Answer<Value>>({ kind: "none" });

  return done({
    mx: (name) => ask(name, "MX", readExchange),
    async addresses(name) {
      const answers = await Promise.all([ask(name, "A", readAddress), ask(name, "AAAA", readAddress)]);
      const secure = answers.every((answer) => answer.kind !== "unknown" && answer.secure === true);
      const found = answers.filter((answer) => answer.kind === "found");
      const [first] = found;
      if (first) return { ...first, values: found.flatMap(({ values }) => values), secure };
      return answers.find((answer) => answer.kind === "unknown") ?? { kind: "none", secure };
    },
    texts: (name) => ask(name, "TXT", readText),
    tlsa: (name) => ask(name, "TLSA", readTlsa),
    close: () => closing.abort(),
  });
}

/** The first server that gives an answer gives the answer; what they fail with counts when all have failed. */
async function resolve(
  servers: readonly Server[],
  name: string,
  type: DnsType,
  timeoutMs: number,
  closing: AbortSignal,
): Promise<DnsAnswer | undefined> {
  let failure: DnsAnswer | undefined;
  for (let round = 0; round < tries; round++) {
    for (const server of servers) {
      if (closing.aborted) return failure;
      const signal = AbortSignal.any([closing, AbortSignal.timeout(timeoutMs * 2 ** round)]);
      const answer = await query(server, name, type, signal);
      if (answer?.code === 0 || answer?.code === 3) return answer;
      failure = answer ?? failure;
    }
    if (failure) return failure;
  }
  return failure;
}

/** A server that breaks off after an alias has not said that there is no record: the rest of the way is asked for. */
async function lookUp<Value>(
  look: (name: string, type: DnsType) => Promise<DnsAnswer | undefined>,
  name: string,
  type: DnsType,
  read: (record: DnsRecord) => Value | undefined,
): Promise<Looked<Value>> {
  const unknown = (why: string): Looked<Value> => ({ answer: { kind: "unknown", why }, ttlMs: 0 });
  let secure = true;
  let ttlSeconds = maxKeptMs / 1_000;
  for (let at = name, followed = 0; followed <= maxAliases; followed++) {
    const answer = await look(at, type);
    if (!answer) return unknown(inTime);
    if (answer.code !== 0 && answer.code !== 3) return unknown(codes.get(answer.code) ?? `DNS failed: ${answer.code}`);
    const found = findRecords(answer, type);
    if (!found) break;
    secure &&= answer.isAuthentic;
    ttlSeconds = Math.min(ttlSeconds, found.ttlSeconds);
    const values = found.records.slice(0, maxRecords).map(read);
    const sound = values.filter((value) => value !== undefined);
    if (sound.length < values.length) return unknown("DNS answer was malformed");
    const { canonical } = found;
    const ttlMs = 1_000 * ttlSeconds;
    if (sound.length > 0) return { answer: { kind: "found", values: sound, secure, canonical }, ttlMs };
    if (canonical === answer.name || answer.code === 3) return { answer: { kind: "none", secure }, ttlMs };
    at = canonical;
  }
  return unknown(`${name} is an alias of an alias, without end`);
}

/** `address`, `address:port`, `[address]:port`. */
function readServer(text: string): Server | undefined {
  if (parseIp(text)) return { address: text, port: 53 };
  const [, address = "", port = ""] = /^\[?([^\]]*?)\]?:([1-9][0-9]{0,4})$/.exec(text) ?? [];
  return parseIp(address) && Number(port) < 65_536 ? { address, port: Number(port) } : undefined;
}
