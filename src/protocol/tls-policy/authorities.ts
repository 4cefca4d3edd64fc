import { X509Certificate } from "node:crypto";
import { done, type Outcome, permanent } from "../outcome.ts";

/** Takes control/tlscas apart: PEM certificates, and whatever stands between them. Fails, for good, when one is none. */
export function parseAuthorities(lines: readonly string[]): Outcome<readonly string[]> {
  const authorities = lines.join("\n").match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (authorities.length === 0 && lines.length > 0) return permanent("3.5", "no PEM certificate is in it");
  const wrong = authorities.findIndex((pem) => !isCertificate(pem));
  return wrong < 0 ? done(authorities) : permanent("3.5", `certificate ${wrong + 1} is none`);
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
