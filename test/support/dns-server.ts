import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

/**
 * What the server says to one question; `secure` as if it had checked it by DNSSEC (AD); `capitals` with all names, that of
 * the question too, in capitals. `ttl` in seconds. Plain data, to be sent to a server in another process.
 */
export type DnsRule =
  | {
      readonly kind: "answer";
      readonly records: readonly DnsRecord[];
      readonly secure?: boolean;
      readonly capitals?: boolean;
    }
  /** UDP says TC, TCP gives the records; without any, TCP says TC too. `tcp`: what goes wrong with it. */
  | { readonly kind: "truncated"; readonly records?: readonly DnsRecord[]; readonly tcp?: TcpFailure }
  /** No answer at all, or not before so long. */
  | { readonly kind: "timeout" }
  | { readonly kind: "late"; readonly afterMs: number; readonly records: readonly DnsRecord[] }
  /** Answers nobody asked for first, then the records, if there are any. `how`: all of them unless it says which. */
  | {
      readonly kind: "forged first";
      readonly forged: readonly DnsRecord[];
      readonly records?: readonly DnsRecord[];
      readonly how?: Forgery;
    }
  /** The records, in an answer that breaks RFC 1035. */
  | { readonly kind: "malformed"; readonly how: Malformation; readonly records: readonly DnsRecord[] }
  | { readonly kind: "garbage" }
  | { readonly kind: "nxdomain" | "servfail" | "refused" | "formerr" | "notimp" };

/** What happens to a connection instead of an answer. "half": it ends in the middle of one. */
export type TcpFailure = "hangs" | "closes" | "resets" | "half";
export const tcpFailures: readonly TcpFailure[] = ["hangs", "closes", "resets", "half"];

/** What is wrong with a forged answer: its id, its question, the port or the address it comes from. */
export type Forgery = "id" | "question" | "port" | "address";

export type DnsRecord =
  | {
      readonly type: "MX";
      readonly preference: number;
      readonly exchange: string;
      readonly name?: string;
      readonly ttl?: number;
    }
  | { readonly type: "CNAME"; readonly target: string; readonly name?: string; readonly ttl?: number }
  | { readonly type: "A" | "AAAA"; readonly address: string; readonly name?: string; readonly ttl?: number }
  /** Data in hexadecimal. */
  | { readonly type: "TLSA"; readonly data: string; readonly name?: string; readonly ttl?: number }
  | { readonly type: "TXT"; readonly text: string; readonly name?: string; readonly ttl?: number }
  /** So many octets of text. */
  | { readonly type: "TXT"; readonly octets: number; readonly name?: string; readonly ttl?: number };

export interface DnsServer extends AsyncDisposable {
  /** address:port, UDP and TCP. */
  readonly address: string;
  /** Rules by "name TYPE", name in lower case; "name *" for any type, "*" for all else. Change it at any time; what is not in it has no such record. */
  readonly rules: Map<string, DnsRule>;
  /** What was asked, in order: "name TYPE". */
  readonly asked: string[];
}

const typeNumbers: ReadonlyMap<string, number> = new Map([
  ["A", 1],
  ["CNAME", 5],
  ["MX", 15],
  ["TXT", 16],
  ["AAAA", 28],
  ["TLSA", 52],
]);
const typeNames = new Map([...typeNumbers].map(([name, number]) => [number, name]));
const rcodes: ReadonlyMap<string, number> = new Map([
  ["formerr", 1],
  ["servfail", 2],
  ["nxdomain", 3],
  ["notimp", 4],
  ["refused", 5],
]);

/** A DNS server on loopback that says what its rules say. Trusts its clients: for tests only. */
export async function startDnsServer(
  rules: Iterable<readonly [string, DnsRule]> = [],
  where: { readonly address: string; readonly port: number } = { address: "127.0.0.1", port: 0 },
): Promise<DnsServer> {
  const table = new Map(rules);
  const asked: string[] = [];
  const late = new Set<NodeJS.Timeout>();
  const answer = (query: Buffer, tcp: boolean, send: (answer: Answer) => void): void => {
    const { name, type } = readQuestion(query);
    asked.push(`${name} ${type}`);
    const rule = table.get(`${name} ${type}`) ?? table.get(`${name} *`) ?? table.get("*") ?? noRecords;
    const sendAll = () => obey(query, name, rule, tcp).forEach(send);
    if (rule.kind === "late") late.add(setTimeout(sendAll, rule.afterMs));
    else sendAll();
  };

  const tcpServer = createServer((socket) => {
    let input: Buffer = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      input = Buffer.concat([input, chunk]);
      while (input.length >= 2 && input.length >= 2 + input.readUInt16BE(0)) {
        const query = input.subarray(2, 2 + input.readUInt16BE(0));
        input = input.subarray(2 + query.length);
        answer(query, true, (each) => writeTo(socket, each));
      }
    });
  });
  tcpServer.listen(where.port, where.address);
  await once(tcpServer, "listening");
  const { port } = tcpServer.address() as AddressInfo;
  const udp = await bound(port, where.address);
  const others = { port: await bound(0, where.address), address: await bound(0, otherAddress(where.address)) };
  udp.on("message", (query, from) => {
    answer(query, false, ({ octets, by }) => (by ? others[by] : udp).send(octets, from.port, from.address));
  });

  return {
    address: `${where.address}:${port}`,
    rules: table,
    asked,
    async [Symbol.asyncDispose]() {
      for (const timer of late) clearTimeout(timer);
      for (const socket of [udp, others.port, others.address]) socket.close();
      tcpServer.close();
      await once(tcpServer, "close");
    },
  };
}

