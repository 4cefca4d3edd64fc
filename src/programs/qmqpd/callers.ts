import type { Socket } from "node:net";
import { formatDate } from "../../protocol/date.ts";
import type { Networks } from "../../protocol/network/network.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { receivedLine } from "../../protocol/smtp/trace.ts";
import { peerCredentials } from "../../services/kernel/peer-credentials.ts";
import type { Caller } from "./serve.ts";

/**
 * The process at the other end of a Unix socket. Node keeps a socket's descriptor to itself but for this; there is no
 * other way to ask the kernel about it.
 */
export function localCaller(socket: Socket): Outcome<Caller> {
  const { fd } = (socket as Socket & { readonly _handle?: { readonly fd?: number } })._handle ?? {};
  const known = fd === undefined || fd < 0 ? temporary("3.0", "cannot tell who is calling") : peerCredentials(fd);
  return known.kind === "done" ? done(processCaller(known.value)) : known;
}

export const processCaller = ({ pid, uid }: { readonly pid: number; readonly uid: number }): Caller => ({
  name: `uid ${uid}`,
  uid,
  received: (nowMs) => `Received: (postern ${pid} invoked by uid ${uid}); ${formatDate(nowMs)}\n`,
});

/** The host at the other end, if it is one of `clients`: QMQP relays to anywhere, unchecked. `me` is this server's name. */
export function networkCaller(address: string | undefined, clients: Networks, me: string): Outcome<Caller> {
  // Temporary: a host that was forgotten in the list must not lose its mail.
  if (address === undefined || !clients.has(address)) {
    return temporary("7.1", `${address ?? "your address"} is not in control/qmqpclients`);
  }
  return done({
    name: address,
    uid: process.getuid?.() ?? 0,
    received: (nowMs) => receivedLine({ helo: "", protocol: "QMQP", address, by: me, nowMs }),
  });
}
