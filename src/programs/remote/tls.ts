import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect, createSecureContext, rootCertificates, type SecureContext, TLSSocket } from "node:tls";
import { daneFault } from "../../protocol/dane/verdict.ts";
import type { TlsDemand, TlsFault, TlsFaultKind } from "../../protocol/tls-policy/demand.ts";

/** For all who need not show a certificate that an authority signed: no list of authorities is loaded. */
const withoutAuthorities = createSecureContext({ ca: [] });
const contexts = new WeakMap<readonly string[], SecureContext>();

/** The authorities are loaded once for all connections, and only where somebody asks for them: it takes a while. */
function contextOf(authorities: readonly string[]): SecureContext {
  const known = contexts.get(authorities);
  const context = known ?? createSecureContext({ ca: [...(authorities.length > 0 ? authorities : rootCertificates)] });
  contexts.set(authorities, context);
  return context;
}

/**
 * The client's end of TLS over a connected socket (RFC 3207). Takes any certificate: what it is worth `tlsFault` says.
 * `authorities` are PEM; none: those that Node brings.
 */
export function secure(socket: Duplex, name: string, { level }: TlsDemand, authorities: readonly string[]): TLSSocket {
  return connect({
    socket,
    secureContext: level === "verify" ? contextOf(authorities) : withoutAuthorities,
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ...(isIP(name) ? {} : { servername: name }),
  });
}

/** What the connection lacks of what is demanded; `undefined` when it lacks nothing. To be asked after the handshake. */
export function tlsFault(socket: Duplex, demand: TlsDemand): TlsFault | undefined {
  if (!(socket instanceof TLSSocket)) return { kind: "validation-failure", text: "there is no TLS" };
  const own = socket.getPeerX509Certificate();
  switch (demand.level) {
    case "none":
    case "may":
    case "encrypt":
      return undefined;
    case "dane":
      return daneFault(demand.records, chainOf(own), demand.names, Date.now());
    case "verify":
      return verifyFault(socket, own, demand.names);
    default:
      return demand.level satisfies never;
  }
}

function verifyFault(
  socket: TLSSocket,
  own: X509Certificate | undefined,
  names: readonly string[],
): TlsFault | undefined {
  if (!own) return { kind: "validation-failure", text: "it showed no certificate" };
  if (!socket.authorized) {
    const code = String(socket.authorizationError); // an OpenSSL code, though the type says Error
    return faults.get(code) ?? { kind: "certificate-not-trusted", text: `its certificate cannot be trusted: ${code}` };
  }
  if (names.some((name) => (isIP(name) ? own.checkIP(name) : own.checkHost(name)) !== undefined)) return undefined;
  return { kind: "certificate-host-mismatch", text: `its certificate does not name ${names.join(" or ")}` };
}

const fault = (kind: TlsFaultKind, text: string): TlsFault => ({ kind, text });
const faults: ReadonlyMap<string, TlsFault> = new Map([
  ["CERT_HAS_EXPIRED", fault("certificate-expired", "its certificate has expired")],
  ["CERT_NOT_YET_VALID", fault("certificate-expired", "its certificate is not yet valid")],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", fault("certificate-not-trusted", "its certificate is signed by itself")],
  ["SELF_SIGNED_CERT_IN_CHAIN", fault("certificate-not-trusted", "its certificate is signed by an unknown authority")],
  [
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    fault("certificate-not-trusted", "its certificate is signed by an unknown authority"),
  ],
  [
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    fault("certificate-not-trusted", "its certificate is signed by an unknown authority"),
  ],
]);

/** As the peer sent it, its own first. */
function chainOf(own: X509Certificate | undefined): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let at = own; at && chain.length < 20 && !chain.includes(at); at = at.issuerCertificate) chain.push(at);
  return chain;
}
