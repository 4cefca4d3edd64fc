import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect, createSecureContext, type TLSSocket } from "node:tls";

/** One for all: no certificate is verified, so no list of authorities is loaded. */
const context = createSecureContext({ ca: [] });

/** The client's end of TLS over a connected socket (RFC 3207, opportunistic as in RFC 7435). */
export function secure(socket: Duplex, name: string): TLSSocket {
  const servername = isIP(name) ? {} : { servername: name };
  return connect({ socket, secureContext: context, rejectUnauthorized: false, ...servername });
}
