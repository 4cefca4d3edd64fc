import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

/** What the server says to one question. `ttl` in seconds. */
export type DnsRule =
  | { readonly kind: "answer"; readonly records: readonly DnsRecord[] }
  /** UDP says TC, TCP gives the records. */
  | { readonly kind: "truncated"; readonly records: readonly DnsRecord[] }
  /** No answer at all. */
  | { readonly kind: "timeout" }
  /** Answers of another identity and to another question first, then the records. */
  | { readonly kind: "forged first"; readonly forged: readonly DnsRecord[]; readonly records: readonly DnsRecord[] }
  | { readonly kind: "garbage" }
  | { readonly kind: "nxdomain" | "servfail" | "refused" };

export type DnsRecord =
  | {
      readonly type: "MX";
      readonly preference: number;
      readonly exchange: string;
      readonly name?: string;
      readonly ttl?: number;
    }
  | { readonly type: "CNAME"; readonly target: string; readonly name?: string; readonly ttl?: number }
  | { readonly type: "A" | "AAAA"; readonly address: string; readonly name?: string; readonly ttl?: number };

export interface DnsServer extends AsyncDisposable {
  /** address:port, UDP and TCP. */
  readonly address: string;
  /** Rules by "name TYPE", name in lower case; "name *" for any type. Change it at any time; what is not in it has no such record. */
  readonly rules: Map<string, DnsRule>;
  /** What was asked, in order: "name TYPE". */
  readonly asked: string[];
}

const typeNumbers: ReadonlyMap<string, number> = new Map([
  ["A", 1],
  ["CNAME", 5],
  ["MX", 15],
  ["AAAA", 28],
]);
const typeNames = new Map([...typeNumbers].map(([name, number]) => [number, name]));
const rcodes: ReadonlyMap<string, number> = new Map([
  ["servfail", 2],
  ["nxdomain", 3],
  ["refused", 5],
]);

/** A DNS server on loopback that says what its rules say. Trusts its clients: for tests only. */
export async function startDnsServer(
  rules: Iterable<readonly [string, DnsRule]> = [],
  where: { readonly address: string; readonly port: number } = { address: "127.0.0.1", port: 0 },
): Promise<DnsServer> {
  const table = new Map(rules);
  const asked: string[] = [];
  const answers = (query: Buffer, tcp: boolean): Buffer[] => {
    const { name, type } = readQuestion(query);
    asked.push(`${name} ${type}`);
    const rule = table.get(`${name} ${type}`) ?? table.get(`${name} *`) ?? { kind: "answer", records: [] };
    return obey(query, name, rule, tcp);
  };

  const tcpServer = createServer((socket) => {
    let input: Buffer = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      input = Buffer.concat([input, chunk]);
      while (input.length >= 2 && input.length >= 2 + input.readUInt16BE(0)) {
        const query = input.subarray(2, 2 + input.readUInt16BE(0));
        input = input.subarray(2 + query.length);
        for (const answer of answers(query, true)) socket.write(Buffer.concat([u16(answer.length), answer]));
      }
    });
  });
  tcpServer.listen(where.port, where.address);
  await once(tcpServer, "listening");
  const { port } = tcpServer.address() as AddressInfo;
  const udp = createSocket("udp4");
  udp.on("message", (query, from) => {
    for (const answer of answers(query, false)) udp.send(answer, from.port, from.address);
  });
  udp.bind(port, where.address);
  await once(udp, "listening");

  return {
    address: `${where.address}:${port}`,
    rules: table,
    asked,
    async [Symbol.asyncDispose]() {
      udp.close();
      tcpServer.close();
      await once(tcpServer, "close");
    },
  };
}

function obey(query: Buffer, name: string, rule: DnsRule, tcp: boolean): Buffer[] {
  switch (rule.kind) {
    case "answer":
      return [respond(query, name, 0, rule.records)];
    case "truncated":
      return [tcp ? respond(query, name, 0, rule.records) : respond(query, name, 0x0200, [])];
    case "timeout":
      return [];
    case "garbage":
      return [Buffer.concat([query.subarray(0, 2), Buffer.from([0x84, 0, 0, 1, 0, 9, 0, 0, 0, 0, 0xc0, 0x0c, 0xff])])];
    case "forged first": {
      const otherIdentity = respond(query, name, 0, rule.forged);
      otherIdentity.writeUInt16BE((query.readUInt16BE(0) + 1) % 65_536, 0);
      const otherQuestion = respond(query, name, 0, rule.forged);
      otherQuestion.write("z", 13, "latin1");
      return [otherIdentity, otherQuestion, respond(query, name, 0, rule.records)];
    }
    default:
      return [respond(query, name, rcodes.get(rule.kind) ?? 0, [])];
  }
}

function readQuestion(query: Buffer): { name: string; type: string } {
  const end = endOfName(query);
  const labels: string[] = [];
  for (let at = 12; at < end - 1; at += 1 + query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + query.readUInt8(at)).toLowerCase());
  }
  return { name: labels.join("."), type: typeNames.get(query.readUInt16BE(end)) ?? "?" };
}

function endOfName(query: Buffer): number {
  let at = 12;
  while (query.readUInt8(at) !== 0) at += 1 + query.readUInt8(at);
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
