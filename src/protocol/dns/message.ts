import { Buffer } from "node:buffer";

/** The kinds of record we ask for (RFC 1035 §3.2.2, RFC 3596, RFC 6698). */
export const typeNumbers = { A: 1, CNAME: 5, MX: 15, TXT: 16, AAAA: 28, TLSA: 52 } as const;
export type DnsType = keyof typeof typeNumbers;

/** Names are in lower case, without a dot at the end; the root is "". `data` is as it came, but for names in it. */
export interface DnsRecord {
  readonly name: string;
  readonly type: number;
  readonly ttlSeconds: number;
  readonly data: Buffer;
  /** Of CNAME and MX. */
  readonly target?: string;
}

export interface DnsAnswer {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly code: number;
  readonly isTruncated: boolean;
  /** The server has checked it by DNSSEC (AD, RFC 4035 §3.2.3). */
  readonly isAuthentic: boolean;
  /** Of the answer section. */
  readonly records: readonly DnsRecord[];
}

const headerOctets = 12;
const maxRecords = 200;
const maxNameOctets = 255;
const [CLASS_IN, OPT] = [1, 41];
/** What a datagram holds that passes everywhere (DNS flag day 2020). */
const udpOctets = 1_232;
const [flagResponse, flagTruncated, flagRecursion, flagAuthentic] = [0x8000, 0x0200, 0x0100, 0x0020];

/**
 * A question to a resolver (RFC 1035 §4.1), that asks for DNSSEC's verdict (RFC 6840 §5.7). `undefined` when the name has
 * no form in DNS.
 */
export function encodeQuery(id: number, name: string, type: DnsType): Buffer | undefined {
  const labels = name === "" ? [] : name.replace(/\.$/, "").split(".");
  if (!labels.every((label) => /^[A-Za-z0-9_-]{1,63}$/.test(label))) return undefined;
  const question = Buffer.concat([
    ...labels.map((label) => Buffer.from(String.fromCharCode(label.length) + label, "latin1")),
    Buffer.of(0, 0, typeNumbers[type], 0, CLASS_IN),
  ]);
  if (question.length - 4 > maxNameOctets) return undefined;
  const header = Buffer.alloc(headerOctets);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(flagRecursion | flagAuthentic, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const opt = Buffer.of(0, 0, OPT, udpOctets >> 8, udpOctets & 255, 0, 0, 0, 0, 0, 0);
  return Buffer.concat([header, question, opt]);
}

/** Reads an answer to one question; `undefined` when it is not whole or breaks RFC 1035. Any octets may come. */
export function parseAnswer(octets: Buffer): DnsAnswer | undefined {
  if (octets.length < headerOctets) return undefined;
  const flags = octets.readUInt16BE(2);
  const isAnswer = (flags & flagResponse) !== 0 && (flags & 0x7800) === 0 && octets.readUInt16BE(4) === 1;
  const question = isAnswer ? readName(octets, headerOctets) : undefined;
  if (!question || question.end + 4 > octets.length || octets.readUInt16BE(question.end + 2) !== CLASS_IN) {
    return undefined;
  }
  const count = octets.readUInt16BE(6);
  const records: DnsRecord[] = [];
  for (let at = question.end + 4, n = 0; n < count; n++) {
    const read = readRecord(octets, at);
    if (!read || n >= maxRecords) return undefined;
    if (read.record) records.push(read.record);
    at = read.end;
  }
  return {
    id: octets.readUInt16BE(0),
    name: question.name,
    type: octets.readUInt16BE(question.end),
    code: flags & 15,
    isTruncated: (flags & flagTruncated) !== 0,
    isAuthentic: (flags & flagAuthentic) !== 0,
    records,
  };
}

/** A record of another class is read, and is none. */
function readRecord(octets: Buffer, at: number): { record: DnsRecord | undefined; end: number } | undefined {
  const owner = readName(octets, at);
  if (!owner || owner.end + 10 > octets.length) return undefined;
  const type = octets.readUInt16BE(owner.end);
  const start = owner.end + 10;
  const end = start + octets.readUInt16BE(owner.end + 8);
  if (end > octets.length) return undefined;
  const ttlSeconds = octets.readInt32BE(owner.end + 4);
  const about = { name: owner.name, type, ttlSeconds: Math.max(0, ttlSeconds), data: octets.subarray(start, end) };
  if (octets.readUInt16BE(owner.end + 2) !== CLASS_IN) return { record: undefined, end };
  const nameAt = type === typeNumbers.CNAME ? start : type === typeNumbers.MX ? start + 2 : undefined;
  if (nameAt === undefined) return { record: about, end };
  const target = readName(octets, nameAt);
  return target && target.end === end ? { record: { ...about, target: target.name }, end } : undefined;
}

/** Pointers lead back only, so that every chain of them ends (RFC 1035 §4.1.4). */
function readName(octets: Buffer, start: number): { name: string; end: number } | undefined {
  const labels: string[] = [];
  let end: number | undefined;
  let length = 1;
  for (let at = start, bound = start; ; ) {
    const size = octets[at];
    if (size === undefined) return undefined;
    if (size === 0) return { name: labels.join(".").toLowerCase(), end: end ?? at + 1 };
    if (size >= 0xc0) {
      const to = ((size & 0x3f) << 8) | (octets[at + 1] ?? 0xff);
      if (at + 1 >= octets.length || to >= bound) return undefined;
      end ??= at + 2;
      at = to;
      bound = to;
      continue;
    }
    length += size + 1;
    if (size > 63 || length > maxNameOctets || at + size >= octets.length) return undefined;
    // What no host name has must not look like a name that it is not: a dot above all.
    labels.push(octets.toString("latin1", at + 1, at + 1 + size).replace(/[^A-Za-z0-9_-]/g, "?"));
    at += size + 1;
  }
}
