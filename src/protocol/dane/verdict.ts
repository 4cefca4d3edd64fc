import { createHash, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import type { TlsFault } from "../tls-policy/demand.ts";
import { isUsable, type TlsaRecord } from "./record.ts";

const maxChain = 10;

/**
 * Whether one of the records names the peer (RFC 7672 §3): DANE-EE its own certificate, whatever else that says;
 * DANE-TA one above it in the chain it sent, where names, signatures and dates must be right too. `undefined` when it does.
 */
export function daneFault(
  records: readonly TlsaRecord[],
  chain: readonly X509Certificate[],
  names: readonly string[],
  nowMs: number,
): TlsFault | undefined {
  const [leaf] = chain;
  if (!leaf) return { kind: "validation-failure", text: "it showed no certificate" };
  const usable = records.filter(isUsable);
  if (usable.some((record) => record.usage === 3 && isNamedBy(leaf, record))) return undefined;
  const anchors = usable.filter((record) => record.usage === 2);
  const path = pathToAnchor(chain.slice(0, maxChain), anchors);
  if (!path) return { kind: "validation-failure", text: "no TLSA record in DNS names its certificate" };
  const late = path.find((certificate) => !isInForce(certificate, nowMs));
  if (late) return { kind: "certificate-expired", text: `a certificate is not in force: ${oneLine(late.subject)}` };
  if (names.some((name) => leaf.checkHost(name) !== undefined)) return undefined;
  return { kind: "certificate-host-mismatch", text: `its certificate does not name ${names.join(" or ")}` };
}

/** From the peer's own certificate to the one that a record names, or that its issuer outside of the chain signed. */
function pathToAnchor(
  chain: readonly X509Certificate[],
  anchors: readonly TlsaRecord[],
): readonly X509Certificate[] | undefined {
  const path: X509Certificate[] = [];
  for (const certificate of chain) {
    const below = path.at(-1);
    if (below && !(certificate.ca && below.checkIssued(certificate) && below.verify(certificate.publicKey))) break;
    path.push(certificate);
    if (below && anchors.some((record) => isNamedBy(certificate, record))) return path;
  }
  // What is whole in DNS need not be sent (RFC 7672 §3.1.1).
  const last = path.at(-1);
  return last && anchors.some((record) => hasSigned(record, last)) ? path : undefined;
}

function isNamedBy(certificate: X509Certificate, { selector, matching, data }: TlsaRecord): boolean {
  const octets = selector === 0 ? certificate.raw : certificate.publicKey.export({ type: "spki", format: "der" });
  if (matching === 0) return octets.equals(data);
  return createHash(matching === 1 ? "sha256" : "sha512")
    .update(octets)
    .digest()
    .equals(data);
}

function hasSigned({ selector, matching, data }: TlsaRecord, certificate: X509Certificate): boolean {
  if (matching !== 0) return false;
  const key = readKey(selector, data);
  return key !== undefined && certificate.verify(key);
}

function readKey(selector: number, data: Buffer): KeyObject | undefined {
  try {
    if (selector === 1) return createPublicKey({ key: data, format: "der", type: "spki" });
    const anchor = new X509Certificate(data);
    return anchor.ca ? anchor.publicKey : undefined;
  } catch {
    return undefined; // DNS may say anything
  }
}

const isInForce = ({ validFromDate, validToDate }: X509Certificate, nowMs: number): boolean =>
  validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime();

const oneLine = (subject: string): string => subject.replace(/[^ -~]+/g, ", ");
