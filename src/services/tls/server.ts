import type { Socket } from "node:net";
import { TLSSocket, type TLSSocketOptions } from "node:tls";
import type { Contexts } from "./contexts.ts";

/** What a handshake led to. */
export interface TlsSession {
  /** "TLSv1.3" */
  readonly protocol: string;
  /** As RFC 8446 and RFC 5289 name it: "TLS_AES_256_GCM_SHA384". */
  readonly cipher: string;
  /** A login can be bound to it: not before TLS 1.3, where one would have to know that RFC 7627 was followed. */
  readonly hasExporter: boolean;
  /** The channel binding tls-exporter (RFC 9266), 32 octets; `undefined` without, and when the connection is gone. */
  exporter(): Buffer | undefined;
}

export interface TlsEvents {
  /** The handshake is done: `socket` carries the conversation from now on. */
  readonly onSecure: (session: TlsSession) => void;
  /** It failed, and the connection is being closed: `why` for the log, once. */
  readonly onFailure: (why: string) => void;
}

const exporterOctets = 32;
/** What mail clients call what they want to speak (ALPN, RFC 7301). Whoever wants another is misled, as a browser may be. */
const mailProtocols: ReadonlySet<string> = new Set(["smtp", "esmtp", "lmtp", "pop3", "imap"]);

/**
 * Speaks TLS as the server over `plain`, from its next octet on; nobody else may read from it. The caller sees to the
 * time a handshake takes: OpenSSL bounds its octets, and closing the socket ends it. `close` comes as on any socket.
 */
export function secureServer(plain: Socket, contexts: Contexts, { onSecure, onFailure }: TlsEvents): TLSSocket {
  const socket = new TLSSocket(plain, {
    isServer: true,
    secureContext: contexts.find(undefined),
    // With it Node leaves the handshake half-way and begins again, for every client.
    ...(contexts.areSeveral && { SNICallback: bySni(contexts) }),
    ALPNCallback: ({ protocols }) => protocols.find((protocol) => mailProtocols.has(protocol)),
  });
  let over = false;
  const fail = (why: string): void => {
    if (over) return;
    over = true;
    onFailure(why);
  };
  socket.on("secure", () => {
    if (over) return;
    over = true;
    const protocol = socket.getProtocol() ?? "";
    const hasExporter = protocol === "TLSv1.3";
    // Made when asked for: most connections bring mail of servers, which never log in.
    const exporter = () => (hasExporter && !socket.destroyed ? exporterOf(socket) : undefined);
    onSecure({ protocol, cipher: socket.getCipher().standardName, hasExporter, exporter });
  });
  // Node keeps errors of the handshake apart from those of the conversation, and closes by itself.
  socket.on("_tlsError", (error: Error) => fail(reasonOf(error)));
  socket.on("error", (error) => fail(reasonOf(error)));
  // Whoever ends before the handshake has no use for a connection that is open in one direction.
  socket.on("end", () => {
    if (!over) socket.destroy();
  });
  socket.on("close", () => fail("the client closed"));
  return socket;
}

const bySni =
  (contexts: Contexts): NonNullable<TLSSocketOptions["SNICallback"]> =>
  (serverName, answer) =>
    answer(null, contexts.find(serverName));

const exporterOf = (socket: TLSSocket): Buffer =>
  socket.exportKeyingMaterial(exporterOctets, "EXPORTER-Channel-Binding", Buffer.alloc(0));

/** OpenSSL's own words, without its numbers and places: "wrong version number". */
function reasonOf(error: Error): string {
  if ("reason" in error && typeof error.reason === "string") return error.reason;
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
