import type { Buffer } from "node:buffer";
import { parseIp } from "../network/network.ts";

/** The two ends of the client's own connection, as a proxy tells them. Addresses as the proxy wrote them, or as Node would. */
export interface Proxied {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
}

export type ProxyHeader =
  | { readonly kind: "more" }
  /** `octets` of it are the header. Without `client` the proxy speaks for itself: a check of health, mostly. */
  | { readonly kind: "done"; readonly octets: number; readonly client: Proxied | undefined }
  | { readonly kind: "broken" };

const more: ProxyHeader = { kind: "more" };
const broken: ProxyHeader = { kind: "broken" };

const signature = "\r\n\r\n\0\r\nQUIT\n";
const v1Begin = "PROXY ";
const maxV1Octets = 107;
const v2FixedOctets = 16;
/** Addresses have 36 at most; what else is told after them is passed over. */
const maxV2Octets = 2_048;

/** Reads the header that stands before what the client says: HAProxy's PROXY protocol, version 1 or 2. Bounded. */
export function readProxyHeader(input: Buffer): ProxyHeader {
  const begin = input.toString("latin1", 0, signature.length);
  if (signature.startsWith(begin.slice(0, signature.length)))
    return begin.length < signature.length ? more : readV2(input);
  if (v1Begin.startsWith(begin.slice(0, v1Begin.length))) return begin.length < v1Begin.length ? more : readV1(input);
  return broken;
}

function readV1(input: Buffer): ProxyHeader {
  const text = input.toString("latin1", 0, maxV1Octets);
  const end = text.indexOf("\r\n");
  if (end < 0) return text.length < maxV1Octets ? more : broken;
  const line = text.slice(v1Begin.length, end);
  const octets = end + 2;
  if (line === "UNKNOWN" || line.startsWith("UNKNOWN ")) return { kind: "done", octets, client: undefined };
  const [kind, address = "", localAddress = "", from = "", to = "", ...rest] = line.split(" ");
  const family = kind === "TCP4" ? 4 : kind === "TCP6" ? 6 : 0;
  const [port, localPort] = [portOf(from), portOf(to)];
  const isSound = [address, localAddress].every((text) => text.includes(":") === (family === 6) && parseIp(text));
  if (family === 0 || !isSound || port === undefined || localPort === undefined || rest.length > 0) return broken;
  return { kind: "done", octets, client: { address, port, localAddress, localPort } };
}

function portOf(text: string): number | undefined {
  return /^(0|[1-9][0-9]{0,4})$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

function readV2(input: Buffer): ProxyHeader {
  if (input.length < v2FixedOctets) return more;
  const [command, family, length] = [input.readUInt8(12), input.readUInt8(13), input.readUInt16BE(14)];
  const octets = v2FixedOctets + length;
  if ((command !== 0x20 && command !== 0x21) || octets > maxV2Octets) return broken;
  if (input.length < octets) return more;
  if (command === 0x20) return { kind: "done", octets, client: undefined };
  const size = family === 0x11 ? 4 : family === 0x21 ? 16 : 0; // TCP over IPv4 or IPv6
  if (size === 0 || length < 2 * size + 4) return broken;
  const body = input.subarray(v2FixedOctets, octets);
  return {
    kind: "done",
    octets,
    client: {
      address: addressOf(body.subarray(0, size)),
      localAddress: addressOf(body.subarray(size, 2 * size)),
      port: body.readUInt16BE(2 * size),
      localPort: body.readUInt16BE(2 * size + 2),
    },
  };
}

function addressOf(octets: Buffer): string {
  if (octets.length === 4) return octets.join(".");
  return Array.from({ length: 8 }, (_, group) => octets.readUInt16BE(2 * group).toString(16)).join(":");
}
