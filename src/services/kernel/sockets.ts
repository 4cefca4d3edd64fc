import { closeSync } from "node:fs";
import { isIPv6 } from "node:net";
import { type KernelFailure, type KernelOutcome, kernelFailure, libc, worked } from "./libc.ts";

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
/** SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC */
const streamSocket = 1 | 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const backlogConnections = 4_096;
const maxPathOctets = 107;

/** Two connected stream sockets, close-on-exec, each the caller's to close. */
export function socketPair(): KernelOutcome<readonly [number, number]> {
  const pair = new Int32Array(2);
  if (libc().socketpair(AF_UNIX, streamSocket, 0, pair) < 0) return kernelFailure("make a socket pair");
  const [one = -1, other = -1] = pair;
  return worked([one, other]);
}

/**
 * Binds and listens, but never accepts: who is given the descriptor does. An IPv6 address is for IPv6 alone.
 * Port 0 lets the kernel choose.
 */
export function listenTcp(address: string, port: number): KernelOutcome<number> {
  const sixth = isIPv6(address);
  const options = sixth ? [[IPPROTO_IPV6, IPV6_V6ONLY] as const, reuseAddress] : [reuseAddress];
  const name = sixth ? `[${address}]:${port}` : `${address}:${port}`;
  return listenOn(sixth ? AF_INET6 : AF_INET, options, socketAddress(address, port, sixth), `listen on ${name}`);
}

/** As `listenTcp`, at `path` in the file system: at most 107 octets. The path must be free. */
export function listenUnix(path: string): KernelOutcome<number> {
  const name = Buffer.from(path);
  if (name.length > maxPathOctets) {
    const text = `cannot listen on ${path}: longer than the ${maxPathOctets} octets a socket's path may have`;
    return { kind: "temporary", status: "3.0", text, code: "ENAMETOOLONG" };
  }
  const address = Buffer.alloc(2 + name.length + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  return listenOn(AF_UNIX, [], address, `listen on ${path}`);
}

const reuseAddress = [SOL_SOCKET, SO_REUSEADDR] as const;

function listenOn(
  family: number,
  options: readonly (readonly [level: number, name: number])[],
  address: Uint8Array,
  tried: string,
): KernelOutcome<number> {
  const fd = libc().socket(family, streamSocket, 0);
  if (fd < 0) return kernelFailure(tried);
  const refused = (): KernelFailure => {
    const failure = kernelFailure(tried);
    closeSync(fd);
    return failure;
  };
  const on = new Int32Array([1]);
  for (const [level, name] of options) {
    if (libc().setsockopt(fd, level, name, on, on.byteLength) < 0) return refused();
  }
  if (libc().bind(fd, address, address.length) < 0) return refused();
  if (libc().listen(fd, backlogConnections) < 0) return refused();
  return worked(fd);
}

/** A sockaddr_in or sockaddr_in6. `address` was checked to be one. */
function socketAddress(address: string, port: number, sixth: boolean): Uint8Array {
  const octets = Buffer.alloc(sixth ? 28 : 16);
  octets.writeUInt16LE(sixth ? AF_INET6 : AF_INET, 0);
  octets.writeUInt16BE(port, 2);
  if (!sixth) {
    octets.set(address.split(".").map(Number), 4);
    return octets;
  }
  for (const [at, group] of sixteenBitGroups(address).entries()) octets.writeUInt16BE(group, 8 + 2 * at);
  return octets;
}

/** The eight numbers of an IPv6 address without a zone, in any of its forms (RFC 4291 §2.2). */
export function sixteenBitGroups(address: string): readonly number[] {
  const [head = "", tail] = address.split("::");
  const groups = (part: string): number[] =>
    part === ""
      ? []
      : part.split(":").flatMap((group) => (group.includes(".") ? fromDotted(group) : parseInt(group, 16)));
  const before = groups(head);
  if (tail === undefined) return before;
  const after = groups(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function fromDotted(dotted: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = dotted.split(".").map(Number);
  return [(a << 8) | b, (c << 8) | d];
}