const authentic = 0x20;
const noRecords: DnsRule = { kind: "answer", records: [] };

async function bound(port: number, address: string): Promise<DatagramSocket> {
  const socket = createSocket("udp4");
  socket.bind(port, address);
  await once(socket, "listening");
  return socket;
}

/** Another one of the same host: all of 127.0.0.0/8 is; elsewhere the any-address has to do. */
const otherAddress = (address: string): string => (address.startsWith("127.") ? "127.0.0.53" : "0.0.0.0");

/** An answer; `by` a socket it should not come from. */
interface Answer {
  readonly octets: Buffer;
  readonly by?: "port" | "address";
  readonly fails?: TcpFailure;
}

function writeTo(socket: Socket, { octets, fails }: Answer): void {
  const framed = Buffer.concat([u16(octets.length), octets]);
  if (fails === undefined) socket.write(framed);
  else if (fails === "resets") socket.resetAndDestroy();
  else if (fails === "closes") socket.end();
  else if (fails === "half") socket.end(framed.subarray(0, framed.length >> 1));
}

function obey(query: Buffer, name: string, rule: DnsRule, tcp: boolean): Answer[] {
  const one = (octets: Buffer): Answer[] => [{ octets }];
  switch (rule.kind) {
    case "answer": {
      const octets = respond(query, name, rule.secure ? authentic : 0, rule.records);
      return one(rule.capitals ? inCapitals(octets, rule.records.length) : octets);
    }
    case "late":
      return one(respond(query, name, 0, rule.records));
    case "truncated":
      if (tcp && rule.tcp) return [{ octets: respond(query, name, 0, rule.records ?? []), fails: rule.tcp }];
      return one(tcp && rule.records ? respond(query, name, 0, rule.records) : respond(query, name, 0x0200, []));
    case "timeout":
      return [];
    case "garbage":
      return one(
        Buffer.concat([query.subarray(0, 2), Buffer.from([0x84, 0, 0, 1, 0, 9, 0, 0, 0, 0, 0xc0, 0x0c, 0xff])]),
      );
    case "forged first": {
      const forge = (how: Forgery): Answer => forgedAnswer(respond(query, name, 0, rule.forged), how);
      const forgeries = rule.how ? [forge(rule.how)] : (["id", "question", "port", "address"] as const).map(forge);
      return [...(tcp ? [] : forgeries), ...(rule.records ? one(respond(query, name, 0, rule.records)) : [])];
    }
    case "malformed":
      return one(malform(respond(query, name, 0, rule.records), endOfName(query) + 4, rule.how));
    default:
      return one(respond(query, name, rcodes.get(rule.kind) ?? 0, []));
  }
}

function forgedAnswer(octets: Buffer, how: Forgery): Answer {
  if (how === "id") octets.writeUInt16BE((octets.readUInt16BE(0) + 1) % 65_536, 0);
  else if (how === "question") octets.write(octets[13] === 0x7a ? "y" : "z", 13, "latin1");
  else return { octets, by: how };
  return { octets };
}

/** Its names, where it is asked for and where records begin: what DNS holds for the same in any case (RFC 4343). */
function inCapitals(octets: Buffer, records: number): Buffer {
  let at = raise(octets, 12) + 4;
  for (let record = 0; record < records; record++) {
    at = raise(octets, at);
    at += 10 + octets.readUInt16BE(at + 8);
  }
  return octets;
}

/** Puts one name in capitals, and says where it ends: the lengths of labels are below all letters. */
function raise(octets: Buffer, at: number): number {
  const end = endOfName(octets, at);
  octets.write(octets.toString("latin1", at, end).toUpperCase(), at, "latin1");
  return end;
}

/** `records`: where the first one begins, with its name. */
type Malformer = (octets: Buffer, records: number) => Buffer;
const splice = (octets: Buffer, at: number, cut: number, ...put: readonly number[]): Buffer =>
  Buffer.concat([octets.subarray(0, at), Buffer.from(put), octets.subarray(at + cut)]);
