import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";

/** A certificate as it lies in its folder: plain data, it crosses between programs as JSON. */
export interface CertificateFiles {
  /** The name of its folder. */
  readonly name: string;
  /** It and those that lead from it to a known authority, PEM. */
  readonly chain: string;
  /** Its private key, PEM, without a password. */
  readonly key: string;
}

/** What a certificate says. */
export interface CertificateFacts {
  /** The host names it is for, in lower case; one may begin with `*.`. */
  readonly names: readonly string[];
  readonly notAfterMs: number;
  /** SHA-256, in hexadecimal with colons, as mail programs show it. */
  readonly fingerprint: string;
}

const hostName = /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
const longestNameOctets = 253;

/** A host name or, with `*.` in front, all those one label longer (RFC 6125 §6.4.3). Lower case. */
export const isHostName = (name: string): boolean => name.length <= longestNameOctets && hostName.test(name);

/** Reads a certificate. Fails when it is none, or when its key is another's: with the name of the folder in front. */
export function readCertificate({ name, chain, key }: CertificateFiles): Outcome<CertificateFacts> {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(chain);
  } catch {
    return permanent("3.5", `tls/${name}: what should be a certificate cannot be read`);
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch {
    return permanent("3.5", `tls/${name}: what should be a private key, without a password, cannot be read`);
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    return permanent("3.5", `tls/${name}: the private key does not belong to the certificate`);
  }
  const alternatives = (certificate.subjectAltName ?? "").split(", ");
  return done({
    names: alternatives.flatMap((one) => {
      const host = one.startsWith("DNS:") ? one.slice(4).toLowerCase() : "";
      return isHostName(host) ? [host] : [];
    }),
    notAfterMs: Date.parse(certificate.validTo),
    fingerprint: certificate.fingerprint256,
  });
}
