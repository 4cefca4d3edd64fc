import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { rootCertificates } from "node:tls";

export interface FetchOptions {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Of the host, to be connected to. */
  readonly address: string;
  /** PEM; none: those that Node brings. */
  readonly authorities: readonly string[];
  readonly maxOctets: number;
  readonly timeoutMs: number;
}

/** How it went: the certificate is told apart from all else. */
export type Fetched =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "certificate" | "failed"; readonly why: string };

/**
 * Gets a text/plain resource over HTTPS (RFC 9110), with the certificate checked against the host's name. Follows no
 * redirection, and takes no longer and no more than it is told. Never throws.
 */
export function fetchText(options: FetchOptions): Promise<Fetched> {
  const { host, port, path, address, authorities, maxOctets, timeoutMs } = options;
  const { promise, resolve } = Promise.withResolvers<Fetched>();
  const asked = request({
    ...{ host: address, port, path, servername: host, agent: false },
    headers: { host: port === 443 ? host : `${host}:${port}`, accept: "text/plain", "user-agent": "Postern" },
    ca: [...(authorities.length > 0 ? authorities : rootCertificates)],
    signal: AbortSignal.timeout(timeoutMs),
    maxHeaderSize: 16_384,
  });
  asked.on("error", (error) => resolve(failureOf(error)));
  asked.on("response", (response) => {
    read(response, maxOctets).then(resolve, (error: Error) => resolve(failureOf(error)));
  });
  asked.end();
  return promise.finally(() => asked.destroy());
}

async function read(response: IncomingMessage, maxOctets: number): Promise<Fetched> {
  const type = (response.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase();
  if (response.statusCode !== 200) return { kind: "failed", why: `status ${response.statusCode}` };
  if (type !== "text/plain") return { kind: "failed", why: "it is not text/plain" };
  let text = "";
  for await (const chunk of response) {
    text += (chunk as Buffer).toString("latin1");
    if (text.length > maxOctets) return { kind: "failed", why: `it has more than ${maxOctets} octets` };
  }
  return { kind: "text", text };
}

/** Codes that Node's TLS gives for certificates; all else is the network, or time. */
const certificateCodes = /^(?:CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_)/;

function failureOf(error: Error): Fetched {
  const code = "code" in error ? String(error.code) : error.name;
  return { kind: certificateCodes.test(code) ? "certificate" : "failed", why: code };
}