const setting =
  (at: number, value: number): Malformer =>
  (octets) => {
    octets.writeUInt16BE(value, at);
    return octets;
  };
const nameTo =
  (...put: readonly number[]): Malformer =>
  (octets, at) =>
    splice(octets, at, endOfName(octets, at) - at, ...put);
const opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

const malformations = {
  "more records promised than there are": setting(6, 65_535),
  "two questions promised": setting(4, 2),
  "no question": (octets, at) => setting(4, 0)(splice(octets, 12, at - 12), 0),
  "not marked as an answer": setting(2, 0x0180),
  "another opcode": setting(2, 0xa980),
  "a name that points to itself": (octets, at) => nameTo(0xc0 | (at >> 8), at & 255)(octets, at),
  "a name that points ahead": nameTo(0xc3, 0xff),
  "a label of 64": nameTo(0x40, ...new Array<number>(64).fill(0x61), 0),
  "a name of 300": nameTo(...new Array<number[]>(5).fill([59, ...new Array<number>(59).fill(0x61)]).flat(), 0),
  "data longer than the answer": (octets, at) => setting(endOfName(octets, at) + 8, 65_000)(octets, at),
  "its second half missing": (octets, at) => octets.subarray(0, at + ((octets.length - at) >> 1)),
  "half a header": (octets) => octets.subarray(0, 6),
  "two OPT records": (octets) => setting(10, 2)(Buffer.concat([octets, Buffer.from([...opt, ...opt])]), 0),
  "octets after its end": (octets) => Buffer.concat([octets, Buffer.alloc(200, 0xff)]),
} as const satisfies Readonly<Record<string, Malformer>>;
export type Malformation = keyof typeof malformations;
export const malformationNames = Object.keys(malformations) as readonly Malformation[];

const malform = (octets: Buffer, records: number, how: Malformation): Buffer => malformations[how](octets, records);

function readQuestion(query: Buffer): { name: string; type: string } {
  const end = endOfName(query);
  const labels: string[] = [];
  for (let at = 12; at < end - 1; at += 1 + query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + query.readUInt8(at)).toLowerCase());
  }
  return { name: labels.join("."), type: typeNames.get(query.readUInt16BE(end)) ?? "?" };
}

function endOfName(octets: Buffer, from = 12): number {
  let at = from;
  while (octets.readUInt8(at) !== 0) at += 1 + octets.readUInt8(at);
  return at + 1;
}

/** The question repeated, then the records. `flags` adds to: a response, recursion desired and available. */
function respond(query: Buffer, name: string, flags: number, records: readonly DnsRecord[]): Buffer {
  const question = query.subarray(12, endOfName(query) + 4);
  const counts = Buffer.concat([u16(1), u16(records.length), u16(0), u16(0)]);
  const header = Buffer.concat([query.subarray(0, 2), u16(0x8180 | flags), counts]);
  return Buffer.concat([header, question, ...records.map((record) => encodeRecord(record, name))]);
}

function encodeRecord(record: DnsRecord, asked: string): Buffer {
  const data = encodeData(record);
  const ttl = Buffer.alloc(4);
  ttl.writeUInt32BE(record.ttl ?? 60);
  const type = u16(typeNumbers.get(record.type) ?? 0);
  return Buffer.concat([encodeName(record.name ?? asked), type, u16(1), ttl, u16(data.length), data]);
}

function encodeData(record: DnsRecord): Buffer {
  switch (record.type) {
    case "MX":
      return Buffer.concat([u16(record.preference), encodeName(record.exchange)]);
    case "CNAME":
      return encodeName(record.target);
    case "A":
      return Buffer.from(record.address.split(".").map(Number));
    case "AAAA":
      return encodeIpv6(record.address);
    case "TLSA":
      return Buffer.from(record.data, "hex");
    case "TXT":
      if ("text" in record) return Buffer.from(String.fromCharCode(record.text.length) + record.text, "latin1");
      return Buffer.alloc(record.octets, Buffer.from([255, ...new Array<number>(255).fill(0x74)]));
    default:
      return record satisfies never;
  }
}

function encodeIpv6(address: string): Buffer {
  const [head = "", tail] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const front = groups(head);
  const back = groups(tail ?? "");
  const zeros = new Array<number>(8 - front.length - back.length).fill(0);
  return Buffer.concat([...front, ...zeros, ...back].map(u16));
}

function encodeName(name: string): Buffer {
  const labels = name.split(".").filter((label) => label !== "");
  return Buffer.concat([
    ...labels.map((label) => Buffer.from(String.fromCharCode(label.length) + label, "latin1")),
    Buffer.from([0]),
  ]);
}

function u16(value: number): Buffer {
  const octets = Buffer.alloc(2);
  octets.writeUInt16BE(value);
  return octets;
}
