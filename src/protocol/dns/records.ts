import { parseTlsa, type TlsaRecord } from "../dane/record.ts";
import type { Exchange } from "../mx/choose.ts";
import { type DnsAnswer, type DnsRecord, type DnsType, typeNumbers } from "./message.ts";

const maxAliases = 30;

/** What an answer says of the name that was asked for, or of the name that is an alias of. */
export interface Found {
  readonly records: readonly DnsRecord[];
  /** Where aliases led to. */
  readonly canonical: string;
  readonly ttlSeconds: number;
}

/** Follows the aliases within an answer; `undefined` when they go round in circles. */
export function findRecords({ name, records }: DnsAnswer, type: DnsType): Found | undefined {
  let canonical = name;
  const ttls: number[] = [];
  for (let followed = 0; followed <= maxAliases; followed++) {
    const own = records.filter((record) => record.name === canonical);
    const wanted = own.filter((record) => record.type === typeNumbers[type]);
    const alias = own.find((record) => record.type === typeNumbers.CNAME);
    if (wanted.length > 0 || alias?.target === undefined) {
      return { records: wanted, canonical, ttlSeconds: Math.min(...ttls, ...wanted.map((each) => each.ttlSeconds)) };
    }
    ttls.push(alias.ttlSeconds);
    canonical = alias.target;
  }
  return undefined;
}

export const readExchange = ({ data, target = "" }: DnsRecord): Exchange => ({
  name: target,
  preference: data.readUInt16BE(0),
});

export const readTlsa = ({ data }: DnsRecord): TlsaRecord | undefined => parseTlsa(data);

/** An A or AAAA record as text; `undefined` when it has not the length of an address. */
export function readAddress({ data }: DnsRecord): string | undefined {
  if (data.length === 4) return data.join(".");
  if (data.length !== 16) return undefined;
  const groups = Array.from({ length: 8 }, (_, n) => data.readUInt16BE(2 * n).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1); // shortened as RFC 5952 has it
}

/** The strings of a TXT record, one after the other (RFC 1035 §3.3.14); `undefined` when one is longer than the record. */
export function readText({ data }: DnsRecord): string | undefined {
  let text = "";
  for (let at = 0; at < data.length; ) {
    const end = at + 1 + (data[at] ?? 0);
    if (end > data.length) return undefined;
    text += data.toString("latin1", at + 1, end);
    at = end;
  }
  return text;
}
