import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { done, type Outcome } from "../../protocol/outcome.ts";
import type { Layout } from "../../services/layout/layout.ts";
import { type CertificateFiles, readCertificate } from "../../services/tls/certificate.ts";
import { createContexts, type TlsSettings } from "../../services/tls/contexts.ts";
import { writeSelfSigned } from "../../services/tls/self-signed.ts";

const ownName = "default";
const soonMs = 7 * 86_400_000;

/** For a first embedded start: a certificate that signs itself. What is in tls/ already stays. */
export function firstCertificate({ tls }: Layout, me: string, nowMs: number): Outcome<void> {
  const folder = join(tls, ownName);
  if (existsSync(folder)) return done(undefined);
  const names = [...new Set([me.toLowerCase(), "localhost"]), "127.0.0.1", "::1"];
  return writeSelfSigned(folder, names, nowMs);
}

/** What is wrong with the certificates or with the settings for TLS is found here, not in each program. */
export function checkCertificates(
  certificates: readonly CertificateFiles[],
  settings: TlsSettings,
): Outcome<readonly CertificateFiles[]> {
  const contexts = createContexts(certificates, settings);
  return contexts.kind === "done" ? done(certificates) : contexts;
}

/** One line for each certificate that is over, or soon will be. */
export const ageWarnings = (certificates: readonly CertificateFiles[], nowMs: number): readonly string[] =>
  certificates.flatMap((certificate) => {
    const facts = readCertificate(certificate);
    if (facts.kind !== "done" || facts.value.notAfterMs > nowMs + soonMs) return [];
    const over = facts.value.notAfterMs <= nowMs;
    const day = new Date(facts.value.notAfterMs).toISOString().slice(0, 10);
    return [`tls/${certificate.name}: the certificate ${over ? "is over since" : "ends on"} ${day}`];
  });

/** The fingerprint of a certificate that signed itself and that clients without a name of ours get: for the banner. */
export function ownFingerprint(certificates: readonly CertificateFiles[]): string | undefined {
  const own = certificates.find(({ name }) => name === ownName);
  if (!own) return undefined;
  const certificate = new X509Certificate(own.chain);
  return certificate.checkIssued(certificate) ? certificate.fingerprint256 : undefined;
}
